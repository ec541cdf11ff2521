"""What it takes to stand by: memory of streams and of readers, ten thousand readers with nothing to read, one request."""

import asyncio
import json
import time
from array import array

from bench.load import Order, WrongAnswer, percentile_ms, post, streams
from bench.metrics import Figures
from bench.process import file_limit, run_once
from bench.servers import Server
from bench.tokens import prompt
from bench.wire import Line, connect, request

__all__ = ["costs", "idle_readers", "memory", "readers", "server_quiet"]

_AT_ONCE = 200
_RUNS = 100
_SPARE_FILES = 500


async def server_quiet(server: Server) -> None:
    """Wait until the server has worked off what the last load left behind."""
    await asyncio.to_thread(server.process.wait_quiet)


async def memory(server: Server, count: int) -> Figures:
    """What so many open streams take."""
    await server_quiet(server)
    idle_kb = server.process.rss_kb()
    order = Order(tokens=12, interval_ms=500)
    load = asyncio.create_task(streams(server.door, count=count, ramp_s=2.0, order=order, limit_s=60))
    await asyncio.sleep(4.5)
    open_kb = server.process.rss_kb()
    await load
    return {"stream_kb": (open_kb - idle_kb) / count}


async def readers(server: Server, count: int) -> Figures:
    """What so many readers of one run take."""
    run_id = (await post(server.door, prompt(20, 500), mode="background"))["id"]
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


async def idle_readers(server: Server, count: int, seconds: float) -> Figures:
    """So many readers of runs that say nothing: for some seconds nothing else, then one new request after the other.

    Heartbeats (every 15 s by default) belong to it: both windows have to be longer than their distance.

    Raises:
        RuntimeError: The system allows fewer open sockets than there are readers.
        WrongAnswer: A reader was refused or its stream ended.
    """
    if count + _SPARE_FILES > file_limit():
        raise RuntimeError(f"{count} readers need more than {file_limit()} open files (ulimit -n)")
    headers, path = server.door.headers, server.door.path
    runs = list[str]()
    for _ in range(min(_RUNS, count)):
        runs.append(
            (await post(server.door, "wait", mode="background", agent="silent", on_disconnect="continue"))[
                "id"
            ]
        )
    lines, reading, heard = list[Line](), list[asyncio.Task[object]](), set[int]()
    try:
        for start in range(0, count, _AT_ONCE):
            for number in range(start, min(count, start + _AT_ONCE)):
                line = await connect(server.door.port)
                ask = request(f"{path}/{runs[number % len(runs)]}/events?after=0", headers)
                lines.append(line)
                reading.append(
                    asyncio.create_task(line.ask(ask, lambda _data, _at, number=number: heard.add(number)))
                )
            await _all_heard(heard, len(lines))
        await server_quiet(server)
        before, began = server.process.cpu_s(), time.monotonic()
        await asyncio.sleep(seconds)
        took, spent = time.monotonic() - began, server.process.cpu_s() - before
        latencies = await _requests(server, f"{path}/{runs[0]}", seconds * 2 / 3)
        readers_mb = server.process.rss_kb() / 1024
        if ended := sum(one.done() for one in reading):
            raise WrongAnswer(f"{ended} of {count} readers were sent away")
    finally:
        for line in lines:
            line.close()
        await asyncio.gather(*reading, return_exceptions=True)
    return {
        "readers_mb": readers_mb,
        "readers_cpu": spent / took * 100,
        "request_p99_ms": percentile_ms(latencies, 99),
    }


async def _all_heard(heard: set[int], count: int) -> None:
    until = time.monotonic() + 60
    while len(heard) < count:
        if time.monotonic() > until:
            raise WrongAnswer(f"{count - len(heard)} of {count} readers heard nothing")
        await asyncio.sleep(0.01)


async def _requests(server: Server, path: str, seconds: float) -> "array[int]":
    latencies, until = array("q"), time.monotonic() + seconds
    ask = request(path, server.door.headers)
    while time.monotonic() < until:
        asked = time.monotonic()
        line = await connect(server.door.port)
        reply = await line.ask(ask)
        line.close()
        latencies.append(int((time.monotonic() - asked) * 1e6))
        if reply.status != 200:
            raise WrongAnswer(f"status {reply.status}: {reply.body[:200]!r}")
        await asyncio.sleep(0.05)
    return latencies


async def costs(server: Server) -> Figures:
    """What signing in and counting cost a request, in a process of its own on the server's core."""
    place = server.place
    _, said = await asyncio.to_thread(run_once, ["-m", "bench.costs"], place.server_core, place.env)
    return json.loads(said)
