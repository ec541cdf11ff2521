"""Kills at chosen moments: what a run has finished counts, and only what goes in circles is given up (REL-3, ADP-4)."""

from __future__ import annotations

import asyncio

import pytest

from landline.testing.grammar import check_stream
from tests.e2e.calls import Event, Server
from tests.e2e.conftest import Serve

BOUND_S = 20.0


async def _until(server: Server, run_id: str, after: int, type_: str) -> list[Event]:
    """Follow a run until an event of this type has come."""
    seen: list[Event] = []
    async with asyncio.timeout(BOUND_S), server.followed(run_id, after=after or None) as line:
        async for frame in line.frames():
            seen += [frame.data] if frame.seq is not None else []
            if frame.event == type_:
                break
    return seen


@pytest.mark.contract("REL-3", "ADP-4")
async def test_a_run_that_finishes_a_step_in_each_attempt_is_never_poisoned(serve: Serve) -> None:
    """Five kills, each after one more finished step: the run goes on from there each time, and ends well."""
    server = serve()
    await server.start()
    run = await server.run("words", {"words": 12, "pause_s": 0.1, "step_every": 1})
    seen: list[Event] = []
    for _ in range(5):
        seen += await _until(server, run["id"], len(seen), "tool.completed")
        server.process.kill()
        await server.start()
    seen += await server.rest(run["id"], after=len(seen))
    assert seen[-1]["type"] == "run.completed", seen[-1]
    assert seen == await server.log(run["id"])
    check_stream(seen)
    calls = [event["call_id"] for event in seen if event["type"] == "tool.called"]
    assert len(calls) == len(set(calls)) == 12


@pytest.mark.contract("REL-3", "ADP-4")
async def test_an_attempt_that_got_further_is_not_counted_as_lost(serve: Serve) -> None:
    """One attempt finishes a step and is killed, two more add nothing: the run has one more before it is given up."""
    server = serve()
    await server.start()
    run = await server.run("words", {"words": 30, "pause_s": 0.1, "step_every": 100})
    await _until(server, run["id"], 0, "tool.completed")
    await _kill_at_attempts(server, run["id"], (2, 3))
    log = await server.ended(run["id"])
    assert log[-1]["type"] == "run.completed", log[-1]
    check_stream(log)


@pytest.mark.contract("REL-3")
async def test_a_run_that_never_gets_further_is_given_up_after_three_attempts(serve: Serve) -> None:
    server = serve()
    await server.start()
    run = await server.run("hold", "hi")
    await _until(server, run["id"], 0, "text.delta")
    await _kill_at_attempts(server, run["id"], (2, 3))
    log = await server.ended(run["id"])
    assert log[-1]["type"] == "run.failed"
    assert log[-1]["error"]["code"] == "poisoned"


async def _kill_at_attempts(server: Server, run_id: str, attempts: tuple[int, ...]) -> None:
    """Kill now, and again as soon as each of these attempts has begun."""
    for attempt in attempts:
        server.process.kill()
        await server.start()
        seen = await _until(server, run_id, 0, "run.resumed")
        while seen[-1]["attempt"] < attempt:
            seen += await _until(server, run_id, len(seen), "run.resumed")
    server.process.kill()
    await server.start()
