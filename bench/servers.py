"""The targets as running servers: each a process of its own on the servers' core."""

import json
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import Door
from bench.process import ROOT, Process, free_port, run_once

__all__ = ["TARGETS", "Place", "Server", "model"]

_APP = str(ROOT / "bench" / "targets" / "landline_app.py")


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a target needs to start: cores, a folder of its own, and where the model is."""

    folder: Path
    server_core: int | None
    instrument_core: int | None
    upstream: str = ""

    @property
    def env(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
        return {"BENCH_UPSTREAM": self.upstream, "PYTHONPATH": path}


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running target."""

    name: str
    process: Process
    door: Door
    ready_s: float
    data: Path


def _bare(place: Place) -> Server:
    return _plain(place, "bare")


def _relay(place: Place) -> Server:
    return _plain(place, "relay")


def _plain(place: Place, name: str) -> Server:
    port = free_port()
    process = _start(place, name, ["-m", f"bench.targets.{name}", str(port)])
    ready_s = process.wait_ready(port, "/health")
    return Server(
        name=name,
        process=process,
        door=Door(port=port, path="/runs"),
        ready_s=ready_s,
        data=place.folder / name,
    )


def _landline(place: Place) -> Server:
    """Everything on: SQLite on disk, callers known by their API key, limits of the defaults."""
    port, data = free_port(), place.folder / "landline"
    shutil.rmtree(data, ignore_errors=True)
    order = [
        "-m",
        "landline.cli.main",
        "keys",
        "create",
        "--user",
        "bench",
        "--tenant",
        "bench",
        "--json",
        "--data",
    ]
    _, made = run_once([*order, str(data)], place.server_core, place.env)
    key = json.loads(made)["key"]
    serve = [
        "serve",
        _APP,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--data",
        str(data),
        "--no-open",
        "--grace",
        "0",
    ]
    process = _start(place, "landline", ["-m", "landline.cli.main", *serve])
    ready_s = process.wait_ready(port, "/readyz")
    door = Door(
        port=port,
        path="/api/v1/runs",
        headers={"authorization": f"Bearer {key}"},
        # Streams that are cut at the time limit must end for Landline too, as they do for the others.
        fields={"agent": "agent", "on_disconnect": "cancel"},
    )
    return Server(name="landline", process=process, door=door, ready_s=ready_s, data=data)


def _start(place: Place, name: str, arguments: list[str]) -> Process:
    return Process(arguments, core=place.server_core, env=place.env, log=place.folder / f"{name}.log")


TARGETS: dict[str, Callable[[Place], Server]] = {"bare": _bare, "landline": _landline, "relay": _relay}
"""By name; the first is the yardstick."""


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
