"""The command line starts fast because it loads little: what is loaded is counted, not timed."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from landline import __version__
from landline.cli.root import COMMANDS
from tests.cli.conftest import Done, Project

pytestmark = pytest.mark.contract("CLI-1")

HEAVY = (
    "alembic", "anyio", "asyncio", "fastapi", "httpx", "msgspec", "openai", "pydantic", "pydantic_ai", "pydantic_settings",
    "rich", "sqlalchemy", "sqlite3", "starlette", "structlog", "uvicorn",
)  # fmt: skip


def loaded_after(code: str) -> set[str]:
    probe = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_entry_point_loads_nothing_heavy() -> None:
    """`--version` within 150 ms: not even Typer."""
    assert loaded_after("import landline.cli.main").isdisjoint({*HEAVY, "typer"})


def test_the_help_loads_typer_and_nothing_else() -> None:
    """`--help` within 350 ms: no command's module, no Rich."""
    code = "from landline.cli.root import app\ntry:\n    app(['--help'])\nexcept SystemExit: pass"
    loaded = loaded_after(code)
    assert loaded.isdisjoint(HEAVY)
    assert not [name for name in loaded if name.startswith("landline.cli.commands.")]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_loads_no_server(command: str) -> None:
    """Asking how a command is used must not build what it would start (Pydantic is Typer's own need)."""
    code = (
        f"from landline.cli.root import app\ntry:\n    app([{command!r}, '--help'])\nexcept SystemExit: pass"
    )
    assert loaded_after(code).isdisjoint(
        {"fastapi", "sqlalchemy", "pydantic_settings", "rich", "landline.app.build"}
    )


def test_every_command_is_in_the_help_with_its_sentence(landline: Project) -> None:
    """The sentences are written twice: in the table, and in each command's own help."""
    shown = landline("--help").stdout
    for name, sentence in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(sentence[:40])}", shown, re.MULTILINE)
        own = landline(name, "--help")
        assert own.returncode == 0, own.stderr
        assert f"Usage: landline {name}" in own.stdout


def test_the_version_is_printed_both_ways(landline: Project) -> None:
    """For a person and for a script."""
    assert landline.process("--version") == Done(0, f"landline {__version__}\n", "")
    assert json.loads(landline("version", "--json").stdout)["landline"] == __version__


@pytest.mark.contract("CLI-2")
def test_a_misspelt_command_names_the_nearest(landline: Project) -> None:
    """A usage error is exit code 2 and no traceback."""
    done = landline("srve")
    assert done.returncode == 2
    assert "Did you mean 'serve'?" in done.stderr
