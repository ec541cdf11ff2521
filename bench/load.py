"""The load: clients that post and wait, and streams that are read to their end. Every answer is checked."""

import asyncio
import json
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.tokens import Answer, prompt
from bench.wire import Line, Reply, Said, SseText, connect, request

__all__ = [
    "Dialect",
    "Door",
    "Order",
    "Streamed",
    "Turns",
    "WrongAnswer",
    "blocking",
    "percentile_ms",
    "post",
    "streams",
]


class WrongAnswer(Exception):
    """A server that answers wrongly has no figures."""


class Dialect:
    """How a target is asked and how it answers; this one is Landline's and bare's, a peer has its own."""

    said = Said()

    def turn(self, door: "Door", text: str, mode: str, more: Mapping[str, Any]) -> bytes:
        """Return the request of one turn; `mode` is wait, stream, or what only Landline has."""
        return request(door.path, door.headers, {"input": text, "mode": mode, **door.fields, **more})

    def output(self, body: bytes) -> str:
        """Return the text of a whole answer."""
        return str(json.loads(body)["output"])


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where a target takes a turn, and what it wants to see with it."""

    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    threads: str = ""
    """Where a thread is made; empty where the client names it."""

    dialect: Dialect = field(default_factory=Dialect)

    def turn(self, text: str, *, mode: str, **more: Any) -> bytes:
        return self.dialect.turn(self, text, mode, more)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the model is to say."""

    tokens: int
    interval_ms: int = 0

    @property
    def ideal_s(self) -> float:
        """How long the model itself takes: its first token comes at once."""
        return (self.tokens - 1) * self.interval_ms / 1000


@dataclass(kw_only=True)
class Turns:
    """Blocking turns."""

    count: int = 0
    seconds: float = 0.0
    latencies_us: "array[int]" = field(default_factory=lambda: array("q"))


@dataclass(kw_only=True)
class Streamed:
    """Streams of one scenario. Those that were cut at the time limit count with what had come."""

    answers: list[Answer] = field(default_factory=list[Answer])
    firsts_us: "array[int]" = field(default_factory=lambda: array("q"))
    ideal: float = 0.0
    cut: int = 0

    @property
    def tokens(self) -> int:
        return sum(answer.count for answer in self.answers)

    def delays_us(self) -> "array[int]":
        return _joined([answer.delays_us for answer in self.answers])

    def lags_us(self) -> "array[int]":
        return _joined([answer.lags_us for answer in self.answers])


def percentile_ms(values_us: "array[int]", percent: float) -> float:
    """Return the value in milliseconds that `percent` of the values do not exceed."""
    ordered = sorted(values_us)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] / 1000 if ordered else 0.0


async def post(door: Door, text: str, *, mode: str = "wait", **more: Any) -> dict[str, Any]:
    """Post one turn and return its JSON.

    Raises:
        WrongAnswer: The status is no success.
    """
    line = await connect(door.port)
    try:
        reply = await line.ask(door.turn(text, mode=mode, **more))
    finally:
        line.close()
    if reply.status not in {200, 202}:
        raise WrongAnswer(f"status {reply.status}: {reply.body[:200]!r}")
    return json.loads(reply.body)


async def blocking(door: Door, *, clients: int, seconds: float, order: Order) -> Turns:
    """Post turns one after the other from each of so many clients, for a time.

    Raises:
        WrongAnswer: One was not answered, or not with the whole text.
    """
    turns, text = Turns(), prompt(order.tokens, order.interval_ms)
    lines = [await connect(door.port) for _ in range(clients)]
    began = time.monotonic()
    until = began + seconds

    async def client(line: Line) -> None:
        while (asked := time.monotonic()) < until:
            reply = await line.ask(door.turn(text, mode="wait"))
            turns.latencies_us.append(int((time.monotonic() - asked) * 1e6))
            _check_whole(door, reply, order)
            turns.count += 1

    try:
        async with asyncio.TaskGroup() as group:
            for line in lines:
                group.create_task(client(line))
    except ExceptionGroup as several:  # the first fault is the reason; the others followed from it
        raise several.exceptions[0] from None
    finally:
        for line in lines:
            line.close()
    turns.seconds = time.monotonic() - began
    return turns


def _check_whole(door: Door, reply: Reply, order: Order) -> None:
    if reply.status != 200 or not reply.whole:
        raise WrongAnswer(f"status {reply.status}: {reply.body[:200]!r}")
    answer = Answer()
    answer.feed(door.dialect.output(reply.body).encode(), 0)
    if fault := answer.fault(order.tokens):
        raise WrongAnswer(fault)


async def streams(door: Door, *, count: int, ramp_s: float, order: Order, limit_s: float) -> Streamed:
    """Start so many streams evenly over the ramp, read each to its end, and cut what is left at the time limit.

    `ideal` is the time the model takes over the time the reader waited, in sum over all streams.

    Raises:
        WrongAnswer: A stream was refused, broke off, or holds another text.
    """
    result = Streamed()
    text = prompt(order.tokens, order.interval_ms)
    lines = [await connect(door.port) for _ in range(count)]
    began = time.monotonic()
    due_s = lasted_s = 0.0

    async def reader(line: Line, start_s: float) -> None:
        nonlocal due_s, lasted_s
        await asyncio.sleep(began + start_s - time.monotonic())
        answer = Answer(order.interval_ms)
        result.answers.append(answer)
        clock = _First(answer, door.dialect.said)
        started = time.monotonic()
        cut = False
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + began + limit_s - started):
                reply = await line.ask(door.turn(text, mode="stream"), clock)
        except TimeoutError:
            cut = True
            line.close()
        else:
            if reply.status != 200 or not reply.whole:
                raise WrongAnswer(f"status {reply.status}, whole: {reply.whole}, {reply.body[:200]!r}")
        ended = time.monotonic()
        if fault := answer.wrong or ("" if cut else answer.fault(order.tokens)):
            raise WrongAnswer(f"{fault}; the stream ended with {clock.last!r}")
        result.cut += cut
        result.firsts_us.append(int(((clock.first_at or ended) - started) * 1e6))
        # A stream is only as far ahead as the tokens that came: a cut one counts with the time these take.
        due_s += max(0, answer.count - 1) * order.interval_ms / 1000
        lasted_s += ended - started

    try:
        async with asyncio.TaskGroup() as group:
            for number, line in enumerate(lines):
                group.create_task(reader(line, ramp_s * number / count))
    except ExceptionGroup as several:  # the first fault is the reason; the others followed from it
        raise several.exceptions[0] from None
    finally:
        for line in lines:
            line.close()
    result.ideal = due_s / lasted_s if lasted_s else 0.0
    return result


class _First(SseText):
    """Notes when the first token came, and how the stream ended."""

    __slots__ = ("_of", "first_at", "last")

    def __init__(self, answer: Answer, said: Said) -> None:
        super().__init__(answer, said)
        self._of = answer
        self.first_at = 0.0
        self.last = b""

    def __call__(self, data: bytes, at_us: int) -> None:
        super().__call__(data, at_us)
        self.last = data[-300:]
        if not self.first_at and self._of.count:
            self.first_at = time.monotonic()


def _joined(arrays: "Sequence[array[int]]") -> "array[int]":
    joined = array("q")
    for one in arrays:
        joined.extend(one)
    return joined
