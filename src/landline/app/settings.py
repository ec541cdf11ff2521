"""Every setting of a server, where each value comes from, and what is said when one is wrong (CLI-3).

Nothing is read when this is imported. `load_settings` reads, in this order: keyword, command line, `LANDLINE_*`, `.env`,
`landline.toml`, `[tool.landline]` of pyproject.toml, default. The files are those of the working directory.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from landline.app import settings_sources as read
from landline.app.installed import points
from landline.app.known_secrets import hide_environment, hide_settings
from landline.app.settings_edge import EdgeSettings
from landline.app.settings_guards import GuardSettings
from landline.app.settings_identity import IdentitySettings
from landline.app.settings_limits import LimitSettings
from landline.app.settings_sources import ConfigError
from landline.app.settings_words import Words

__all__ = ["ConfigError", "Settings", "load_settings"]

MIB = 1024 * 1024


class Settings(IdentitySettings, LimitSettings, EdgeSettings, GuardSettings):
    """The settings of one server, fixed once they are loaded."""

    model_config = SettingsConfigDict(
        env_prefix=read.PREFIX,
        env_file=read.DOTENV,
        env_ignore_empty=True,
        dotenv_filtering="only_existing",
        toml_file=read.TOML,
        pyproject_toml_table_header=("tool", "landline"),
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to bind; off loopback an API key must exist"
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to bind; 0 takes a free one")
    data: Path = Field(Path(".landline"), description="Folder of the database and the files")
    database_url: str | None = Field(
        None,
        description="sqlite:///path; without it landline.db in the data folder",
    )
    redis_url: str | None = Field(
        None, description="redis://host:port/number, where several servers count their limits together"
    )
    agents: Words = Field((), description="Targets to serve: path.py, path.py:attr, module or module:attr")
    faces: Words = Field(
        ("native",), description="The client protocols that are switched on; `all` for every one installed"
    )
    open: bool | None = Field(
        None,
        description="Whether callers without a key are the local user; default: on loopback until a key is made",
    )
    allowed_hosts: Words = Field((), description="Host headers that are answered, besides the bound address")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="Where clients reach this server, for the absolute URLs it gives out; default: the Host they name",
    )
    docs: bool = Field(True, description="Whether /docs and /openapi.json are served")
    workers: int = Field(1, ge=1, description="Processes; more than one needs PostgreSQL")
    max_runs: int = Field(1000, ge=1, description="Runs driven at once; more are refused with 503")
    deadline_s: float | None = Field(
        None, gt=0, description="Running time of a run in seconds, waiting not counted"
    )
    idle_timeout_s: float | None = Field(
        600, gt=0, description="Longest silence of an agent in seconds before its run fails"
    )
    heartbeat_s: float = Field(15, gt=0, description="Seconds between heartbeats on an idle stream")
    grace_s: float = Field(20, ge=0, description="Seconds that running runs get on SIGTERM")
    slow_reader_s: float = Field(
        30, gt=0, description="Seconds without progress after which a reader is dropped"
    )
    max_body_bytes: int = Field(MIB, ge=1024, description="Largest request body in bytes, uploads apart")
    max_upload_bytes: int = Field(25 * MIB, ge=1, description="Largest uploaded file in bytes")
    upload_types: Words = Field(
        (
            "image/png",
            "image/jpeg",
            "image/gif",
            "image/webp",
            "application/pdf",
            "application/json",
            "text/*",
        ),
        description="Media types that may be uploaded; `text/*` takes a family, `*` any",
    )
    egress_allow: Words = Field(
        (), description="Private hosts that may be called all the same: host or host:port"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged"
    )
    log_format: Literal["auto", "pretty", "json"] = Field(
        "auto", description="auto: pretty on a terminal, else json"
    )
    reload: bool = Field(False, description="Whether the server starts again when a Python file changes")
    url: str | None = Field(
        None, description="The running server that threads, runs, agents and chat talk to"
    )
    api_key: SecretStr | None = Field(None, description="The key those commands show it")

    _origins: dict[str, str] = PrivateAttr(default_factory=dict[str, str])

    @classmethod
    def of(cls, values: Mapping[str, Any], origins: Mapping[str, str]) -> "Settings":
        """Return settings that know where their values come from."""
        settings = cls(**values)
        settings._origins.update(origins)
        return settings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, *(source for _, source in read.sources(settings_cls))

    @field_validator("database_url")
    @classmethod
    def _sqlite_only(cls, url: str | None) -> str | None:
        if url is None or (
            url.startswith("sqlite:///") and len(url) > len("sqlite:///") and ":memory:" not in url
        ):
            return url
        scheme = url.split(":", 1)[0]
        name = "PostgreSQL" if scheme.startswith("postgres") else f"{scheme!r} as a database"
        how = "leave it out: everything is kept in landline.db in the data folder; or name a file: sqlite:///path"
        raise PydanticCustomError("config_not_built", "not built yet: {name}", {"name": name, "how": how})

    @field_validator("redis_url")
    @classmethod
    def _a_redis(cls, url: str | None) -> str | None:
        from importlib.util import find_spec

        if url is None:
            return url
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise PydanticCustomError(
                "config_invalid_value",
                "this is no address of a Redis",
                {"how": "write redis://127.0.0.1:6379/0"},
            )
        if find_spec("redis") is None:
            raise PydanticCustomError(
                "config_invalid_value",
                "the package for Redis is not installed",
                {"how": "install landline[redis], or leave redis_url out: one process needs none"},
            )
        return url

    @field_validator("faces")
    @classmethod
    def _known_faces(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        found = points("landline.faces")
        built = sorted(found.names)
        if names == ("all",):
            # Faces of the test kit serve a public suite and nobody else.
            others = {point.name for point in found if not point.value.startswith("landline.testing")}
            return ("native", *sorted(others - {"native"}))
        for name in names:
            if name not in built:
                how = read.nearest(name, built) or "use one of: " + ", ".join(built)
                raise PydanticCustomError(
                    "config_not_built", "no face named {face} is installed", {"face": name, "how": how}
                )
        return names

    @field_validator("allowed_hosts")
    @classmethod
    def _bare_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if "/" in host or not host:
                raise PydanticCustomError(
                    "config_invalid_value",
                    "{host} is not a host name",
                    {"host": host, "how": "write example.com"},
                )
        return hosts

    @field_validator("egress_allow")
    @classmethod
    def _places(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        if not entries:
            return entries
        from landline.upstream.addresses import Allowed

        try:
            Allowed.of(entries)
        except ValueError as error:
            raise PydanticCustomError(
                "config_invalid_value", "{said}", {"said": str(error), "how": "write inside.example:8080"}
            ) from None
        return entries

    @model_validator(mode="after")
    def _one_process_on_sqlite(self) -> "Settings":
        if self.workers > 1:
            raise PydanticCustomError(
                "workers_need_postgresql",
                "SQLite serves one process, and {workers} workers were asked for",
                {
                    "workers": self.workers,
                    "how": "leave workers at 1; more need PostgreSQL, which this version cannot use yet: "
                    "--workers 2 --database-url postgresql://USER@HOST/landline will be the way",
                },
            )
        return self

    @property
    def database_path(self) -> Path:
        """The SQLite file; `database_url` names another one than the data folder's."""
        return (
            Path(self.database_url.removeprefix("sqlite:///"))
            if self.database_url
            else self.data / "landline.db"
        )

    @property
    def over_tls(self) -> bool:
        """Whether clients reach this server over TLS (TRU-13)."""
        return (self.public_url or "").startswith("https:") if self.tls is None else self.tls

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the bound address (TRU-6)."""
        from ipaddress import ip_address

        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def shown(self) -> dict[str, Any]:
        """Return every value as JSON data, secrets as `********`."""
        values = self.model_dump(mode="json")
        return {n: "********" if n in read.SECRETS and v is not None else v for n, v in values.items()}

    def sources(self) -> dict[str, str]:
        """Return where each value comes from, such as `env LANDLINE_PORT`, `landline.toml:3` or `default`."""
        return {name: self._origins.get(name, "default") for name in type(self).model_fields}


def load_settings(cli: Mapping[str, Any] | None = None, **keywords: Any) -> Settings:
    """Read every source and return the settings, each value with its source.

    Args:
        cli: Options of the command line by setting; None means that the option was not given.
        keywords: What the program says itself; nothing overrides it.

    Raises:
        ConfigError: A value is wrong, a name is unknown, or a file cannot be read.
    """
    hide_environment()
    options = {name: value for name, value in (cli or {}).items() if value is not None}
    origins = {name: f"option --{name.replace('_', '-')}" for name in options}
    origins |= {name: f"keyword {name}" for name in keywords}
    fields = list(Settings.model_fields)
    values: dict[str, Any] = {**options, **keywords}
    read.refuse_unknown(((name, name, origins[name]) for name in values), fields, "config_unknown_key")
    layers = read.sources(Settings)
    read.refuse_unknown_names(layers, fields)
    for name, source in layers:
        for key, value in source().items():
            if key not in values:
                values[key] = value
                origins[key] = read.place(name, key)
    try:
        settings = Settings.of(values, origins)
    except ValidationError as error:
        raise _explain(error.errors(), origins) from None
    hide_settings(settings)
    return settings


def _explain(errors: list[ErrorDetails], origins: Mapping[str, str]) -> ConfigError:
    """Say of the first fault what, where and how; the others are counted."""
    fault = errors[0]
    code = fault["type"] if fault["type"].startswith(("config_", "workers_")) else "config_invalid_value"
    key = str(fault["loc"][0]) if fault["loc"] else "workers"
    origin = origins.get(key, "default")
    how = str(fault.get("ctx", {}).get("how") or read.example(key, Settings.model_fields[key], origin))
    more = f" ({len(errors) - 1} more settings are wrong)" if len(errors) > 1 else ""
    return ConfigError(f"{key}: {fault['msg']}{more}", where=f"{key} from {origin}", how=how, code=code)
