"""The way from the SDK's tasks to who pulls: in order, whole, and whoever waits knows when all is passed on."""

import asyncio

import pytest

from landline.adapters.openai_agents.channel import AHEAD, Channel
from landline.model.events import Event, TextDelta


def said(number: int) -> TextDelta:
    return TextDelta(message_id="m", delta=str(number))


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.contract("ADP-4")
async def test_all_is_told_only_when_the_reader_comes_back_for_more() -> None:
    channel = Channel()
    events = aiter(channel.events())
    await channel.told()  # nothing was sent
    await channel.send(said(1))
    told = asyncio.create_task(channel.told())
    await turns()
    assert not told.done()
    assert await anext(events) == said(1)
    await turns()
    assert not told.done(), "the reader has it, and may not have written it yet"
    more = asyncio.ensure_future(anext(events))
    await told
    await channel.send(said(2))
    assert await more == said(2)
    channel.close()
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    await channel.told()


@pytest.mark.contract("ADP-4")
async def test_what_was_sent_before_the_end_comes_and_what_comes_after_it_waits_for_ever() -> None:
    channel = Channel()
    await channel.send(said(1))
    channel.close()
    channel.close()
    await channel.send(said(2))
    assert [event async for event in channel.events()] == [said(1)]
    late = asyncio.create_task(channel.told())
    await turns()
    assert not late.done()
    late.cancel()


@pytest.mark.contract("EVT-6")
async def test_a_model_is_held_when_the_log_is_far_behind() -> None:
    channel, sent = Channel(), 0

    async def speak() -> None:
        nonlocal sent
        for number in range(3 * AHEAD):
            await channel.send(said(number))
            sent += 1
        channel.close()

    speaking = asyncio.create_task(speak())
    await turns(4 * AHEAD)
    assert sent == AHEAD
    heard: list[Event] = [event async for event in channel.events()]
    await speaking
    assert heard == [said(number) for number in range(3 * AHEAD)]


async def test_a_waiter_that_is_cancelled_holds_up_nobody() -> None:
    channel = Channel()
    await channel.send(said(1))
    gone, stays = asyncio.create_task(channel.told()), asyncio.create_task(channel.told())
    await turns()
    gone.cancel()
    channel.close()
    assert [event async for event in channel.events()] == [said(1)]
    await stays
