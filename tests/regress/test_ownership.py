"""Whose run it is, at the doors of a live one (THR-2)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from landline.model.callers import ALL_SCOPES, LOCAL, Caller
from landline.model.errors import NotFound
from landline.model.events import Event
from landline.ports.adapter import Finished, ToolCall, Turn
from tests.engine.conftest import Boot


@pytest.mark.contract("THR-2", "EVT-4")
@pytest.mark.parametrize("stranger", [("local", "other"), ("elsewhere", LOCAL.user)])
async def test_no_cursor_into_a_live_run_shows_it_to_somebody_else(
    boot: Boot, stranger: tuple[str, str]
) -> None:
    """A live run is read from memory, past the store and its conditions."""
    reached = asyncio.Event()

    async def work() -> int:
        return 1

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        await turn.line.tool(ToolCall(call_id="c1", name="work", arguments={}), work)
        reached.set()
        await asyncio.Event().wait()
        yield Finished(output=None)

    server = await boot(script=script)
    run = await server.start()
    await reached.wait()
    caller = Caller(tenant=stranger[0], user=stranger[1], scopes=frozenset(ALL_SCOPES))
    for after in range(6):
        with pytest.raises(NotFound):
            await anext(aiter(server.core.runs.follow(caller, run.id, after=after)))
