"""A turn costs the same at the end of a long thread as at its beginning (THR-3, PRF-5)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.calls import API, Process, Server, percentile
from tests.e2e.conftest import Serve

TURNS = 1_100
AGAIN = 400
CYCLES = 3
"""Checkpoints of the write-ahead log come in bursts, so bytes are counted from one to another, over so many."""


@dataclass
class Course:
    """What the turns of one thread cost: running totals after each, and the turns that met a checkpoint."""

    written: list[int] = field(default_factory=list[int])
    cpu_ms: list[float] = field(default_factory=list[float])
    took_ms: list[float] = field(default_factory=list[float])
    checkpoints: list[int] = field(default_factory=list[int])

    def bytes_a_turn(self, *, first: bool) -> float:
        """Bytes of a turn over whole checkpoint cycles: the first ones after turn 10, or the last ones."""
        marks = [turn for turn in self.checkpoints if turn >= 10]
        begin, end = (marks[0], marks[CYCLES]) if first else (marks[-CYCLES - 1], marks[-1])
        return (self.written[end] - self.written[begin]) / (end - begin)

    def cpu_a_turn(self, begin: int, end: int) -> float:
        return (self.cpu_ms[end] - self.cpu_ms[begin]) / (end - begin)


async def _take(server: Server, turns: int) -> Course:
    process, course = Process(server.process.pid), Course()
    wal = server.process.data / "landline.db-wal"
    thread = await server.thread("echo")
    cycle = _cycle(wal)
    async with server.connect() as line:
        for number in range(turns):
            body = {"input": f"turn {number:06}"}
            began = time.monotonic()
            answer = await line.ask("POST", f"{API}/threads/{thread}/runs", body=body)
            course.took_ms.append((time.monotonic() - began) * 1000)
            assert answer.status == 200, answer.body
            course.written.append(process.written)
            course.cpu_ms.append(process.cpu_ms)
            if cycle != (cycle := _cycle(wal)):
                course.checkpoints.append(number)
    messages = await server.items(f"/threads/{thread}/messages?limit=200")
    assert [message["content"] for message in messages[-2:]] == [f"turn {turns - 1:06}"] * 2
    assert len(messages) == 2 * turns
    return course


def _cycle(wal: Path) -> int:
    """Return how often the write-ahead log was begun anew: its header says so (SQLite file format, 4.1)."""
    with wal.open("rb") as file:
        return int.from_bytes(file.read(16)[12:16], "big")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.contract("THR-3", "PRF-5")
async def test_the_cost_of_a_turn_is_flat_over_1000_turns(serve: Serve) -> None:
    """Against its own beginning, and against the beginning of a second thread in the database that has grown."""
    server = serve()
    await server.start()
    long = await _take(server, TURNS)
    second = await _take(server, AGAIN)
    early, late = long.bytes_a_turn(first=True), long.bytes_a_turn(first=False)
    grown = second.bytes_a_turn(first=True)
    cpu_early, cpu_late = long.cpu_a_turn(10, 110), long.cpu_a_turn(TURNS - 101, TURNS - 1)
    print(
        f"a turn at k=10, at k=1000, and at k=10 of a second thread: {early:.0f}, {late:.0f}, {grown:.0f} bytes; "
        f"CPU {cpu_early:.1f}, {cpu_late:.1f}, {second.cpu_a_turn(10, 110):.1f} ms; "
        f"median {percentile(long.took_ms[10:110], 0.5):.1f}, {percentile(long.took_ms[-100:], 0.5):.1f}, "
        f"{percentile(second.took_ms[10:110], 0.5):.1f} ms; {len(long.checkpoints)} checkpoints"
    )
    assert abs(late / grown - 1) < 0.05
    assert abs(late / early - 1) < 0.20
    assert cpu_late < cpu_early * 1.2 + 1.0
