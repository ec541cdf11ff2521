"""What a turn costs at the end of a long thread, beside one on a short thread (PRF-5).

Short and long take turns, so that what drifts meets both. `own_share` says how the server's own part grew: the CPU time
it takes over bare, which keeps the same history in a list in memory and gives it to the same model client. The clock's
time is told beside it; the difference of two waits of which one is ten times the other says little.
"""

import asyncio
import json
import time
from statistics import mean, median
from typing import TypeVar
from urllib.parse import urlsplit

from bench.load import Door, WrongAnswer
from bench.metrics import Figures
from bench.servers import Server
from bench.tokens import prompt
from bench.wire import Line, connect, request

__all__ = ["growth", "own_share", "thread", "without_bursts"]

T = TypeVar("T")

SHORT = 10
_TEXT = prompt(4, 0)
_AFTER_S = 0.03
_MANY = 999.0


async def thread(server: Server, messages: int, turns: int) -> Figures:
    """Take turns on threads of ten messages and on one of `messages`.

    Raises:
        WrongAnswer: A turn failed, or the model was not given the whole thread.
    """
    line = await connect(server.door.port)
    try:
        briefs = [await _grown(server.door, line, f"short {number}", SHORT) for number in range(turns)]
        long = await _grown(server.door, line, "long", messages)
        took, spent, wrote = _of_both(float), _of_both(float), _of_both(int)
        for number, brief in enumerate(briefs):
            for kind, one, before in (("short", brief, SHORT), ("long", long, messages + 2 * number)):
                written, cpu_s, began = server.process.written(), server.process.cpu_s(), time.monotonic()
                await _turn(server.door, line, one)
                took[kind].append((time.monotonic() - began) * 1000)
                await _was_given(server.place.upstream, before // 2 + 1)
                # What a server still does when it has answered belongs to the turn.
                await asyncio.sleep(_AFTER_S)
                spent[kind].append((server.process.cpu_s() - cpu_s) * 1000)
                wrote[kind].append(server.process.written() - written)
    finally:
        line.close()
    return {
        "turn_short_ms": median(took["short"]),
        "turn_long_ms": median(took["long"]),
        "cpu_short_ms": median(spent["short"]),
        "cpu_long_ms": median(spent["long"]),
        "written_short_kb": without_bursts(wrote["short"]) / 1024,
        "written_long_kb": without_bursts(wrote["long"]) / 1024,
    }


def _of_both(_: type[T]) -> dict[str, list[T]]:
    return {"short": [], "long": []}


async def _grown(door: Door, line: Line, name: str, messages: int) -> str:
    """Return a thread that has so many messages."""
    made = name
    if door.threads:
        reply = await line.ask(request(door.threads, door.headers, {"agent": door.fields["agent"]}))
        if reply.status != 201:
            raise WrongAnswer(f"no thread: {reply.status} {reply.body[:200]!r}")
        made = str(json.loads(reply.body)["id"])
    for _ in range(messages // 2):
        await _turn(door, line, made)
    return made


async def _turn(door: Door, line: Line, thread_id: str) -> None:
    reply = await line.ask(door.turn(_TEXT, mode="wait", thread=thread_id))
    if reply.status != 200:
        raise WrongAnswer(f"status {reply.status}: {reply.body[:200]!r}")
    if not door.dialect.output(reply.body):
        raise WrongAnswer("a turn without an answer")


async def _was_given(upstream: str, wanted: int) -> None:
    line = await connect(urlsplit(upstream).port or 0)
    try:
        reply = await line.ask(request("/v1/seen", {}))
    finally:
        line.close()
    if (seen := json.loads(reply.body)["messages"]) != wanted:
        raise WrongAnswer(f"the model was given {seen} of the user's {wanted} messages")


def without_bursts(values: list[int]) -> float:
    """Return the mean of what is at most three times the median: a checkpoint of SQLite writes for many turns at once."""
    middle = median(values)
    return mean(value for value in values if value <= 3 * middle)


def own_share(mine: Figures, bare: Figures) -> Figures:
    """Return what a target adds to bare's turn at both ends, and how its time and its bytes grew."""
    short = mine["cpu_short_ms"] - bare["cpu_short_ms"]
    long = mine["cpu_long_ms"] - bare["cpu_long_ms"]
    return {
        "share_short_ms": short,
        "share_long_ms": long,
        "share_growth": growth(short, long),
        "written_growth": growth(mine["written_short_kb"], mine["written_long_kb"]),
    }


def growth(short: float, long: float) -> float:
    """Return long over short: 0 where there is no share at the long end, and 999 where there is one at that end only."""
    if long <= 0:
        return 0.0
    return long / short if short > 0 else _MANY
