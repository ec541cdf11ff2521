"""Measure Landline beside a bare server and a lean relay, and print one table.

    make bench                                       all scenarios, three rounds, about a quarter of an hour
    python -m bench.run --short                      a minute
    python -m bench.run --only "200 streams" --rounds 5 --targets bare,landline

One core has the servers, another the scripted model and the load. In every round each scenario meets all targets one
after the other, in turns forwards and backwards, so that whatever else the machine does meets them alike: figures are
of this machine and hour, ratios can be compared.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import uvloop

from bench.chart import chart
from bench.load import WrongAnswer
from bench.process import ROOT, cores, fsync_ms, on_core, raise_file_limit, run_once
from bench.report import Round, as_json, rows, table
from bench.scenarios import Scenario, full, server_quiet, short, tiny, warm_up
from bench.servers import TARGETS, Place, Server, model

__all__ = ["main", "measure"]

_MEASURED = ("landline", "pydantic-ai-slim", "openai", "fastapi", "starlette", "uvicorn", "uvloop")
_RESULTS = ROOT / "bench" / "results"

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if a target answered wrongly or did not start."""
    options = _options(arguments)
    targets = [name for name in TARGETS if name in options.targets.split(",")]
    scenarios = tiny() if options.tiny else short() if options.short else full()
    if options.only:
        scenarios = [
            scenario for scenario in scenarios if any(word in scenario.name for word in options.only)
        ]
    if not targets or not scenarios:
        sys.stderr.write("nothing to measure: unknown --targets or --only\n")
        return 2
    return measure(
        targets, scenarios, options.rounds or (1 if options.short or options.tiny else 3), options.out
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="a minute, with few and small scenarios")
    parser.add_argument("--tiny", action="store_true", help="seconds: only whether the bench works")
    parser.add_argument("--rounds", type=int, default=0, help="default 3, or 1 with --short")
    parser.add_argument(
        "--only", action="append", default=[], help="scenarios whose name has this; may be repeated"
    )
    parser.add_argument(
        "--targets", default=",".join(TARGETS), help=f"of {', '.join(TARGETS)} (default: all)"
    )
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder of the JSON and the plot")
    return parser.parse_args(arguments)


def measure(targets: Sequence[str], scenarios: Sequence[Scenario], rounds: int, out: Path) -> int:
    """Run all rounds and write what they gave."""
    raise_file_limit()
    server_core, instrument_core = cores()
    if server_core is None:
        _say("one core only: the load shares it with the servers, and the figures mean little")
    out.mkdir(parents=True, exist_ok=True)
    # Below the results and not in a system's temporary folder, which may be memory: a durable write must cost.
    folder = Path(tempfile.mkdtemp(prefix="data-", dir=out))
    place = Place(folder=folder, server_core=server_core, instrument_core=instrument_core)
    faults, done = list[str](), list[Round]()
    about = _about(place, targets, rounds)
    try:
        with on_core(instrument_core), model(place) as upstream:
            place = replace(place, upstream=upstream)
            for number in range(rounds):
                done.append(_round(place, targets, scenarios, number, faults))
    finally:
        if faults:
            faults.extend(_log_ends(folder))
        shutil.rmtree(folder, ignore_errors=True)
    _write(done, targets, about, faults, out)
    return 1 if faults else 0


def _log_ends(folder: Path) -> Iterator[str]:
    """Return what the servers said last: their logs go with the folder."""
    for log in sorted(folder.rglob("*.log")):
        if said := log.read_text(errors="replace").strip():
            yield f"{log.name}: {said[-1500:]}"


def _about(place: Place, targets: Sequence[str], rounds: int) -> dict[str, Any]:
    imports = [
        run_once(["-c", "import pydantic_ai"], place.server_core, place.env)[0] for _ in range(min(3, rounds))
    ]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "targets": list(targets),
        "rounds": rounds,
        "cores": [place.server_core, place.instrument_core],
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in _MEASURED},
        "import_pydantic_ai_s": median(imports),
        "fsync_ms": fsync_ms(place.folder),
    }


