"""A subscription to a thread finds its active run, however much ended after it began (WIRE-5, clarification 25)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

import pytest

from landline.engine.runs import WATCH_PAGE
from landline.model.callers import LOCAL
from landline.model.errors import Busy
from landline.model.events import Event
from landline.ports.adapter import Ask, Finished, Turn
from landline.testing.fakes import say
from tests.engine.conftest import Boot


@pytest.mark.contract("WIRE-5")
async def test_an_active_run_behind_many_ended_ones_is_watched_and_the_ended_are_not(boot: Boot) -> None:
    go = asyncio.Event()

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        await go.wait()
        async for item in say("done"):
            yield item

    server = await boot(script=script)
    runs = server.core.runs
    active = await server.start()
    for _ in range(WATCH_PAGE + 5):
        queued = await server.start(thread_id=active.thread_id, on_busy="queue")
        await runs.cancel(LOCAL, queued.id)
    waiting = await server.start(thread_id=active.thread_id, on_busy="queue")
    watching = cast("AsyncGenerator[str, None]", runs.watch(LOCAL, active.thread_id))
    async with asyncio.timeout(5), aclosing(watching) as watched:
        assert [await anext(watched), await anext(watched)] == [active.id, waiting.id]
        later = asyncio.ensure_future(anext(watched))
        await asyncio.sleep(0.05)
        assert not later.done()
        following = await server.start(thread_id=active.thread_id, on_busy="queue")
        assert await later == following.id
    go.set()
    await server.ended(following.id)


@pytest.mark.contract("RUN-6", "REL-5")
@pytest.mark.parametrize("kind", ["running", "waiting"])
async def test_a_busy_thread_says_whether_its_run_waits_for_an_answer(boot: Boot, kind: str) -> None:
    """Whoever is refused by a run that waits would try again for days."""

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        if kind == "waiting":
            await turn.line.ask(Ask(key="q", kind="input", prompt="?"))
        await asyncio.Event().wait()
        yield Finished(output=None)

    server = await boot(script=script)
    run = await server.start()
    if kind == "waiting":
        await server.ended(run.id)
    with pytest.raises(Busy) as refusal:
        await server.start(thread_id=run.thread_id)
    assert (refusal.value.code, refusal.value.active_run_id) == ("thread_busy", run.id)
    assert ("waits for an answer" in refusal.value.detail) == (kind == "waiting")
    await server.core.runs.cancel(LOCAL, run.id)
