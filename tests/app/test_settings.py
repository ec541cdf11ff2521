"""Settings: one order of sources, every value knows its own, and nothing misspelt passes silently."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from landline.app.settings import ConfigError, Settings, load_settings

pytestmark = pytest.mark.contract("CLI-3")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and an environment without a setting."""
    import os

    for name in os.environ:
        if name.upper().startswith("LANDLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(**keywords: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_settings(**keywords)
    return caught.value


def test_without_any_source_the_defaults_stand() -> None:
    """A fresh install needs no configuration."""
    settings = load_settings()
    assert (settings.host, settings.port, settings.data) == ("127.0.0.1", 8000, Path(".landline"))
    assert (settings.heartbeat_s, settings.grace_s, settings.slow_reader_s) == (15, 20, 30)
    assert (settings.max_body_bytes, settings.max_upload_bytes) == (1024 * 1024, 25 * 1024 * 1024)
    assert set(settings.sources().values()) == {"default"}


def test_each_source_overrides_the_ones_after_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of CLI-3, taken away from the top, one source at a time."""
    (project / "pyproject.toml").write_text("[project]\nport = 1\n[tool.landline]\nport = 106\n")
    (project / "landline.toml").write_text("# the port\nport = 105\n")
    (project / ".env").write_text("OTHER=1\nLANDLINE_PORT=104\n")
    monkeypatch.setenv("LANDLINE_PORT", "103")

    def port(cli: dict[str, Any] | None = None, **keywords: Any) -> tuple[int, str]:
        settings = load_settings(cli, **keywords)
        return settings.port, settings.sources()["port"]

    assert port({"port": "102"}, port=101) == (101, "keyword port")
    assert port({"port": "102"}) == (102, "option --port")
    assert port({"port": None}) == (103, "env LANDLINE_PORT")
    monkeypatch.delenv("LANDLINE_PORT")
    assert port() == (104, ".env:2")
    (project / ".env").unlink()
    assert port() == (105, "landline.toml:2")
    (project / "landline.toml").unlink()
    assert port() == (106, "pyproject.toml:4")
    (project / "pyproject.toml").unlink()
    assert port() == (8000, "default")


def test_an_empty_variable_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass variables that nobody set as empty ones."""
    monkeypatch.setenv("LANDLINE_REDIS_URL", "")
    assert load_settings().redis_url is None


def test_lists_are_read_from_words_and_from_toml(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes JSON into an environment variable by choice."""
    monkeypatch.setenv("LANDLINE_ALLOWED_HOSTS", "example.com, *.example.org")
    (project / "landline.toml").write_text('agents = ["a.py", "b.py:x"]\n')
    settings = load_settings()
    assert settings.allowed_hosts == ("example.com", "*.example.org")
    assert settings.agents == ("a.py", "b.py:x")


def test_a_misspelt_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that passes silently is a limit that was never set."""
    monkeypatch.setenv("LANDLINE_HEARTBEATS", "3")
    error = refused()
    assert error.code == "config_unknown_variable"
    assert error.where == "env LANDLINE_HEARTBEATS"
    assert error.how == "did you mean LANDLINE_HEARTBEAT_S?"


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        (".env", "\nLANDLINE_PROT=1\n", ".env:2"),
        ("landline.toml", "\n\nprot = 1\n", "landline.toml:3"),
        ("pyproject.toml", "[tool.landline]\nprot = 1\n", "pyproject.toml:2"),
    ],
)
def test_an_unknown_key_in_a_file_is_refused_with_its_line(
    project: Path, file: str, text: str, where: str
) -> None:
    """The line is what an editor opens."""
    (project / file).write_text(text)
    error = refused()
    assert error.where == where
    assert error.how in {"did you mean port?", "did you mean LANDLINE_PORT?"}


def test_an_unknown_keyword_is_refused() -> None:
    """A program's own typing error must not become a default."""
    assert (refused(prot=1).code, refused(prot=1).where) == ("config_unknown_key", "keyword prot")


