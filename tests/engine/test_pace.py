"""The rest between commits: many streaming runs are stored in larger steps, and nobody who waits is made to wait."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from landline.model.callers import LOCAL
from landline.model.events import Event, MessageCompleted, MessageStarted, TextDelta
from landline.model.ids import new_id
from landline.ports.adapter import Finished, ToolCall, Turn
from landline.testing.clock import VirtualClock
from tests.engine.conftest import Boot


@pytest.mark.contract("EVT-6", "PRF-2")
async def test_tokens_of_many_runs_rest_and_what_must_be_on_disk_does_not(boot: Boot) -> None:
    go, told = asyncio.Event(), asyncio.Event()

    async def streams(turn: Turn) -> AsyncIterator[Event | Finished]:
        message_id = new_id()
        yield MessageStarted(message_id=message_id, role="assistant")
        await go.wait()
        yield TextDelta(message_id=message_id, delta="a")
        await told.wait()
        yield TextDelta(message_id=message_id, delta="b")
        yield MessageCompleted(message_id=message_id, text="ab")
        # The tool's intent must be on disk before it runs, whatever the clock says.
        yield Finished(output=await turn.line.tool(ToolCall(call_id="c", name="t", arguments={}), done))

    async def done() -> str:
        return "done"

    server = await boot(streams=streams)
    await server.crash()
    clock = VirtualClock()
    server.clock = clock
    await server.boot()
    runs = [await server.start() for _ in range(60)]
    go.set()
    async with asyncio.timeout(5):
        while not all([len(await server.told(run.id)) >= 4 for run in runs]):
            await clock.advance(0.05)
    told.set()
    # No further tick of the clock: the rest that follows the last commit is ended by those who wait.
    async with asyncio.timeout(5):
        ends = [(await server.ended(run.id))[-1].type for run in runs]
    assert ends == ["run.completed"] * 60
    assert (await server.core.runs.get(LOCAL, runs[0].id)).output == "done"
