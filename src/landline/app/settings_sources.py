"""The places settings are read from: their order, the line a key stands on, and names that no setting has.

pydantic-settings reads and decodes; what it leaves to us is here: a misspelt variable is refused instead of ignored,
each value can say its file and line, and a secret may lie in a file named by `LANDLINE_<NAME>_FILE`.
"""

import json
import os
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    TomlConfigSettingsSource,
)

from landline.app.faults import SetupError

PREFIX = "LANDLINE_"
DOTENV = ".env"
TOML = "landline.toml"
PYPROJECT = "pyproject.toml"
SECRET_FILE = "_FILE"  # noqa: S105 - the ending of a variable's name

SECRETS = frozenset(
    {
        "api_key",
        "database_url",
        "redis_url",
        "jwt_secret",
        "jwt_public_key",
        "token_secret",
        "oidc_client_secret",
        "guard_moderation_key",
        "guard_llamaguard_key",
    }
)
"""Settings whose value is never shown."""

OTHER_VARIABLES = ("LANDLINE_DEMO_MODEL",)
"""Variables of the prefix that are no settings: what `landline.demo` reads."""

Layers = list[tuple[str, PydanticBaseSettingsSource]]


class ConfigError(SetupError):
    """A setting is wrong; `where` names the key and its source.

    Codes: `config_invalid_value`, `config_unknown_key` (a file, an option, a keyword), `config_unknown_variable`
    (`LANDLINE_*`), `config_unreadable` (a file), `config_not_built` (a later version's), `workers_need_postgresql`.
    """


class SecretFileSource(PydanticBaseSettingsSource):
    """Takes a setting from the file that `LANDLINE_<NAME>_FILE` names, without the line's end."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the file's text, the setting's name, and that it is not JSON."""
        variable = f"{PREFIX}{field_name.upper()}{SECRET_FILE}"
        path = os.environ.get(variable)
        if not path or field_name not in SECRETS:
            return None, field_name, False
        if os.environ.get(variable.removesuffix(SECRET_FILE)):
            raise ConfigError(
                f"{field_name} is given twice",
                where=f"env {variable} and env {variable.removesuffix(SECRET_FILE)}",
                how="unset one of the two",
                code="config_invalid_value",
            )
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise unreadable(Path(path), error, f"env {variable}") from None

    def __call__(self) -> dict[str, Any]:
        """Return every secret that a file holds."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def sources(settings: type[BaseSettings]) -> Layers:
    """Return the sources by name, the strongest first; the files are read here.

    Raises:
        ConfigError: A file is there and cannot be read.
    """
    layers: Layers = [("env", EnvSettingsSource(settings)), ("secret", SecretFileSource(settings))]
    for name, source in (
        (DOTENV, DotEnvSettingsSource),
        (TOML, TomlConfigSettingsSource),
        (PYPROJECT, PyprojectTomlConfigSettingsSource),
    ):
        try:
            layers.append((name, source(settings)))
        except (OSError, ValueError, AttributeError) as error:  # ValueError: not TOML, not UTF-8
            raise unreadable(Path(name), error, name) from None
    return layers


def unreadable(path: Path, error: Exception, where: str) -> ConfigError:
    """Say that a file cannot be read, with the reason but none of its content."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).split(":")[0]
    return ConfigError(
        f"{path.name} cannot be read: {reason}",
        where=where,
        how=f"mend {path} or remove it",
        code="config_unreadable",
    )


def place(layer: str, key: str) -> str:
    """Return where a layer's key stands, as `sources()` shows it."""
    variable = PREFIX + key.upper()
    match layer:
        case "env":
            return f"env {variable}"
        case "secret":
            return f"env {variable}{SECRET_FILE}"
        case _ if layer == DOTENV:
            return _line(DOTENV, rf"(?i)\s*(export\s+)?{variable}\s*=")
        case _:
            table = "tool.landline" if layer == PYPROJECT else ""
            return _line(layer, rf"\s*[\"']?{re.escape(key)}[\"']?\s*=|\s*\[+{key}[\].]", table)


def _line(name: str, pattern: str, table: str = "") -> str:
    """Return `file:line` of the first line that matches in a TOML table, or the file alone."""
    inside = not table
    for number, line in enumerate(Path(name).read_text(encoding="utf-8").splitlines(), 1):
        if inside and re.match(pattern, line):
            return f"{name}:{number}"
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            inside = header[1].strip() == table
    return name


def example(key: str, field: FieldInfo, origin: str) -> str:
    """Return how to write a setting where it was written wrong, and what it is."""
    default: Any = field.default
    if default in (None, ()):
        return f"leave it out, or give: {field.description}"
    value = ",".join(map(str, default)) if isinstance(field.default, tuple) else str(default)
    match origin.split(maxsplit=1)[0].split(":", maxsplit=1)[0]:
        case "option":
            written = f"--{key.removesuffix('_s').replace('_', '-')} {value}"
        case "landline.toml" | "pyproject.toml":
            written = f"{key} = {json.dumps(default, default=str)}"
        case "keyword":
            written = f"{key}={default!r}"
        case _:
            written = f"{PREFIX}{key.upper()}={value}"
    return f"write for example {written} ({field.description})"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return a question that names the nearest known name, or None when nothing is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else None


def refuse_unknown(given: Iterable[tuple[str, str, str]], known: Sequence[str], code: str) -> None:
    """Refuse the first of `given` (name, as it is written, where it stands) that is not `known`.

    Raises:
        ConfigError: A name is unknown; `how` tells the nearest one.
    """
    for name, shown, where in given:
        if name not in known:
            how = nearest(shown, known) or "`landline config schema` lists every setting"
            raise ConfigError(f"there is no setting {shown}", where=where, how=how, code=code)


def refuse_unknown_names(layers: Layers, fields: Sequence[str]) -> None:
    """Refuse names that no setting has, in the environment and in every file.

    Raises:
        ConfigError: A key or a variable is unknown.
    """
    variables = [PREFIX + name.upper() for name in fields]
    with_files = [
        *variables,
        *OTHER_VARIABLES,
        *(PREFIX + name.upper() + SECRET_FILE for name in sorted(SECRETS)),
    ]
    environment = [name.upper() for name in os.environ if name.upper().startswith(PREFIX)]
    refuse_unknown(((n, n, f"env {n}") for n in sorted(environment)), with_files, "config_unknown_variable")
    for layer, source in layers:
        if isinstance(source, DotEnvSettingsSource):
            names = [name.upper() for name in source.env_vars if name.upper().startswith(PREFIX)]
            given = [(n, n, place(layer, n.removeprefix(PREFIX).lower())) for n in names]
            refuse_unknown(given, [*variables, *OTHER_VARIABLES], "config_unknown_variable")
        elif isinstance(source, TomlConfigSettingsSource):
            given = [(str(k), str(k), place(layer, str(k))) for k in source.toml_data]
            refuse_unknown(given, fields, "config_unknown_key")