def _round(
    place: Place, targets: Sequence[str], scenarios: Sequence[Scenario], number: int, faults: list[str]
) -> Round:
    """Start all targets, give each scenario to one after the other, and stop them."""
    measured: Round = {"start": {}}
    with contextlib.ExitStack() as stack:
        servers = list[Server]()
        for name in _order(targets, number):
            try:
                server = stack.enter_context(_running(place, name))
                uvloop.run(warm_up(server))
            except (RuntimeError, WrongAnswer, OSError) as error:
                faults.append(f"{name}: {error}")
                continue
            servers.append(server)
            measured["start"][name] = {"ready_s": server.ready_s, "idle_mb": server.process.rss_kb() / 1024}
        servers.sort(key=lambda server: targets.index(server.name))
        for place_in_round, scenario in enumerate(scenarios):
            measured[scenario.name] = {}
            for server in _order(servers, number + place_in_round):
                if scenario.targets and server.name not in scenario.targets:
                    continue
                _say(f"round {number + 1}: {scenario.name}, {server.name}")
                try:
                    figures = _figures(place, scenario, server)
                except (RuntimeError, WrongAnswer, OSError) as error:
                    faults.append(f"{scenario.name}, {server.name}: {error}")
                    continue
                measured[scenario.name][server.name] = figures
    _replay_in_process(place, measured)
    return measured


def _figures(place: Place, scenario: Scenario, server: Server) -> dict[str, float]:
    if not scenario.fresh:
        return uvloop.run(_scenario(scenario, server))
    own = place.folder / "fresh"
    own.mkdir(exist_ok=True)
    with _running(replace(place, folder=own), server.name) as another:
        uvloop.run(warm_up(another))
        return uvloop.run(_scenario(scenario, another))


async def _scenario(scenario: Scenario, server: Server) -> dict[str, float]:
    figures = await scenario.run(server)
    await server_quiet(server)
    return figures


@contextlib.contextmanager
def _running(place: Place, name: str) -> Generator[Server]:
    server = TARGETS[name](place)
    try:
        yield server
    finally:
        server.process.stop()


def _replay_in_process(place: Place, measured: Round) -> None:
    """The servers are stopped: the store may be opened here."""
    for scenario, by_target in measured.items():
        noted = place.folder / "landline" / "replay"
        if scenario.startswith("replay") and "landline" in by_target and noted.exists():
            arguments = ["-m", "bench.replay", str(noted.parent), noted.read_text()]
            _, said = run_once(arguments, place.server_core, place.env)
            by_target["landline"]["replay_inner_s"] = float(said)


def _order(items: Sequence[T], turn: int) -> list[T]:
    """Forwards and backwards in turns: what drifts meets all alike."""
    return list(items) if turn % 2 == 0 else list(reversed(items))


def _write(
    done: Sequence[Round], targets: Sequence[str], about: dict[str, Any], faults: Sequence[str], out: Path
) -> None:
    for one in done:
        for figures in one["start"].values():
            figures["ready_by_import"] = figures["ready_s"] / about["import_pydantic_ai_s"]
    found = rows(done, targets)
    stamp = about["at"].replace(":", "").replace("-", "")[:15]
    (out / f"{stamp}.json").write_text(
        json.dumps(as_json(found, done, {**about, "faults": list(faults)}), indent=1)
    )
    (out / f"{stamp}.svg").write_text(chart(found, targets))
    print(table(found, targets))
    print(
        f"\nmedians of {about['rounds']} rounds; * is better than {targets[0]}. "
        f"import pydantic_ai {about['import_pydantic_ai_s']:.2f} s, one fsync {about['fsync_ms']:.2f} ms."
    )
    print(f"{out / stamp}.json, .svg")
    for fault in faults:
        print(f"WRONG {fault}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
