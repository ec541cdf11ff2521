"""Readers cost little and never hold up the run or each other: stalled ones, and a thousand of one run (EVT-5, REL-10)."""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import AsyncExitStack

import pytest

from tests.e2e import http
from tests.e2e.calls import API, Process, Server, bounded, events_of, percentile
from tests.e2e.conftest import Serve
from tests.e2e.http import Connection, CutOff

STALLED = 200
FOLLOWERS = 1_000
SLOW_READER_S = 3
FLOOD = {"words": 1_000, "size": 2_000, "pause_s": 0.0}


@pytest.fixture(autouse=True)
def many_files() -> None:
    """A thousand sockets need more descriptors than some shells give."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8_192 if hard == resource.RLIM_INFINITY else min(8_192, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _latencies(server: Server, count: int) -> list[float]:
    """How long whole short turns take, one after the other, in milliseconds; ends with the first that takes too long."""
    took: list[float] = []
    async with server.connect() as line:
        for number in range(count):
            began = time.monotonic()
            body = {"agent": "echo", "input": f"m{number}"}
            try:
                answer = await line.ask("POST", f"{API}/runs", body=body)
            except TimeoutError:
                return [*took, http.TIMEOUT_S * 1000]
            assert answer.status == 200
            took.append((time.monotonic() - began) * 1000)
    return took


async def _stall(server: Server, run_id: str, stack: AsyncExitStack) -> Connection:
    """Follow a run with a small buffer, and read nothing."""
    line = await stack.enter_async_context(http.connect(server.port, receive_buffer=4096))
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport as well
    await line.send("GET", f"{API}/runs/{run_id}/events")
    return line


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.contract("REL-10", "EVT-5")
async def test_200_stalled_readers_cost_little_and_are_dropped_and_may_return(serve: Serve) -> None:
    server = serve(slow_reader_s=SLOW_READER_S)
    await server.start()
    process = Process(server.process.pid)
    flood = await server.run("words", FLOOD)
    whole = await server.ended(flood["id"])
    await _latencies(server, 50)
    quiet = await _latencies(server, 200)
    before_mb = process.rss_mb

    async with AsyncExitStack() as stack:
        stalled = [await _stall(server, flood["id"], stack) for _ in range(STALLED)]
        await asyncio.sleep(SLOW_READER_S / 3)
        held_mb = process.rss_mb
        under_load = await _latencies(server, 200)
        live = await server.run("words", {"words": 2_000, "size": 1_000})
        async with asyncio.timeout(60):
            assert (await server.ended(live["id"]))[-1]["type"] == "run.completed"
        peak_mb = max(held_mb, process.rss_mb)
        await asyncio.sleep(SLOW_READER_S * 2)
        cut = await asyncio.gather(*(_was_cut(line) for line in stalled))

    after_mb = process.rss_mb
    print(
        f"{STALLED} stalled readers: {before_mb:.0f} MB before, {held_mb:.0f} held, {peak_mb:.0f} with a run of 2 MB beside them, {after_mb:.0f} after; "
        f"turns p50 {percentile(quiet, 0.5):.1f} -> {percentile(under_load, 0.5):.1f} ms, "
        f"p99 {percentile(quiet, 0.99):.1f} -> {percentile(under_load, 0.99):.1f} ms"
    )
    assert held_mb - before_mb < 50
    assert all(cut), f"{cut.count(False)} stalled readers were served on"
    assert percentile(under_load, 0.5) < percentile(quiet, 0.5) * 5 + 50
    assert percentile(under_load, 0.99) < percentile(quiet, 0.99) * 5 + 250
    assert await server.rest(flood["id"], after=10) == whole[10:]


async def _was_cut(line: Connection) -> bool:
    """Read what is left: a dropped reader's stream breaks off before its end."""
    line.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a read transport as well
    try:
        async with asyncio.timeout(20):
            await line.head()
            frames = [frame async for frame in line.frames()]
    except (CutOff, *http.Gone):
        return True
    return frames[-1].event != "run.completed"


@pytest.mark.contract("EVT-5", "EVT-4")
@pytest.mark.parametrize(
    "count", [100, pytest.param(FOLLOWERS, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
async def test_followers_of_one_run_all_see_the_same(serve: Serve, count: int) -> None:
    """Some come before, some during and some after the run; the run is not held up by them."""
    server = serve()
    await server.start()
    run = await server.run("words", {"words": 40, "pause_s": max(0.05, count / 10_000)})
    began = time.monotonic()
    ended: list[float] = []

    async def follow(number: int) -> None:
        await asyncio.sleep((number % 10) * 0.02)
        async with server.followed(run["id"]) as line:
            assert line.status == 200
            events = events_of([frame async for frame in line.frames()])
        ended.append(time.monotonic() - began)
        assert (
            events == whole
            if whole
            else [event["seq"] for event in events] == list(range(1, len(events) + 1))
        )
        assert events[-1]["type"] == "run.completed"
        seen.append(len(events))

    whole: list[dict[str, object]] = []
    seen: list[int] = []
    await bounded(count, count, follow)
    whole += await server.log(run["id"])
    await bounded(50, 50, follow)
    assert set(seen) == {len(whole)}
    assert len(seen) == count + 50
    rss_mb = Process(server.process.pid).rss_mb
    print(
        f"{count} followers of {len(whole)} events: last one done after {max(ended[:count]):.1f} s, {rss_mb:.0f} MB"
    )


@pytest.mark.contract("EVT-5", "REL-10")
async def test_a_stalled_reader_is_dropped_while_the_others_go_on(serve: Serve) -> None:
    server = serve(slow_reader_s=1)
    await server.start()
    flood = await server.run("words", {"words": 4_000, "size": 2_000})
    async with AsyncExitStack() as stack:
        stalled = await _stall(server, flood["id"], stack)
        assert (await server.ended(flood["id"]))[-1]["type"] == "run.completed"
        await asyncio.sleep(2.5)
        assert await _was_cut(stalled)
