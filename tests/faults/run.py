"""Kill the server again and again under load, and see what is left: `python -m tests.faults.run --kills 200`.

A real server on a free loopback port and a temporary folder gets a bounded load, is killed with SIGKILL at random
moments while runs are in progress, and is started again on the same data. At the end all questions are answered, every
run has to come to its end, and everything the server says is held against the log, the ledger of the tools and what the
clients saw. The unit of the closing line is the kill; one with a broken run in its time has failed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from landline.testing.kill import Ledger, NotReady, ServedProcess
from tests.e2e.http import connect
from tests.faults.load import API, Client, Notes
from tests.faults.verify import Findings, Verifier, items

HERE = Path(__file__).parent
WARM = {
    "agents": ("pydantic_ai", "pydantic_ai.models.function", "landline.adapters.pydantic_ai.turn"),
    "agents_openai": ("agents", "landline.adapters.openai_agents.turn"),
    "agents_ag2": ("ag2", "ag2.testing", "landline.adapters.ag2.turn"),
    "agents_langgraph": ("langchain.agents", "landline.adapters.langgraph.turn"),
}
"""What a start may import ahead, by agents module: a server that imports for seconds is killed less often in its work."""
SETTLE_S = 90.0
_VARYING = re.compile(r"[0-9a-f-]{20,}|call_\w+|\b\d+\b|\{.*")
EARLY = 0.1
"""Share of kills that hit a server which is still starting, in the middle of its recovery."""


@dataclass
class Kills:
    """When the kills were, and how long the server took to come back."""

    at: list[float] = field(default_factory=list[float])
    busy: list[int] = field(default_factory=list[int])
    back_s: list[float] = field(default_factory=list[float])
    early: int = 0


async def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="tests.faults.run", description=__doc__.split("\n", 1)[0] if __doc__ else ""
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument(
        "--agents",
        default="agents",
        help="the module in tests/faults that is served; another than `agents` has one agent, `model`",
    )
    parser.add_argument("--keep", action="store_true", help="keep the data folder also when all is well")
    options = parser.parse_args(argv)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**9)
    folder = Path(tempfile.mkdtemp(prefix="landline-faults-"))
    print(f"{options.kills} kills, seed {seed}, {options.clients} clients")
    began = time.monotonic()
    notes, kills = Notes(agents=("plain", "model") if options.agents == "agents" else ("model",)), Kills()
    ledger = Ledger(folder / "ledger.jsonl")
    server = ServedProcess(
        HERE / f"{options.agents}.py",
        data=folder / "data",
        environ={"FAULTS_LEDGER": str(folder / "ledger.jsonl")},
        options=("--grace", "0"),
        warm=WARM.get(options.agents, ()),
    )
    try:
        await server.start()
        await load_and_kill(server, notes, kills, options.kills, options.clients, seed)
        await settle(server, notes, seed)
        async with connect(server.port) as line:
            found = await Verifier(server.port, notes, ledger).check(line)
        await after(server, notes)
    except (NotReady, AssertionError, TimeoutError) as error:
        notes.fault(f"{type(error).__name__}: {error}")
        found = Findings()
    finally:
        server.kill()
    return report(folder, notes, kills, found, options.kills, time.monotonic() - began, keep=options.keep)


async def load_and_kill(
    server: ServedProcess, notes: Notes, kills: Kills, count: int, clients: int, seed: int
) -> None:
    """Run the clients, and kill the server `count` times beside them."""
    chance, stop = random.Random(seed), asyncio.Event()
    living = [asyncio.create_task(Client(server.port, notes, seed + n).live(stop)) for n in range(clients)]
    # A client may wait behind a question that another one left: somebody looks at the inbox as long as one waits.
    attendant = asyncio.create_task(Client(server.port, notes, seed - 1).attend())
    try:
        for _ in range(count):
            async with asyncio.timeout(SETTLE_S):
                await notes.in_progress.wait()
            await asyncio.sleep(chance.random() ** 2 * 1.2 + 0.05)
            kills.at.append(time.monotonic())
            kills.busy.append(notes.busy)
            server.kill()
            server.launch()
            if chance.random() < EARLY and len(kills.at) < count:
                kills.early += 1
                await asyncio.sleep(chance.random() * 1.2)
            else:
                kills.back_s.append(await server.ready())
        # The last one has to be survived as well, with the load still on.
        await server.ready()
        await asyncio.sleep(0.5)
    finally:
        stop.set()
        await asyncio.gather(*living)
        attendant.cancel()


async def settle(server: ServedProcess, notes: Notes, seed: int) -> None:
    """Approve what is asked until every run has ended."""
    client = Client(server.port, notes, seed)
    until, open_runs = time.monotonic() + SETTLE_S, list[str]()
    async with connect(server.port) as line:
        while time.monotonic() < until:
            asked = [question async for question in items(line, f"{API}/approvals?limit=200")]
            for question in asked:
                await client.answer(question["run_id"], [question], approve=True)
            open_runs = [
                run["id"]
                for status in ("queued", "running", "waiting")
                async for run in items(line, f"{API}/runs?limit=200&status={status}")
            ]
            if not open_runs and not asked:
                return
            await asyncio.sleep(0.1)
    notes.fault(f"{len(open_runs)} runs have not ended after {SETTLE_S} s: {open_runs[:5]}")


async def after(server: ServedProcess, notes: Notes) -> None:
    """Stop in order, and let `landline doctor` look at the logs."""
    if (code := await server.stop()) != 0:
        notes.fault(f"the server stopped with {code}:\n{server.tail(10)}")
    doctor = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "landline.cli.main", "doctor", "--check-log", "--data", str(server.data)],
        capture_output=True,
        text=True,
        cwd=server.data.parent,
        check=False,
    )
    notes.counts["doctor's exit code"] = doctor.returncode
    if doctor.returncode != 0:
        notes.fault(
            f"landline doctor --check-log gave {doctor.returncode}: {doctor.stdout[-800:]}{doctor.stderr[-800:]}"
        )


def report(
    folder: Path, notes: Notes, kills: Kills, found: Findings, wanted: int, took_s: float, *, keep: bool
) -> int:
    """Print the figures and return the exit code."""
    broken = [(_span(notes, run_id), f"run {run_id}: {text}") for run_id, text in found.broken]
    broken += [((at, at), text) for at, text in notes.faults]
    failed = {_kill_of(kills, span) for span, _ in broken}
    rows = [
        ("kills", len(kills.at)),
        ("  while the server was starting", kills.early),
        ("  turns in progress at a kill, mean", f"{_mean(kills.busy):.1f}"),
        (
            "  seconds to be ready again, mean / worst",
            f"{_mean(kills.back_s):.2f} / {max(kills.back_s, default=0):.2f}",
        ),
        ("runs accepted and known to clients", len(notes.accepted)),
        *((name, count) for name, count in sorted(found.counts.items())),
        *((f"clients: {name}", count) for name, count in sorted(notes.counts.items())),
        ("finished calls run again", sum("ran again" in text for _, text in broken)),
        ("accepted messages lost", len(notes.accepted) - found.counts["accepted messages found"]),
        ("broken promises", len(broken)),
        ("seconds", f"{took_s:.0f}"),
    ]
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows))
    for kind, texts in _kinds([text for _, text in broken]).items():
        print(f"BROKEN {len(texts)} times: {kind}")
        print("\n".join(f"    {text[:500]}" for text in texts[:3]))
    (folder / "broken.txt").write_text("\n".join(text for _, text in broken), encoding="utf-8")
    if broken or keep:
        print(f"data, ledger and server output: {folder}")
    else:
        shutil.rmtree(folder)
    done = len(kills.at)
    passed = done - len(failed) if done == wanted else min(done - len(failed), wanted - 1)
    print(f"{passed} passed, {wanted - passed} failed")
    return 1 if broken or passed < wanted else 0


def _kinds(texts: list[str]) -> dict[str, list[str]]:
    """Put faults together that differ in ids, names and numbers only."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for text in texts:
        found[_VARYING.sub("…", text)[:160]].append(text)
    return dict(sorted(found.items(), key=lambda kind: -len(kind[1])))


def _span(notes: Notes, run_id: str) -> tuple[float, float]:
    turn = notes.accepted.get(run_id)
    return (turn.began_s, turn.began_s + 10.0) if turn else (float("inf"), float("inf"))


def _kill_of(kills: Kills, span: tuple[float, float]) -> int:
    """Return the first kill in the time of a fault, else the last one before it."""
    inside = [n for n, at in enumerate(kills.at) if span[0] <= at <= span[1]]
    before = [n for n, at in enumerate(kills.at) if at <= span[0]]
    return inside[0] if inside else before[-1] if before else 0


def _mean(values: list[int] | list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
