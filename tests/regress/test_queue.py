"""Queued runs, and a stopping server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from landline.model.callers import LOCAL
from landline.model.errors import Draining
from landline.model.events import Event
from landline.model.messages import text_of
from landline.ports.adapter import Finished, Turn
from landline.testing.fakes import say
from tests.engine.conftest import Boot


@pytest.mark.contract("RUN-6", "RUN-3")
@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_a_queued_run_starts_however_the_one_before_it_ended(boot: Boot, end: str) -> None:
    """A thread is not stuck behind a run that went wrong."""
    broken = asyncio.Event()

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        if text_of(turn.input) == "first":
            await broken.wait()
            raise RuntimeError
        async for item in say("done"):
            yield item

    server = await boot(script=script)
    first = await server.start("first")
    second = await server.start("second", thread_id=first.thread_id, on_busy="queue")
    assert second.status == "queued"
    if end == "cancelled":
        await server.core.runs.cancel(LOCAL, first.id)
    else:
        broken.set()
        await server.ended(first.id)
    async with asyncio.timeout(5):
        await server.ended(second.id)
    assert (await server.get(first.id)).status == end
    assert (await server.get(second.id)).status == "completed"


@pytest.mark.contract("REL-4")
async def test_a_stopping_engine_takes_no_new_runs(boot: Boot) -> None:
    """Neither on a new thread nor on an old one; what runs goes on."""

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        await opened.wait()
        async for item in say("done"):
            yield item

    opened = asyncio.Event()
    server = await boot(script=script)
    run = await server.start()
    server.core.drain()
    for thread_id in (None, run.thread_id):
        with pytest.raises(Draining):
            await server.start(thread_id=thread_id, on_busy="queue")
    opened.set()
    async with asyncio.timeout(5):
        await server.ended(run.id)
    assert (await server.get(run.id)).status == "completed"
