"""Measure Landline beside a bare server, a lean relay and known servers, and hold the figures against the contract.

    make bench                                 everything that is installed, three rounds: an hour and more
    python -m bench --targets bare,landline    the two that matter most: half an hour
    python -m bench --short                    a minute; fails when a ratio has become worse than bench/baseline.json
    python -m bench --only "200 streams" --rounds 5 --targets bare,landline
    python -m bench --profile                  where the time of 200 streams goes in Landline (needs py-spy)

One core has the servers, another the scripted model and the load. In every round each scenario meets all targets one
after the other, in turns forwards and backwards, so that whatever else the machine does meets them alike: figures are
of this machine and hour, ratios can be compared. docs/performance.md says what each row means.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import docs
from bench.baseline import PATH as BASELINE
from bench.baseline import Baseline, regressions
from bench.chart import chart
from bench.peers import PEERS
from bench.process import ROOT, cores, fsync_ms, on_core, raise_file_limit
from bench.profile import profile
from bench.report import as_json, rows, table
from bench.rounds import Rounds, derive, import_s, say
from bench.scenarios import Scenario, full, short, tiny
from bench.servers import LIMITS, OURS, Place, Target, model
from bench.verdicts import as_text, verdicts

__all__ = ["main"]

_MEASURED = (
    "landline",
    "pydantic-ai-slim",
    "openai-agents",
    "langgraph",
    "langchain",
    "openai",
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
)
_RESULTS = ROOT / "bench" / "results"
_ALL = {target.name: target for target in (*OURS, *PEERS)}
_SHORT = "bare,landline"
_BUSY = 0.5


@dataclass(kw_only=True)
class Found:
    """What a run gave, and what was wrong with it."""

    about: dict[str, Any]
    targets: Sequence[Target]
    rounds: list[Any] = field(default_factory=list[Any])
    faults: list[str] = field(default_factory=list[str])
    peer_faults: list[str] = field(default_factory=list[str])
    profiles: list[Any] = field(default_factory=list[Any])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if a target answered wrongly or did not start, or a ratio has regressed, 2 for a wrong option."""
    options = _options(arguments)
    names = options.targets or (
        _SHORT if options.short else "landline" if options.profile else ",".join(_ALL)
    )
    unknown = [name for name in names.split(",") if name not in _ALL]
    scenarios = _scenarios(options)
    if unknown or not scenarios:
        sys.stderr.write(f"nothing to measure: unknown --targets {', '.join(unknown)} or --only\n")
        return 2
    wanted = [target for name, target in _ALL.items() if name in names.split(",")]
    found = _measure(wanted, scenarios, options)
    if _worse(found, options):
        say("worse than the baseline: measured once more, and what is not worse again was noise")
        found = _measure(wanted, scenarios, options)
    return _write(found, options)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--short", action="store_true", help="a minute, held against the baseline")
    add("--tiny", action="store_true", help="seconds: only whether the bench works")
    add("--rounds", type=int, default=0, help="default 3, or 1 with --tiny")
    add(
        "--only",
        action="append",
        default=[],
        help="the scenario of this name, or all whose name has it; may be repeated",
    )
    add("--targets", default="", help=f"of {', '.join(_ALL)} (default: all that are installed)")
    add(
        "--peers",
        type=Path,
        default=ROOT / ".venv" / "peers",
        help="where `python -m bench.peers` installed them",
    )
    add("--out", type=Path, default=_RESULTS, help="folder of the JSON and the plot")
    add("--baseline", type=Path, default=BASELINE, help="the ratios that --short is held against")
    add("--write-baseline", action="store_true", help="keep the ratios of this --short run as the baseline")
    add("--write-docs", action="store_true", help="put the tables of this run into docs/performance.md")
    add("--profile", action="store_true", help="sample where the time goes instead of measuring")
    return parser.parse_args(arguments)


def _scenarios(options: argparse.Namespace) -> list[Scenario]:
    every = tiny() if options.tiny else short() if options.short else full()
    only = options.only or (
        ["200 streams"] if options.profile and not options.tiny and not options.short else []
    )
    whole = {one.name for one in every}
    return [
        one for one in every if not only or any(w == one.name if w in whole else w in one.name for w in only)
    ]


