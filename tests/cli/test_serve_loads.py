"""What a server has loaded when it is ready, and how often it read what it needs: counted in a process of its own."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from landline.app.collecting import SERVING, STARTING

pytestmark = pytest.mark.contract("PRF-6")

PROBE = """
import gc, json, sys
from landline.app import installed, serve, settings

counts, loading = {"settings": 0, "entry points": 0}, []
load_settings, entry_points = settings.load_settings, installed.entry_points

def counted_settings(*given, **named):
    counts["settings"] += 1
    return load_settings(*given, **named)

def counted_points():
    counts["entry points"] += 1
    return entry_points()

settings.load_settings, installed.entry_points = counted_settings, counted_points

class Probed(serve.LandlineServer):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        told = {"modules": sorted(sys.modules), "counts": counts, "frozen": gc.get_freeze_count(),
                "serving": gc.get_threshold()[0]}
        print("READY", json.dumps(told), flush=True)
        self.should_exit = True

serve.LandlineServer = Probed
from landline.cli.main import main
main()
"""

AGENTS = """
import gc
import landline

print("LOADING", gc.get_threshold()[0])

async def greet(run):
    return "hello"

agent = landline.agent(greet, name="greet")
"""

STRANGERS = (
    "alembic", "sqlalchemy",  # the schema comes from a file
    "structlog", "rich",  # nothing is logged
    "httpcore", "websockets.client",  # nobody is called
    "pydantic_ai", "openai", "agents.mcp", "langgraph", "ag2",  # no agent of theirs
    "jwt", "joserfc", "cryptography", "argon2", "redis", "mcp", "a2a", "jsonschema",  # nobody asked for it
)  # fmt: skip

OURS = (
    "landline.upstream.egress", "landline.upstream.mcp", "landline.demo", "landline.testing", "landline.evals",
    "landline.backends.memory", "landline.gates.guards", "landline.gates.auth.jwt", "landline.gates.auth.sign_in",
    "landline.faces.openai", "landline.faces.mcp", "landline.faces.a2a", "landline.faces.ag_ui",
)  # fmt: skip


@cache
def started(folder: Path) -> dict[str, Any]:
    """Start a server twice in an empty folder, the second time with a database that is there; return what it told."""
    (folder / "agents.py").write_text(AGENTS)
    told: dict[str, Any] = {}
    for _ in range(2):
        arguments = ["serve", "agents.py", "--port", "0", "--data", str(folder / "data")]
        done = subprocess.run(
            [sys.executable, "-c", PROBE, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("READY ")]
        told = json.loads(line.removeprefix("READY "))
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("LOADING ")]
        told["while loading"] = int(line.removeprefix("LOADING "))
    return told


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return started(tmp_path_factory.mktemp("start"))


def test_a_ready_server_has_loaded_nothing_it_was_not_asked_for(ready: dict[str, Any]) -> None:
    loaded = set(ready["modules"])
    assert "landline.app.build" in loaded
    assert sorted(loaded & {*STRANGERS, *OURS}) == []


def test_settings_and_entry_points_are_read_once(ready: dict[str, Any]) -> None:
    """The folder of the agents comes to `sys.path` with them: what is installed is looked through again after that."""
    assert ready["counts"]["settings"] == 1
    assert 1 <= ready["counts"]["entry points"] <= 2


def test_the_collector_is_held_while_agents_load_and_let_go_when_it_is_ready(ready: dict[str, Any]) -> None:
    assert ready["while loading"] == STARTING
    assert ready["serving"] == SERVING
    assert ready["frozen"] > 50_000
