"""The targets as running servers: each a process of its own on the servers' core."""

import json
import os
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import Door
from bench.process import ROOT, Process, free_port, run_once

__all__ = ["FRAMEWORKS", "LIMITS", "MAIN", "OURS", "Place", "Server", "Target", "model", "plain_process"]

_APP = str(ROOT / "bench" / "targets" / "landline_app.py")

MAIN = "pydantic_ai"
FRAMEWORKS = (MAIN, "openai_agents", "langgraph")

LIMITS = (
    "ip: 100000/minute requests",
    "user: 100000/minute requests",
    "tenant: 100000/minute runs",
    "tenant: 100000 concurrent runs",
    "user: 100000 streams",
)
"""Rules that count everything and refuse nothing."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a target needs to start: cores, a folder of its own, where the model is, and where peers are installed."""

    folder: Path
    server_core: int | None
    instrument_core: int | None
    upstream: str = ""
    peers: Path = ROOT / ".venv" / "peers"

    @property
    def env(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
        return {"BENCH_UPSTREAM": self.upstream, "PYTHONPATH": path}

    def log(self, name: str) -> Path:
        return self.folder / f"{name.replace(':', '-')}.log"


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running target."""

    name: str
    process: Process
    door: Door
    ready_s: float
    data: Path
    place: Place


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something that can be measured.

    `kind` is bare, stored, landline, relay or peer. `start` gives a server that is ready; `missing` says what to install
    first, given the folder of the peers, and nothing when all is there.
    """

    name: str
    kind: str
    start: Callable[[Place], Server]
    framework: str = MAIN
    missing: Callable[[Path], str] = lambda _: ""

    @property
    def yardstick(self) -> str:
        """The target that ratios are to: bare with the same framework; a peer's is the first framework's."""
        return _named("bare", MAIN if self.kind == "peer" else self.framework)


def _named(kind: str, framework: str) -> str:
    return kind if framework == MAIN else f"{kind}:{framework}"


def plain_process(
    place: Place, name: str, arguments: list[str], env: Mapping[str, str] | None = None
) -> Process:
    """Start `python -m …` of this environment on the servers' core."""
    return Process(
        ["-m", *arguments], core=place.server_core, env={**place.env, **(env or {})}, log=place.log(name)
    )


def _bare(framework: str) -> Target:
    name = _named("bare", framework)

    def start(place: Place) -> Server:
        port = free_port()
        return _ready(
            place, name, port, plain_process(place, name, ["bench.targets.bare", framework, str(port)])
        )

    return Target(name=name, kind="bare", framework=framework, start=start)


def _stored(place: Place) -> Server:
    port, data = free_port(), place.folder / "stored"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    arguments = ["bench.targets.bare", MAIN, str(port), str(data / "threads.db")]
    return _ready(place, "stored", port, plain_process(place, "stored", arguments))


def _relay(place: Place) -> Server:
    port = free_port()
    return _ready(place, "relay", port, plain_process(place, "relay", ["bench.targets.relay", str(port)]))


def _ready(place: Place, name: str, port: int, process: Process) -> Server:
    ready_s = process.wait_ready(port, "/health")
    door = Door(port=port, path="/runs")
    return Server(
        name=name,
        process=process,
        door=door,
        ready_s=ready_s,
        data=place.folder / name,
        place=place,
    )


def _landline(framework: str) -> Target:
    name = _named("landline", framework)
    return Target(
        name=name,
        kind="landline",
        framework=framework,
        start=lambda place: _start_landline(place, name, framework),
    )


def _start_landline(place: Place, name: str, framework: str) -> Server:
    """Everything on: SQLite on disk (FULL), callers known by their API key, limits that count every request and run."""
    port, data = free_port(), place.folder / name.replace(":", "-")
    shutil.rmtree(data, ignore_errors=True)
    whose = ["--user", "bench", "--tenant", "bench"]
    order = ["-m", "landline.cli.main", "keys", "create", *whose, "--json", "--data", str(data)]
    _, made = run_once(order, place.server_core, place.env)
    key = json.loads(made)["key"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--data", str(data)]
    arguments = ["landline.cli.main", "serve", _APP, *where, "--no-open", "--grace", "0"]
    env = {"BENCH_FRAMEWORK": framework, "LANDLINE_LIMITS": ", ".join(LIMITS)}
    process = plain_process(place, name, arguments, env)
    ready_s = process.wait_ready(port, "/readyz")
    door = Door(
        port=port,
        path="/api/v1/runs",
        headers={"authorization": f"Bearer {key}"},
        # Streams that are cut at the time limit must end for Landline too, as they do for the others.
        fields={"agent": "agent", "on_disconnect": "cancel"},
        threads="/api/v1/threads",
    )
    return Server(name=name, process=process, door=door, ready_s=ready_s, data=data, place=place)


OURS: tuple[Target, ...] = (
    _bare(MAIN),
    _landline(MAIN),
    Target(name="relay", kind="relay", start=_relay),
    Target(name="stored", kind="stored", start=_stored),
    *(build(framework) for framework in FRAMEWORKS[1:] for build in (_bare, _landline)),
)
"""What this environment can start; the first is the yardstick of most."""


@contextmanager
def model(place: Place) -> Generator[str]:
    """Run the scripted model on the instrument's core, and yield its base URL."""
    port = free_port()
    process = Process(
        ["-m", "bench.upstream", "--port", str(port)],
        core=place.instrument_core,
        env=place.env,
        log=place.folder / "model.log",
    )
    try:
        process.wait_ready(port, "/v1/models")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.stop()
