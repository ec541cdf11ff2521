"""`make plants`: plant each fault in a copy of the tree, run its tests there, and require red (REL-15).

`python -m tests.plants.run [--only NAME]...`. The tests of all chosen plants are run once without any, and must be green;
so a red one is red because of its plant. The tree itself is never touched.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.plants.plants import ROOT, Plant, StalePlant, apply, edited, plants

AT_ONCE = 2
GREEN, RED = 0, 1
"""Exit codes of pytest; any other means that the tests did not run."""

UNUSED = [word for name in ("cacheprovider", "schemathesis", "xdist") for word in ("-p", f"no:{name}")]
"""Plugins that the tests of plants do without: they take longer to load than such a test to run."""

A_FAILURE = re.compile(r"^(?:FAILED|ERROR) (tests/.*?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long one test may take, and a whole process."""

    test_s: int
    all_s: int


WITHOUT = Limits(test_s=60, all_s=300)
WITH = Limits(test_s=10, all_s=60)
"""Some faults show as a wait without end."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One pytest process: how it ended, the ids of the tests that failed, and what it printed."""

    code: int
    failed: tuple[str, ...]
    output: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one plant; `why` is the test that went red, or the reason why none did."""

    plant: Plant
    passed: bool
    why: str
    took_s: float = 0.0


def copy_tree(target: Path, source: Path = ROOT) -> None:
    """Copy what the tests need. File times are kept, so compiled modules of a copied copy stay good."""
    refused = shutil.ignore_patterns(".*", "node_modules")
    for part in ("src", "tests"):
        shutil.copytree(source / part, target / part, ignore=refused)
    shutil.copy2(source / "pyproject.toml", target)


def run_tests(tree: Path, tests: Iterable[str], *, limits: Limits, options: Sequence[str] = ()) -> Ran:
    """Run a selection in a tree, with that tree's own package."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LANDLINE_"))
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rfE",
        "--tb=short",
        "-p",
        "tests.plants.inside",
        *UNUSED,
    ]
    command += [f"--timeout={limits.test_s}", f"--basetemp={tree / 'tmp'}", *options, *tests]
    with subprocess.Popen(
        command,
        cwd=tree,
        env={**inherited, "PYTHONPATH": str(tree / "src")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limits.all_s)
        except subprocess.TimeoutExpired:
            # With the servers that its tests started.
            os.killpg(process.pid, signal.SIGKILL)
            return Ran(code=-1, failed=(), output=f"no end within {limits.all_s} s")
    return Ran(code=process.returncode, failed=tuple(A_FAILURE.findall(output)), output=output)


def not_green(tree: Path, chosen: Sequence[Plant]) -> dict[str, str]:
    """Run every chosen test once without a plant, and return what speaks against a plant's tests, by its name."""
    tests = sorted({test for plant in chosen for test in plant.tests})
    halves = [half for half in (tests[: len(tests) // 2], tests[len(tests) // 2 :]) if half]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ran = list(pool.map(partial(_half, tree), enumerate(halves)))
    for one in ran:
        if one.code not in (GREEN, RED):
            raise SystemExit(f"the tests do not run even without a plant:\n{one.output}")
    failed = [test for one in ran for test in one.failed]
    return {
        plant.name: f"red without the plant: {test}"
        for plant in chosen
        for test in failed
        if test.startswith(plant.tests)
    }


def _half(tree: Path, half: tuple[int, list[str]]) -> Ran:
    number, tests = half
    return run_tests(tree, tests, limits=WITHOUT, options=[f"--basetemp={tree / f'tmp{number}'}"])


def try_plant(clean: Path, spoilt: dict[str, str], plant: Plant) -> Result:
    """Plant the fault in a copy of its own and see whether its tests notice."""
    if plant.name in spoilt:
        return Result(plant=plant, passed=False, why=spoilt[plant.name])
    tree = clean.with_name(plant.name)
    copy_tree(tree, clean)
    apply(plant, tree)
    began = time.monotonic()
    ran = run_tests(tree, plant.tests, limits=WITH, options=["-x"])
    took_s = time.monotonic() - began
    shutil.rmtree(tree, ignore_errors=True)
    if ran.code == RED and ran.failed:
        return Result(plant=plant, passed=True, why=ran.failed[0].rpartition("::")[2], took_s=took_s)
    if ran.code == GREEN:
        why = f"SURVIVED: {plant.says}"
    else:
        why = f"its tests did not run (exit {ran.code}): {ran.output.strip()[-600:]}"
    return Result(plant=plant, passed=False, why=why, took_s=took_s)


def chosen_of(names: Sequence[str]) -> list[Plant]:
    """Return the plants of these names, all without a name. Exits on an unknown or a stale one."""
    everything = plants()
    unknown = sorted(set(names) - {plant.name for plant in everything})
    if unknown:
        raise SystemExit(
            f"no plant is named {unknown[0]}; there are: {', '.join(p.name for p in everything)}"
        )
    chosen = [plant for plant in everything if not names or plant.name in names]
    stale: list[str] = []
    for plant in chosen:
        try:
            edited(plant, ROOT)
        except StalePlant as error:
            stale.append(str(error))
    if stale:
        raise SystemExit("\n".join(stale))
    return chosen


def report(result: Result, width: int) -> None:
    """Print one row of the table."""
    mark = "red" if result.passed else "FAIL"
    promises = " ".join(result.plant.breaks)
    print(
        f"{result.plant.name:<{width}}  {promises:<16}  {mark:<4}  {result.took_s:5.1f} s  {result.why}",
        flush=True,
    )


def main() -> int:
    """Run the chosen plants and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.plants.run", description="Planted faults must turn tests red."
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="this plant only; may be repeated"
    )
    chosen = chosen_of(parser.parse_args().only)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="plants-") as folder:
        clean = Path(folder).resolve() / "clean"
        copy_tree(clean)
        spoilt = not_green(clean, chosen)
        print(
            f"{len(chosen)} plants; their tests without them took {time.monotonic() - began:.0f} s",
            flush=True,
        )
        width = max(len(plant.name) for plant in chosen)
        results: list[Result] = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for result in pool.map(partial(try_plant, clean, spoilt), chosen):
                report(result, width)
                results.append(result)
    passed = sum(result.passed for result in results)
    print(f"{passed} passed, {len(results) - passed} failed in {time.monotonic() - began:.0f} s")
    return 0 if passed == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