@pytest.mark.parametrize(
    ("keywords", "code", "part"),
    [
        ({"port": "x"}, "config_invalid_value", "valid integer"),
        ({"port": 70000, "grace_s": -1}, "config_invalid_value", "1 more"),
        ({"database_url": "postgresql://u:hush@h/d"}, "config_not_built", "not built yet: PostgreSQL"),
        ({"database_url": "mysql://h/d"}, "config_not_built", "not built yet: 'mysql'"),
        ({"database_url": "sqlite:///:memory:"}, "config_not_built", "not built yet"),
        ({"redis_url": "http://:hush@h"}, "config_invalid_value", "no address of a Redis"),
        ({"faces": "natve"}, "config_not_built", "no face named natve"),
        ({"egress_allow": "http://a/"}, "config_invalid_value", "host or host:port"),
        ({"allowed_hosts": "http://a/"}, "config_invalid_value", "not a host name"),
        ({"cors_origins": "https://*.example"}, "config_invalid_value", "is no origin"),
        ({"cors_origins": "https://a.example/"}, "config_invalid_value", "without path"),
        ({"cors_credentials": True, "cors_origins": "*"}, "config_invalid_value", "has to be named"),
        ({"workers": 2}, "workers_need_postgresql", "one process"),
    ],
)
def test_a_wrong_value_says_what_where_and_how(keywords: dict[str, Any], code: str, part: str) -> None:
    """CLI-2: and never the value of a secret."""
    error = refused(**keywords)
    assert error.code == code
    assert part in error.what
    assert error.where == f"{next(iter(keywords))} from keyword {next(iter(keywords))}"
    assert error.how
    assert "hush" not in str(error)


@pytest.mark.contract("SCL-1")
def test_two_workers_on_sqlite_are_told_the_way_to_postgresql() -> None:
    """SQLite has one writer process."""
    assert "--database-url postgresql://" in str(refused(workers=2).how)


@pytest.mark.parametrize("text", ["port = = 1\n", "\xff"])
def test_a_file_that_cannot_be_read_is_named(project: Path, text: str) -> None:
    """A broken file is not an empty one."""
    (project / "landline.toml").write_bytes(text.encode("latin-1"))
    assert (refused().code, refused().where) == ("config_unreadable", "landline.toml")


def test_a_secret_may_lie_in_a_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As container platforms mount them; the value is never shown."""
    (project / "key").write_text("ll_hush\n")
    monkeypatch.setenv("LANDLINE_API_KEY_FILE", "key")
    settings = load_settings()
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "ll_hush"
    assert settings.sources()["api_key"] == "env LANDLINE_API_KEY_FILE"
    assert "hush" not in repr(settings)
    monkeypatch.setenv("LANDLINE_API_KEY", "other")
    assert "given twice" in refused().what
    monkeypatch.delenv("LANDLINE_API_KEY")
    monkeypatch.setenv("LANDLINE_API_KEY_FILE", "gone")
    assert refused().code == "config_unreadable"


def test_only_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """LANDLINE_PORT_FILE would be a typing error that nobody sees."""
    monkeypatch.setenv("LANDLINE_PORT_FILE", "key")
    assert refused().code == "config_unknown_variable"


def test_the_database_is_in_the_data_folder_unless_named() -> None:
    """One folder is the whole installation."""
    assert load_settings(data="x").database_path == Path("x/landline.db")
    assert load_settings(database_url="sqlite:////tmp/y.db").database_path == Path("/tmp/y.db")


@pytest.mark.contract("TRU-6")
@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("example.com", False),
        ("::", False),
    ],
)
def test_loopback_is_known_from_the_address(host: str, loopback: bool) -> None:
    """A name that is not localhost may resolve to anything."""
    assert load_settings(host=host).loopback is loopback


def test_settings_are_fixed_once_loaded() -> None:
    """A value that changes has no source any more."""
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1


def test_every_setting_is_described() -> None:
    """The schema is what `landline config schema` publishes."""
    fields = Settings.model_json_schema()["properties"].values()
    assert all(field.get("description") for field in fields)


def test_nothing_is_read_at_import(project: Path) -> None:
    """A wrong file must not break `import landline`."""
    (project / "landline.toml").write_text("port = = 1")
    code = "import landline, landline.app.settings"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
