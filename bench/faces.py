"""Measure what each face costs a server that has it on, and that one with none costs nothing, as one table (FACE-14).

    python -m bench.faces                            nine rounds of each, about five minutes
    python -m bench.faces --rounds 3 --only mcp

The yardstick is `core`: the same server in a Python that cannot import any face, nor a package that only faces need.
Every round starts each server anew on one core, in turns forwards and backwards; figures are medians, ratios and
differences are those of the same round. CPU time is what a busy machine changes least. Memory is what belongs to the process alone and its share of the rest (PSS).
"""

import argparse
import http.client
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points, version
from pathlib import Path
from statistics import median

from bench.process import ROOT, Process, cores, free_port

__all__ = ["Start", "differences", "main", "servers", "start", "table"]

_RESULTS = ROOT / "bench" / "results"
_AGENT = str(ROOT / "bench" / "targets" / "echo.py")
_PATH = "/openapi.json"
"""The one request that every set of faces answers: it makes the document of all routes that are on."""

_WITHIN_S = 60.0
CORE, OFF, NATIVE, ALL = "core", "off", "native", "all"


@dataclass(frozen=True, kw_only=True)
class Start:
    """One server: seconds to its first answer, MB after that and after a request, CPU seconds, imported modules."""

    ready_s: float
    cpu_s: float
    ready_mb: float
    used_mb: float
    modules: int
    names: tuple[str, ...] = ()

    @property
    def figures(self) -> dict[str, float]:
        """The figures by name."""
        return {name: getattr(self, name) for name in FIGURES}


FIGURES = {
    "ready_s": ("first answer, s", 3),
    "cpu_s": ("CPU until then, s", 3),
    "ready_mb": ("memory then, MB", 1),
    "used_mb": ("after a request, MB", 1),
    "modules": ("modules", 0),
}


def servers() -> dict[str, str]:
    """Return what is measured: the value of `--faces` by name. A face that is no wire of its own stands on `native`."""
    found = sorted(
        point.name
        for point in entry_points(group="landline.faces")
        if not point.value.startswith("landline.testing") and point.name != NATIVE
    )
    return {
        CORE: "core",
        OFF: "",
        NATIVE: NATIVE,
        **{f"+ {name}": f"{NATIVE},{name}" for name in found},
        ALL: ALL,
    }


def start(faces: str, folder: Path, core: int | None) -> Start:
    """Start a server, look at it, and stop it.

    Raises:
        RuntimeError: It ended, or did not answer in time; with the end of its log.
    """
    port, log, modules = free_port(), folder / "server.log", folder / "modules.json"
    where = [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--data",
        str(folder / "data"),
        "--grace",
        "0",
        "--open",
    ]
    arguments = ["-m", "bench.targets.switched", str(modules), faces, "serve", _AGENT, *where]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    process = Process(arguments, core=core, env={"PYTHONPATH": path}, log=log)
    try:
        # What no face serves: the app itself answers, which it does once the database is open.
        ready_s = _answered(process, port, "/nothing-is-here", 404, log)
        cpu_s, ready_mb = process.cpu_s(), process.pss_kb() / 1024
        _answered(process, port, _PATH, 200, log)
        process.wait_quiet()
        used_mb = process.pss_kb() / 1024
    finally:
        process.stop()
    names = tuple(json.loads(modules.read_text(encoding="utf-8")))
    return Start(
        ready_s=ready_s, cpu_s=cpu_s, ready_mb=ready_mb, used_mb=used_mb, modules=len(names), names=names
    )


def _answered(process: Process, port: int, path: str, status: int, log: Path) -> float:
    """Ask until there is an answer, and return the seconds since the start."""
    until = process.started_at + _WITHIN_S
    while time.monotonic() < until and process.running:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=_WITHIN_S)
        try:
            line.request("GET", path)
            answer = line.getresponse()
            answer.read()
        except (ConnectionError, http.client.HTTPException):
            time.sleep(0.002)
            continue
        finally:
            line.close()
        if answer.status != status:
            raise RuntimeError(f"{path} was answered with {answer.status}")
        return time.monotonic() - process.started_at
    raise RuntimeError(f"no answer:\n{log.read_text(errors='replace')[-2000:]}")


