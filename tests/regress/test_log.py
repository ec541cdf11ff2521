"""What readers of a run are told, and when."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing

import pytest

from landline.model.callers import LOCAL
from landline.model.events import Event, MessageCompleted, MessageStarted, TextDelta, UsageReported
from landline.model.ids import new_id
from landline.ports.adapter import Finished, ToolCall, Turn
from landline.ports.store import Append, Appended, MessageQuery
from landline.testing.fakes import say
from landline.testing.grammar import check_stream
from tests.engine.conftest import Boot, Server


async def counted() -> int:
    return 1


def cut_short(server: Server, run_id: str, *, last: int, after: int) -> "asyncio.Task[list[int]]":
    """Read a run that does not end from a cursor up to the event `last`."""

    async def read() -> list[int]:
        heard: list[int] = []
        async for batch in server.core.runs.follow(LOCAL, run_id, after=after):
            heard += [event.seq for event in batch]
            if heard[-1] >= last:
                break
        return heard

    return asyncio.create_task(read())


@pytest.mark.contract("EVT-4", "EVT-2")
async def test_every_cursor_into_a_live_run_gives_exactly_the_rest(boot: Boot) -> None:
    """A reader at the tail is served from memory, where several commits lie behind each other."""
    reached = asyncio.Event()

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        for number in range(4):
            # Each call waits for the disk twice, so that the log is written in many batches.
            await turn.line.tool(ToolCall(call_id=f"c{number}", name="count", arguments={}), counted)
        reached.set()
        await asyncio.Event().wait()
        yield Finished(output=None)

    server = await boot(script=script)
    run = await server.start()
    await reached.wait()
    last = 2 + 2 * 4
    async with asyncio.timeout(5):
        for cut in range(last):
            heard = await cut_short(server, run.id, last=last, after=cut)
            assert heard == list(range(cut + 1, last + 1))


@pytest.mark.contract("EVT-1", "REL-1")
async def test_a_reader_hears_nothing_that_is_not_stored(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader has seen would be gone after a crash."""
    opened, asked = asyncio.Event(), asyncio.Event()

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        async for item in say("so far"):
            yield item

    server = await boot(script=script)
    store = server.store.append

    async def held(batches: Sequence[Append]) -> list[Appended]:
        asked.set()
        await opened.wait()
        return await store(batches)

    monkeypatch.setattr(server.store, "append", held)
    run = await server.start()
    heard: list[str] = []

    async def read() -> None:
        async for batch in server.core.runs.follow(LOCAL, run.id):
            heard.extend(event.type for event in batch)

    reading = asyncio.create_task(read())
    async with asyncio.timeout(5):
        await asked.wait()
        while not heard:
            await server.get(run.id)
        for _ in range(50):
            await asyncio.sleep(0)
        before = list(heard)
        opened.set()
        await reading
    assert before == ["run.created"]
    assert heard[-1] == "run.completed"


@pytest.mark.contract("EVT-3", "EVT-7")
async def test_text_that_is_no_text_does_not_end_the_run(boot: Boot) -> None:
    """Half of a surrogate pair, which models produce, cannot be stored; its stand-in is what everybody sees."""

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        message_id = new_id()
        yield MessageStarted(message_id=message_id, role="assistant")
        yield TextDelta(message_id=message_id, delta="a\ud800b")
        yield MessageCompleted(message_id=message_id, text="a\ud800b")
        yield Finished(output="done")

    server = await boot(script=script)
    run = await server.start()
    events = [json.loads(event.wire) for event in await server.ended(run.id)]
    check_stream(events)
    assert [event["text"] for event in events if event["type"] == "message.completed"] == ["a\ufffdb"]
    messages = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=run.thread_id))
    assert [message.content for message in messages.items] == ["hi", "a\ufffdb"]
    assert (await server.get(run.id)).status == "completed"


@pytest.mark.contract("EVT-3", "RUN-3")
async def test_an_output_that_is_no_text_does_not_leave_its_run_without_an_end(boot: Boot) -> None:
    """Its last event was mended, so the run ended for its readers, and must have ended in the store."""

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        yield Finished(output="a\ud800b")

    server = await boot(script=script)
    run = await server.start()
    async with asyncio.timeout(2):
        await server.ended(run.id)
    assert (await server.get(run.id)).status == "completed"


@pytest.mark.contract("EVT-8", "TRU-17")
async def test_a_tools_exception_stays_out_of_the_log(boot: Boot) -> None:
    """It may hold anything: an address, a query, a password."""

    async def pay() -> None:
        raise RuntimeError("the cat is called hunter2")

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        await turn.line.tool(ToolCall(call_id="c1", name="pay", arguments={}), pay)
        yield Finished(output=None)

    server = await boot(script=script)
    run = await server.start()
    events = [json.loads(event.wire) for event in await server.ended(run.id)]
    assert [event["type"] for event in events].count("tool.failed") == 1
    with closing(sqlite3.connect(server.folder / "landline.db")) as database:
        dump = "\n".join(database.iterdump())
    assert "hunter2" not in json.dumps(events) + dump


@pytest.mark.contract("EVT-1", "WIRE-1")
async def test_usage_adds_up_over_a_run(boot: Boot) -> None:
    """A run of many model calls costs what all of them cost."""

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        for tokens in (1, 10):
            yield UsageReported(input_tokens=tokens, output_tokens=2 * tokens, total_tokens=3 * tokens)
        async for item in say("done"):
            yield item

    server = await boot(script=script)
    run = await server.start()
    last = json.loads((await server.ended(run.id))[-1].wire)
    usage = (await server.get(run.id)).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (11, 22, 33)
    assert last["usage"]["total_tokens"] == 33
