"""A run's deadline counts the time it works (RUN-10)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from landline.model.callers import LOCAL
from landline.model.events import Event
from landline.model.runs import Answer
from landline.ports.adapter import Ask, Finished, Turn
from landline.testing.clock import VirtualClock
from tests.engine.conftest import Boot


@pytest.mark.contract("RUN-10", "RUN-8")
async def test_a_deadline_counts_the_work_of_all_segments_and_no_waiting(boot: Boot) -> None:
    """Six seconds of work, an hour until somebody answers, and then four seconds are left of ten."""
    clock = VirtualClock()
    working, stopped = [asyncio.Event(), asyncio.Event()], asyncio.Event()

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        if turn.line.answer_to("a") is None:
            working[0].set()
            await clock.sleep(6)
        await turn.line.ask(Ask(key="a", kind="approval", prompt="Go on?"))
        working[1].set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        yield Finished(output=None)

    server = await boot(script=script)
    await server.crash()
    server.clock = clock
    await server.boot()
    run = await server.start(deadline_s=10.0)
    await working[0].wait()
    await clock.advance(6)
    await server.ended(run.id)
    waiting = await server.get(run.id)
    assert waiting.status == "waiting"
    await clock.advance(3600)
    answer = Answer(question_id=waiting.questions[0].question_id, approve=True)
    await server.core.runs.answer(LOCAL, run.id, [answer])
    async with asyncio.timeout(5):
        await working[1].wait()
        await clock.advance(3)
        assert not stopped.is_set()
        await clock.advance(2)
        await server.ended(run.id)
    done = await server.get(run.id)
    assert (done.status, done.error and done.error.code) == ("failed", "timed_out")
