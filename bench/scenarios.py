"""What is measured: each scenario is one load on one running target, and gives figures by name."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from bench.load import Door, Order, WrongAnswer, blocking, percentile_ms, post, streams
from bench.servers import Server
from bench.tokens import prompt
from bench.wire import connect, request

__all__ = ["METRICS", "Figures", "Metric", "Scenario", "full", "short", "tiny", "warm_up"]

Figures = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How a figure is shown; `higher` says which way is better."""

    title: str
    unit: str = ""
    higher: bool = False
    digits: int = 1


METRICS: Mapping[str, Metric] = {
    "turns_s": Metric(title="turns", unit="1/s", higher=True),
    "turn_cpu_ms": Metric(title="CPU a turn", unit="ms", digits=2),
    "turn_p50_ms": Metric(title="turn p50", unit="ms"),
    "turn_p99_ms": Metric(title="turn p99", unit="ms"),
    "ideal": Metric(title="of ideal", higher=True, digits=3),
    "tokens_s": Metric(title="tokens", unit="1/s", higher=True, digits=0),
    "cpu_ms_1k": Metric(title="CPU per 1,000 tokens", unit="ms"),
    "delay_p50_ms": Metric(title="token delay p50", unit="ms"),
    "delay_p99_ms": Metric(title="token delay p99", unit="ms"),
    "first_p50_ms": Metric(title="first token p50", unit="ms"),
    "first_p99_ms": Metric(title="first token p99", unit="ms"),
    "model_late_p99_ms": Metric(title="(instrument late p99)", unit="ms"),
    "cut": Metric(title="streams cut at the limit", digits=0),
    "stream_kb": Metric(title="memory an open stream", unit="KB"),
    "reader_kb": Metric(title="memory a mere reader", unit="KB"),
    "idle_mb": Metric(title="idle RSS", unit="MB"),
    "ready_s": Metric(title="start to ready", unit="s", digits=2),
    "ready_by_import": Metric(title="start to ready / import of pydantic_ai", digits=2),
    "replay_events_s": Metric(title="replay over HTTP", unit="1/s", higher=True, digits=0),
    "replay_cpu_ms_1k": Metric(title="replay CPU per 1,000 events", unit="ms", digits=2),
    "replay_inner_s": Metric(title="replay in process", unit="1/s", higher=True, digits=0),
}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A load, by the name it has in the table; `targets` empty means all.

    `fresh` gives it a server of its own: memory that an earlier load has left free would hide what this one takes.
    """

    name: str
    run: Callable[[Server], Awaitable[Figures]]
    targets: frozenset[str] = frozenset()
    fresh: bool = False


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

    return Scenario(name=f"blocking, {clients} clients", run=run)


def _streams(name: str, count: int, *, tokens: int, ramp_s: float, limit_s: float) -> Scenario:
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

    return Scenario(name=name, run=run)


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

    return Scenario(name="first token, idle", run=run)


def _memory(count: int) -> Scenario:
    async def run(server: Server) -> Figures:
        await server_quiet(server)
        idle_kb = server.process.rss_kb()
        order = Order(tokens=12, interval_ms=500)
        load = asyncio.create_task(streams(server.door, count=count, ramp_s=2.0, order=order, limit_s=60))
        await asyncio.sleep(4.5)
        open_kb = server.process.rss_kb()
        await load
        return {"idle_mb": idle_kb / 1024, "stream_kb": (open_kb - idle_kb) / count}

    return Scenario(name=f"memory, {count} streams", run=run, fresh=True)


def _readers(count: int) -> Scenario:
    async def run(server: Server) -> Figures:
        text = prompt(20, 500)
        run_id = (await post(server.door, text, mode="background"))["id"]
        ask = request(f"{server.door.path}/{run_id}/events?after=0", server.door.headers)
        await asyncio.sleep(1.0)
        idle_kb = server.process.rss_kb()
        lines = [await connect(server.door.port) for _ in range(count)]
        reading = [asyncio.create_task(line.ask(ask)) for line in lines]
        await asyncio.sleep(4.0)
        open_kb = server.process.rss_kb()
        for reply in await asyncio.gather(*reading):
            if reply.status != 200 or b"run.completed" not in reply.body:
                raise WrongAnswer(f"a reader got {reply.status} and {len(reply.body)} bytes")
        for line in lines:
            line.close()
        return {"reader_kb": (open_kb - idle_kb) / count}

    return Scenario(
        name=f"memory, {count} readers of one run", run=run, targets=frozenset({"landline"}), fresh=True
    )


def _replay(events: int) -> Scenario:
    async def run(server: Server) -> Figures:
        door = replace(server.door, fields={**server.door.fields, "agent": "chatter"})
        run_id = (await post(door, str(events)))["id"]
        (server.data / "replay").write_text(run_id)
        ask = request(f"{door.path}/{run_id}/events?after=0", {**door.headers, "accept": "text/event-stream"})
        rates, spent, repeats = list[float](), server.process.cpu_s(), 5
        for _ in range(repeats):
            rates.append(await _replay_once(door, ask, events))
        spent = server.process.cpu_s() - spent
        return {
            "replay_events_s": sorted(rates)[repeats // 2],
            "replay_cpu_ms_1k": spent / repeats / events * 1e6,
        }

    return Scenario(name=f"replay, {events:,} events", run=run, targets=frozenset({"landline"}))


async def _replay_once(door: Door, ask: bytes, events: int) -> float:
    line = await connect(door.port)
    began = time.monotonic()
    reply = await line.ask(ask)
    took = time.monotonic() - began
    line.close()
    ids = [int(part.split(b"\n", 1)[0]) for part in reply.body.split(b"id: ")[1:]]
    if ids != list(range(1, len(ids) + 1)) or len(ids) < events:
        raise WrongAnswer(f"a replay of {events} events gave {len(ids)}: {reply.body[-300:]!r}")
    last = json.loads(reply.body.rsplit(b"data: ", 1)[1])
    if last["type"] != "run.completed":
        raise WrongAnswer(f"a replay ended with {last}")
    return len(ids) / took


async def server_quiet(server: Server) -> None:
    await asyncio.to_thread(server.process.wait_quiet)


def full() -> list[Scenario]:
    """The table of docs/contract/performance.md.

    Starts are spread over a time, as users are; the burst is 500 of them in one second. The time limits are what a
    server that keeps up needs, and half as much again: one that does not is cut, and its figures are what it had
    delivered by then.
    """
    return [
        _memory(200),
        _readers(200),
        _blocking(16, 8.0),
        _firsts(40),
        _streams("1 stream", 1, tokens=400, ramp_s=0, limit_s=20),
        _streams("50 streams", 50, tokens=400, ramp_s=1.0, limit_s=20),
        _streams("200 streams", 200, tokens=400, ramp_s=4.0, limit_s=24),
        _streams("500 streams", 500, tokens=400, ramp_s=4.0, limit_s=24),
        _streams("burst of 500", 500, tokens=100, ramp_s=1.0, limit_s=24),
        _replay(10_000),
    ]


def short() -> list[Scenario]:
    """The same in small, for a check on every change."""
    return [
        _blocking(16, 5.0),
        _streams("1 stream", 1, tokens=100, ramp_s=0, limit_s=10),
        _streams("50 streams", 50, tokens=100, ramp_s=0.5, limit_s=10),
    ]


def tiny() -> list[Scenario]:
    """Seconds, with figures that say nothing: whether the bench itself works."""
    return [
        _blocking(2, 0.3),
        _streams("2 streams", 2, tokens=10, ramp_s=0, limit_s=10),
        _replay(100),
    ]
