"""A framework's own messages on their way from one turn to the next (THR-3)."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from landline.model.events import Event
from landline.model.messages import Native
from landline.ports.adapter import Finished, Turn
from landline.testing.fakes import say
from tests.engine.conftest import Boot


@pytest.mark.contract("THR-3")
@pytest.mark.parametrize("restart", [False, True])
async def test_a_turn_is_given_the_native_messages_of_the_one_before(boot: Boot, restart: bool) -> None:
    """Byte for byte, from the warm history and from the store: what is displayed says less."""
    wrote = Native(framework="script", version=3, messages=msgspec.Raw(b'[{"thought":"hidden"},  {"n":1.0}]'))
    given: list[list[Native | None]] = []

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        given.append([message.native for message in turn.history])
        async for item in say("done"):
            if not isinstance(item, Finished):
                yield item
        yield Finished(output="done", native=wrote)

    server = await boot(script=script)
    first = await server.start("a")
    await server.ended(first.id)
    if restart:
        await server.crash()
        await server.boot()
    second = await server.start("b", thread_id=first.thread_id)
    await server.ended(second.id)
    assert given[0] == []
    assert given[1][0] is None
    kept = given[1][1]
    assert kept is not None
    assert (kept.framework, kept.version, bytes(kept.messages)) == ("script", 3, bytes(wrote.messages))
