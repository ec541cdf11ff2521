"""Where the time goes: a sampling profiler on a server under one scenario.

It samples from outside, on the instrument's core, and the server is not told. py-spy is no dependency of the project:
`pip install py-spy` puts it where this looks, beside this Python or on PATH.
"""

import contextlib
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench.flame import flame
from bench.process import on_core
from bench.rounds import running, say
from bench.scenarios import Scenario
from bench.servers import Place, Target

__all__ = ["as_text", "folded", "owners", "profile", "top"]

_RATE = 100
_SHOWN = 25
_STOP_WITHIN_S = 30


def profile(
    place: Place, targets: Sequence[Target], scenarios: Sequence[Scenario], out: Path
) -> list[dict[str, Any]]:
    """Return for each scenario and target the samples, who owns them, and the functions most of them are in.

    Writes the stacks (`.folded`) and a flame graph (`.svg`) into `out`.

    Raises:
        RuntimeError: py-spy is not installed, or may not look into the process.
    """
    sampler, found = _sampler(), list[dict[str, Any]]()
    for scenario in scenarios:
        for target in targets:
            if not scenario.takes(target):
                continue
            say(f"profile: {scenario.name}, {target.name}")
            name = (
                f"profile-{scenario.name}-{target.name}".replace(" ", "-").replace(",", "").replace(":", "-")
            )
            path = out / f"{name}.folded"
            with (
                running(place, target) as server,
                _sampled(sampler, server.process.pid, path, place.instrument_core),
            ):
                uvloop.run(_load(scenario, server))
            stacks = folded(path.read_text(encoding="utf-8"))
            path.with_suffix(".svg").write_text(
                flame(stacks, f"{scenario.name}, {target.name}"), encoding="utf-8"
            )
            found.append(
                {
                    "scenario": scenario.name,
                    "target": target.name,
                    "samples": sum(stacks.values()),
                    "owners": owners(stacks),
                    "self": top(stacks, own=True),
                    "total": top(stacks, own=False),
                    "text": as_text(stacks),
                }
            )
    return found


async def _load(scenario: Scenario, server: Any) -> None:
    await scenario.run(server)


def _sampler() -> str:
    beside = str(Path(sys.executable).parent)
    found = shutil.which("py-spy", path=beside) or shutil.which("py-spy")
    if found is None:
        raise RuntimeError("py-spy is not installed: pip install py-spy")
    return found


@contextlib.contextmanager
def _sampled(found: str, pid: int, path: Path, core: int | None) -> Generator[None]:
    """Sample a process into a file of folded stacks while the body runs."""
    order = [
        found,
        "record",
        "--pid",
        str(pid),
        "--format",
        "raw",
        "--rate",
        str(_RATE),
        "--output",
        str(path),
    ]
    with on_core(core):
        # Whoever holds the interpreter, and the server stopped for each look: without the first, threads that wait would
        # count; without the second, two stacks of three were seen torn.
        sampler = subprocess.Popen(
            [*order, "--duration", "unlimited", "--gil"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        sampler.send_signal(signal.SIGINT)
        said, _ = sampler.communicate(timeout=_STOP_WITHIN_S)
    if not path.exists():
        raise RuntimeError(f"py-spy gave nothing: {said.decode(errors='replace')[-500:]}")


def folded(text: str) -> Counter[tuple[str, ...]]:
    """Read folded stacks: a line has the frames from the outermost in, parted by `;`, and how often they were seen."""
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        if frames and count.isdecimal():  # a frame that was read while it changed may have any name
            stacks[tuple(_frame(one) for one in frames.split(";"))] += int(count)
    return stacks


def _frame(told: str) -> str:
    """Return `function (package/file.py)` without the line and the folders before the package."""
    name, _, place = told.rpartition(" (")
    if not name:
        return told
    file = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    for mark in ("/site-packages/", "/src/", "/lib/python3.11/", "/bench/"):
        _, found, after = file.partition(mark)
        if found:
            file = f"bench/{after}" if mark == "/bench/" else after
            break
    return f"{name} ({file.removeprefix('/')})"


def top(stacks: Mapping[tuple[str, ...], int], *, own: bool) -> list[dict[str, Any]]:
    """Return the functions with the most samples: those they end in (`own`), or those they pass through."""
    seen, every = Counter[str](), sum(stacks.values()) or 1
    for frames, count in stacks.items():
        for frame in {frames[-1]} if own else set(frames):
            seen[frame] += count
    return [
        {"function": frame, "share": round(count / every, 4)} for frame, count in seen.most_common(_SHOWN)
    ]


def owners(stacks: Mapping[tuple[str, ...], int]) -> dict[str, float]:
    """Return the share of each package that samples end in; what the standard library does counts for its caller."""
    seen, every = Counter[str](), sum(stacks.values()) or 1
    for frames, count in stacks.items():
        packages = [_package(frame) for frame in frames]
        seen[
            next((one for one in reversed(packages) if one), "the interpreter and its standard library")
        ] += count
    return {name: round(count / every, 4) for name, count in seen.most_common(_SHOWN)}


def _package(frame: str) -> str:
    """Return the package of a frame, "" for the standard library and what has no file."""
    file = frame.rpartition(" (")[2].rstrip(")")
    head, found, _ = file.partition("/")
    return head if found and head not in _STANDARD and not head.startswith("<") else ""


_STANDARD = frozenset(sys.stdlib_module_names)


def as_text(stacks: Mapping[tuple[str, ...], int]) -> str:
    """Return who owns the samples, and the functions most of them end in, as text."""
    shares = [f"{share:7.1%}  {name}" for name, share in list(owners(stacks).items())[:12]]
    ends = [f"{one['share']:7.1%}  {one['function']}" for one in top(stacks, own=True)]
    return "\n".join(["by package", *shares, "by function", *ends])