def differences(rounds: Sequence[dict[str, Start]], name: str, to: str) -> dict[str, float]:
    """Return the median of what a server had more than another in the same round, by figure."""
    pairs = [(one[name].figures, one[to].figures) for one in rounds]
    return {figure: median(mine[figure] - other[figure] for mine, other in pairs) for figure in FIGURES}


def table(rounds: Sequence[dict[str, Start]], names: Sequence[str]) -> str:
    """Return the medians, and the ratio of CPU and memory to `core`, as text."""
    cells = [["faces", *(title for title, _ in FIGURES.values()), "CPU/core", "memory/core"]]
    for name in names:
        middle = {figure: median(one[name].figures[figure] for one in rounds) for figure in FIGURES}
        shown = [f"{middle[figure]:,.{digits}f}" for figure, (_, digits) in FIGURES.items()]
        ratios = [f"{_ratio(rounds, name, figure):.2f}" for figure in ("cpu_s", "ready_mb")]
        cells.append([name, *shown, *ratios])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    )


def _ratio(rounds: Sequence[dict[str, Start]], name: str, figure: str) -> float:
    return median(one[name].figures[figure] / one[CORE].figures[figure] for one in rounds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if a server with no face on imported one."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.faces",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--only", action="append", default=[], help="faces whose name has this; may be repeated"
    )
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder of the JSON")
    options = parser.parse_args(arguments)
    always = (CORE, OFF, NATIVE)
    wanted = {
        name: faces
        for name, faces in servers().items()
        if not options.only or name in always or any(word in name for word in options.only)
    }
    options.out.mkdir(parents=True, exist_ok=True)
    core, _ = cores()
    _round({ALL: ALL}, 0, core, options.out)  # compiles what was not, and fills the system's cache
    rounds = [_round(wanted, number, core, options.out) for number in range(options.rounds)]
    return _write(rounds, list(wanted), options.out)


def _round(wanted: dict[str, str], number: int, core: int | None, out: Path) -> dict[str, Start]:
    found: dict[str, Start] = {}
    for name in list(wanted) if number % 2 == 0 else reversed(wanted):
        sys.stderr.write(f"round {number + 1}: {name}\n")
        folder = Path(tempfile.mkdtemp(prefix="faces-", dir=out))
        try:
            found[name] = start(wanted[name], folder, core)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return found


def _write(rounds: Sequence[dict[str, Start]], names: Sequence[str], out: Path) -> int:
    print(table(rounds, names))
    more = {
        name: differences(rounds, name, CORE if name == OFF else NATIVE)
        for name in names[1:]
        if name != NATIVE
    }
    for name in (OFF, ALL):
        if name in more:
            costs = ", ".join(
                f"{more[name][figure]:+.3f} ({title})" for figure, (title, _) in FIGURES.items()
            )
            print(f"\n{name} over {CORE if name == OFF else NATIVE}: {costs}")
    known = set(rounds[0][CORE].names)
    added = {name: sorted(_packages(set(rounds[0][name].names) - known)) for name in names[1:]}
    at = datetime.now(UTC).isoformat(timespec="seconds")
    about = {
        "at": at,
        "rounds": len(rounds),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {
            name: version(name) for name in ("landline", "fastapi", "starlette", "uvicorn", "pydantic")
        },
    }
    told = {
        "about": about,
        "differences": more,
        "packages": added,
        "rounds": [{name: one[name].figures for name in names} for one in rounds],
    }
    path = out / f"faces-{at.replace(':', '').replace('-', '')[:15]}.json"
    path.write_text(json.dumps(told, indent=1), encoding="utf-8")
    print(path)
    if added[OFF]:
        print(f"WRONG: with no face on there are {', '.join(added[OFF])}")
    return 1 if added[OFF] else 0


def _packages(modules: set[str]) -> set[str]:
    """Return the packages of modules; of ours, the unit."""
    return {".".join(name.split(".")[: 3 if name.startswith("landline.faces.") else 1]) for name in modules}


if __name__ == "__main__":
    sys.exit(main())
