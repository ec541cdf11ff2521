"""What the HTTP server underneath costs: the relay under uvicorn, by event loop and parser, and under others.

    python -m bench.http_servers [--rounds 3] [--python PATH]

prints CPU microseconds a turn (16 clients that wait) and CPU milliseconds per 1,000 streamed tokens (50 streams), medians
over the rounds, and the ratio to what `landline serve` runs on: uvicorn with uvloop and httptools. Hypercorn and Granian are
measured when the environment of `--python` has them; they are no dependencies of this project.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import uvloop

from bench.load import Door, Order, WrongAnswer, blocking, streams
from bench.metrics import Figures
from bench.process import Process, cores, free_port, on_core
from bench.rounds import ordered
from bench.servers import Place, model

__all__ = ["main"]

_APP = "bench.targets.relay:app"
_UVICORN = (
    "uvicorn",
    _APP,
    "--host",
    "127.0.0.1",
    "--lifespan",
    "off",
    "--no-access-log",
    "--log-level",
    "warning",
)
_OURS = "uvicorn, uvloop, httptools"
_SERVERS: dict[str, tuple[str, ...]] = {
    _OURS: (*_UVICORN, "--loop", "uvloop", "--http", "httptools", "--port"),
    "uvicorn, uvloop, h11": (*_UVICORN, "--loop", "uvloop", "--http", "h11", "--port"),
    "uvicorn, asyncio, httptools": (*_UVICORN, "--loop", "asyncio", "--http", "httptools", "--port"),
    "uvicorn, asyncio, h11": (*_UVICORN, "--loop", "asyncio", "--http", "h11", "--port"),
    "hypercorn, uvloop": ("hypercorn", _APP, "--worker-class", "uvloop", "--bind"),
    "granian, uvloop": ("granian", _APP, "--interface", "asginl", "--loop", "uvloop", "--no-ws", "--port"),
}


@dataclass(frozen=True, kw_only=True)
class Load:
    """How long clients that wait post turns, and how many streams of how many tokens are read."""

    turns_s: float = 4.0
    streams: int = 50
    tokens: int = 100


_TINY = Load(turns_s=0.2, streams=2, tokens=10)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all that are installed, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.http_servers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--python", default=sys.executable, help="the Python whose environment has the servers"
    )
    parser.add_argument("--tiny", action="store_true", help="seconds: only whether it works")
    options = parser.parse_args(arguments)
    load = _TINY if options.tiny else Load()
    server_core, instrument_core = cores()
    names = [name for name, order in _SERVERS.items() if _installed(options.python, order[0])]
    found: dict[str, list[Figures]] = {name: [] for name in names}
    wrong: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, on_core(instrument_core):
        place = Place(folder=Path(folder), server_core=server_core, instrument_core=instrument_core)
        with model(place) as upstream:
            place = replace(place, upstream=upstream)
            for number in range(options.rounds):
                for name in ordered(names, number):
                    if name not in wrong:
                        try:
                            found[name].append(_measured(place, options.python, name, load))
                        except WrongAnswer as error:
                            wrong[name] = str(error)
    sys.stdout.write(_table({name: rounds for name, rounds in found.items() if name not in wrong}))
    for name, said in wrong.items():
        sys.stdout.write(f"{name}: wrong answers, {said}\n")
    return 1 if any(name.startswith("uvicorn") for name in wrong) else 0


def _installed(python: str, module: str) -> bool:
    done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    return done.returncode == 0


def _measured(place: Place, python: str, name: str, load: Load) -> Figures:
    port = free_port()
    order = [*_SERVERS[name], f"127.0.0.1:{port}" if _SERVERS[name][-1] == "--bind" else str(port)]
    log = place.log(name.replace(", ", "-"))
    process = Process(["-m", *order], core=place.server_core, env=place.env, log=log, python=python)
    try:
        process.wait_ready(port, "/health")
        return uvloop.run(_loaded(process, Door(port=port, path="/runs"), load))
    finally:
        process.stop()


async def _loaded(process: Process, door: Door, load: Load) -> Figures:
    await blocking(door, clients=16, seconds=load.turns_s / 8, order=Order(tokens=16))
    before = process.cpu_s()
    turns = await blocking(door, clients=16, seconds=load.turns_s, order=Order(tokens=16))
    turned = process.cpu_s()
    got = await streams(
        door, count=load.streams, ramp_s=0.5, order=Order(tokens=load.tokens, interval_ms=20), limit_s=20
    )
    return {
        "turn_us": (turned - before) / turns.count * 1e6,
        "tokens_ms_1k": (process.cpu_s() - turned) / got.tokens * 1e6,
    }


def _table(found: dict[str, list[Figures]]) -> str:
    lines = [f"{'':30}{'us a turn':>12}{'ms / 1,000 tokens':>20}"]
    for name, rounds in found.items():
        cells = [_cell(rounds, found[_OURS], key) for key in ("turn_us", "tokens_ms_1k")]
        lines.append(f"{name:30}{cells[0]:>14}{cells[1]:>20}")
    return "\n".join(lines) + "\n"


def _cell(rounds: list[Figures], ours: list[Figures], key: str) -> str:
    ratio = median(one[key] / base[key] for one, base in zip(rounds, ours, strict=True))
    return f"{median(one[key] for one in rounds):.0f} ({ratio:.2f})"


if __name__ == "__main__":
    raise SystemExit(main())