def _measure(wanted: Sequence[Target], scenarios: Sequence[Scenario], options: argparse.Namespace) -> Found:
    raise_file_limit()
    server_core, instrument_core = cores()
    if server_core is None:
        say("one core only: the load shares it with the servers, and the figures mean little")
    options.out.mkdir(parents=True, exist_ok=True)
    # Below the results and not in a system's temporary folder, which may be memory: a durable write must cost.
    folder = Path(tempfile.mkdtemp(prefix="data-", dir=options.out.resolve()))
    place = Place(
        folder=folder, server_core=server_core, instrument_core=instrument_core, peers=options.peers
    )
    not_installed = {one.name: how for one in wanted if (how := one.missing(options.peers))}
    targets = [target for target in wanted if target.name not in not_installed]
    count = options.rounds or (1 if options.tiny else 3)
    imports = import_s(place, targets, 1 if options.short or options.tiny else 3)
    found = Found(about=_about(place, targets, count, imports), targets=targets)
    found.about["not_installed"] = not_installed
    try:
        with on_core(instrument_core), model(place) as upstream:
            place = replace(place, upstream=upstream)
            if options.profile:
                found.profiles = profile(place, targets, scenarios, options.out)
            else:
                rounds = Rounds(place, targets, scenarios)
                found.faults, found.peer_faults = rounds.faults, rounds.peer_faults
                found.rounds = rounds.run(count, keep=options.short)
    finally:
        if found.faults:
            found.faults.extend(_log_ends(folder))
        shutil.rmtree(folder, ignore_errors=True)
    derive(found.rounds, targets, imports)
    return found


def _log_ends(folder: Path) -> Iterator[str]:
    """Return what the servers said last: their logs go with the folder."""
    for log in sorted(folder.rglob("*.log")):
        if said := log.read_text(errors="replace").strip():
            yield f"{log.name}: {said[-1500:]}"


def _about(
    place: Place, targets: Sequence[Target], rounds: int, imports: Mapping[str, float]
) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "targets": [target.name for target in targets],
        "rounds": rounds,
        "cores": [place.server_core, place.instrument_core],
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in _MEASURED},
        "limits": list(LIMITS),
        "import_s": dict(imports),
        "fsync_ms": fsync_ms(place.folder),
        "load": round(os.getloadavg()[0], 2),
    }


def _write(found: Found, options: argparse.Namespace) -> int:
    about, yardsticks = found.about, {target.name: target.yardstick for target in found.targets}
    rowed, states = rows(found.rounds, yardsticks), verdicts(found.rounds, about["fsync_ms"])
    if _is_compared(options) and options.write_baseline:
        kept = {name: about[name] for name in ("at", "machine", "load", "python", "rounds", "versions")}
        Baseline.of(rowed, kept).write(options.baseline)
    worse = _worse(found, options)
    told = {
        **about,
        "faults": found.faults,
        "peer_faults": found.peer_faults,
        "regressions": worse,
        "profiles": found.profiles,
        "verdicts": [
            {
                "id": v.line.id,
                "says": v.line.says,
                "target": v.line.target,
                "value": v.value,
                "bound": v.bound,
            }
            | {"of": v.line.of, "over": v.line.over, "least": v.line.least, "state": v.state}
            for v in states
        ],
    }
    stamp = about["at"].replace(":", "").replace("-", "")[:15]
    (options.out / f"{stamp}.json").write_text(json.dumps(as_json(rowed, found.rounds, told), indent=1))
    if rowed:
        (options.out / f"{stamp}.svg").write_text(chart(rowed, list(yardsticks)))
        _print(found, table(rowed, yardsticks), as_text(states, all_of=not (options.short or options.tiny)))
    for one in found.profiles:
        print(f"{one['scenario']}, {one['target']}: {one['samples']} samples\n{one['text']}\n")
    print(f"{options.out / stamp}.json" + (", .svg" if rowed else ""))
    if options.write_docs and rowed:
        docs.write_tables(docs.PATH, rowed, states, about)
    if options.write_docs and found.profiles:
        docs.write_profiles(docs.PATH, found.profiles, about)
    for fault in found.peer_faults:
        print(f"not measured {fault}")
    for fault in found.faults:
        print(f"WRONG {fault}")
    for one in worse:
        print(f"WORSE {one}")
    return 1 if found.faults or worse else 0


def _print(found: Found, figures: str, lines: str) -> None:
    about = found.about
    imports = ", ".join(f"{name} {took:.2f} s" for name, took in about["import_s"].items())
    print(figures)
    print(
        f"\nmedians of {about['rounds']} rounds, ratios of the same round, ± half their spread; * is better than bare."
        f"\nimport: {imports}; one fsync {about['fsync_ms']:.2f} ms."
        f" The machine's load before the run was {about['load']:.1f}"
        + (": it had other work, and what waits is not to be believed." if about["load"] > _BUSY else ".")
    )
    if lines:
        print(f"\n{lines}\n")
    for name, how in about["not_installed"].items():
        print(f"{name}: not installed. {how}")


def _is_compared(options: argparse.Namespace) -> bool:
    return options.short and not (options.profile or options.only or options.targets)


def _worse(found: Found, options: argparse.Namespace) -> list[str]:
    """Say what has become worse than the baseline; nothing of a run that is not the short one whole, or that is to be the baseline."""
    if not _is_compared(options) or options.write_baseline:
        return []
    if not options.baseline.exists():
        return [f"there is no {options.baseline.name}: write one with --short --write-baseline"]
    yardsticks = {target.name: target.yardstick for target in found.targets}
    return regressions(rows(found.rounds, yardsticks), Baseline.read(options.baseline))


if __name__ == "__main__":
    sys.exit(main())
