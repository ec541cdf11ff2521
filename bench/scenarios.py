"""What is measured: each scenario is one load on one running target, and gives figures by name."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from bench.load import Order, blocking, percentile_ms, streams
from bench.metrics import Figures
from bench.replay import replay
from bench.servers import MAIN, Server, Target
from bench.standing import costs, idle_readers, memory, readers
from bench.threads import thread

__all__ = ["Scenario", "full", "short", "tiny", "warm_up"]

ALL = frozenset({"bare", "landline", "relay", "stored", "peer"})
OURS = ALL - {"peer"}
THREADS = frozenset({"bare", "landline", "stored"})
LANDLINE = frozenset({"landline"})


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A load, by the name it has in the table, on the kinds of targets it is meant for.

    `frameworks`: on those of every framework, else of the first only. `fresh` gives it a server of its own: memory that an
    earlier load has left free would hide what this one takes.
    """

    name: str
    run: Callable[[Server], Awaitable[Figures]]
    on: frozenset[str] = ALL
    frameworks: bool = False
    fresh: bool = False

    def takes(self, target: Target) -> bool:
        """Tell whether it is measured on this target."""
        return target.kind in self.on and (
            self.frameworks or target.kind == "peer" or target.framework == MAIN
        )


async def warm_up(server: Server, *, streams_count: int = 16) -> None:
    """Take every path once, so that what is loaded late is loaded."""
    await blocking(server.door, clients=2, seconds=0.2, order=Order(tokens=16))
    await streams(
        server.door, count=streams_count, ramp_s=0.2, order=Order(tokens=10, interval_ms=20), limit_s=20
    )


def _blocking(clients: int, seconds: float) -> Scenario:
    async def run(server: Server) -> Figures:
        before = server.process.cpu_s()
        turns = await blocking(server.door, clients=clients, seconds=seconds, order=Order(tokens=16))
        spent = server.process.cpu_s() - before
        return {
            "turns_s": turns.count / turns.seconds,
            "turn_cpu_ms": spent / turns.count * 1000,
            "turn_p50_ms": percentile_ms(turns.latencies_us, 50),
            "turn_p99_ms": percentile_ms(turns.latencies_us, 99),
        }

    return Scenario(name=f"blocking, {clients} clients", run=run, frameworks=True)


def _streams(
    count: int, *, tokens: int, ramp_s: float, limit_s: float, name: str = "", on: frozenset[str] = OURS
) -> Scenario:
    async def run(server: Server) -> Figures:
        before, began = server.process.cpu_s(), time.monotonic()
        order = Order(tokens=tokens, interval_ms=20)
        got = await streams(server.door, count=count, ramp_s=ramp_s, order=order, limit_s=limit_s)
        took, spent = time.monotonic() - began, server.process.cpu_s() - before
        delays = got.delays_us()
        return {
            "ideal": got.ideal,
            "tokens_s": got.tokens / took,
            "cpu_ms_1k": spent / max(1, got.tokens) * 1e6,
            "delay_p50_ms": percentile_ms(delays, 50),
            "delay_p99_ms": percentile_ms(delays, 99),
            "first_p50_ms": percentile_ms(got.firsts_us, 50),
            "first_p99_ms": percentile_ms(got.firsts_us, 99),
            "model_late_p99_ms": percentile_ms(got.lags_us(), 99),
            "cut": got.cut,
        }

    return Scenario(
        name=name or (f"{count} streams" if count > 1 else "1 stream"),
        run=run,
        on=on,
        frameworks=count >= 200,
    )


def _firsts(turns: int) -> Scenario:
    """One stream at a time, often: the delay of a first token on an idle server, which one long stream shows once."""

    async def run(server: Server) -> Figures:
        firsts, began = list[int](), server.process.cpu_s()
        for _ in range(turns):
            got = await streams(
                server.door, count=1, ramp_s=0, order=Order(tokens=4, interval_ms=20), limit_s=20
            )
            firsts.extend(got.firsts_us)
        ordered = sorted(firsts)
        return {
            "first_p50_ms": ordered[len(ordered) // 2] / 1000,
            "first_p99_ms": ordered[int(len(ordered) * 0.99)] / 1000,
            "turn_cpu_ms": (server.process.cpu_s() - began) / turns * 1000,
        }

    return Scenario(name="first token, idle", run=run, on=OURS, frameworks=True)


def _of_memory(count: int) -> Scenario:
    return Scenario(
        name=f"memory, {count} streams", run=lambda server: memory(server, count), on=OURS, fresh=True
    )


def _of_readers(count: int) -> Scenario:
    name = f"memory, {count} readers of one run"
    return Scenario(name=name, run=lambda server: readers(server, count), on=LANDLINE, fresh=True)


def _of_idle_readers(count: int, seconds: float) -> Scenario:
    return Scenario(
        name=f"{count:,} idle readers",
        run=lambda server: idle_readers(server, count, seconds),
        on=LANDLINE,
        fresh=True,
    )


def _of_replay(events: int) -> Scenario:
    return Scenario(name=f"replay, {events:,} events", run=lambda server: replay(server, events), on=LANDLINE)


def _of_thread(messages: int, turns: int) -> Scenario:
    return Scenario(
        name=f"thread of {messages:,} messages",
        run=lambda server: thread(server, messages, turns),
        on=THREADS,
        fresh=True,
    )


def _of_costs() -> Scenario:
    return Scenario(name="cost of a request", run=costs, on=LANDLINE)


def full() -> list[Scenario]:
    """The table of docs/contract/performance.md.

    Starts are spread over a time, as users are; the burst is 500 of them in one second. The time limits are what a
    server that keeps up needs, and half as much again: one that does not is cut, and its figures are what it had
    delivered by then.
    """
    return [
        _of_memory(200),
        _of_readers(200),
        _of_idle_readers(10_000, 30.0),
        _of_thread(1_000, 40),
        _blocking(16, 8.0),
        _firsts(40),
        _streams(1, tokens=400, ramp_s=0, limit_s=20),
        _streams(50, tokens=400, ramp_s=1.0, limit_s=20),
        _streams(200, tokens=400, ramp_s=4.0, limit_s=24, on=ALL),
        _streams(500, tokens=400, ramp_s=4.0, limit_s=24),
        _streams(500, tokens=100, ramp_s=1.0, limit_s=24, name="burst of 500"),
        _of_replay(10_000),
        _of_costs(),
    ]


def short() -> list[Scenario]:
    """What a check on every change can afford, in several small rounds on servers that stay (bench/baseline.json)."""
    return [
        _blocking(16, 1.5),
        _firsts(10),
        _streams(25, tokens=80, ramp_s=0.5, limit_s=10),
    ]


def tiny() -> list[Scenario]:
    """Seconds, with figures that say nothing: whether the bench itself works."""
    every = [
        _blocking(2, 0.3),
        _streams(2, tokens=10, ramp_s=0, limit_s=10),
        _of_thread(12, 3),
        _of_idle_readers(20, 0.5),
        _of_replay(100),
    ]
    return [replace(one, fresh=False) for one in every]
