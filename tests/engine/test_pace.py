"""When the log commits: many streaming runs, and those that nobody is told of, are stored in larger steps, and nobody
who waits is made to wait.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from landline.engine.pace import UNREAD_S
from landline.model.callers import LOCAL, Caller
from landline.model.events import Event, MessageCompleted, MessageStarted, Stamped, TextDelta
from landline.model.ids import new_id
from landline.model.times import iso
from landline.ports.adapter import Ask, Finished, ToolCall, Turn
from landline.ports.store import Append, Appended
from landline.testing.clock import VirtualClock
from tests.engine.conftest import Boot, Server


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


def counted(server: Server) -> list[Sequence[Append]]:
    """Return what the engine commits from here on, a list for each commit."""
    commits: list[Sequence[Append]] = []
    append = server.store.append

    async def appended(batches: Sequence[Append]) -> list[Appended]:
        commits.append(batches)
        return await append(batches)

    server.store.append = appended
    return commits


async def halting(boot: Boot, said: asyncio.Event, go: asyncio.Event) -> Server:
    """Return a server on a clock that stands still, whose agent says three words and waits before it ends."""

    async def halts(turn: Turn) -> AsyncIterator[Event | Finished]:
        message_id = new_id()
        yield MessageStarted(message_id=message_id, role="assistant")
        for word in ("a", "b", "c"):
            yield TextDelta(message_id=message_id, delta=word)
            await asyncio.sleep(0.01)
        said.set()
        await go.wait()
        yield MessageCompleted(message_id=message_id, text="abc")
        yield Finished(output="abc")

    server = await boot(halts=halts)
    await server.crash()
    server.clock = VirtualClock()
    await server.boot()
    return server


@pytest.mark.contract("EVT-6")
async def test_a_run_that_nobody_is_told_of_is_one_commit_after_its_acceptance(boot: Boot) -> None:
    said, go = asyncio.Event(), asyncio.Event()
    server = await halting(boot, said, go)
    commits, run = counted(server), await server.start()
    go.set()
    async with asyncio.timeout(5):
        waited = [batch async for batch in server.core.runs.follow(LOCAL, run.id, at_once=False)]
    assert len(commits) == 1
    assert [event.type for batch in waited for event in batch][-1] == "run.completed"
    assert (await server.get(run.id)).output == "abc"


@pytest.mark.contract("EVT-6")
async def test_what_nobody_is_told_of_is_stored_a_moment_later(boot: Boot) -> None:
    said, go = asyncio.Event(), asyncio.Event()
    server = await halting(boot, said, go)
    run = await server.start()
    await said.wait()

    async def stored() -> bytes:
        events = await server.store.events(LOCAL, run.id, after=0, limit=100)
        return b"".join(event.body for event in events)

    assert b"text.delta" not in await stored()
    assert isinstance(server.clock, VirtualClock)
    await server.clock.advance(UNREAD_S)
    async with asyncio.timeout(5):
        while b"text.delta" not in await stored():  # noqa: ASYNC110 - the store says nothing of itself
            await asyncio.sleep(0.01)
    go.set()
    assert (await server.ended(run.id))[-1].type == "run.completed"


@pytest.mark.contract("EVT-6")
async def test_who_comes_to_read_is_told_at_once_what_has_gathered_and_what_comes_then(boot: Boot) -> None:
    said, go = asyncio.Event(), asyncio.Event()
    server = await halting(boot, said, go)
    run = await server.start()
    await said.wait()
    told: list[str] = []
    async with asyncio.timeout(5):  # no tick of the clock
        async for batch in server.core.runs.follow(LOCAL, run.id):
            told += [event.type for event in batch]
            if "text.delta" in told:
                go.set()
    assert told[-1] == "run.completed"


@pytest.mark.contract("EVT-6")
async def test_a_run_that_is_read_is_stored_as_it_speaks_whoever_else_only_waits(boot: Boot) -> None:
    said, go = asyncio.Event(), asyncio.Event()
    server = await halting(boot, said, go)
    commits, run = counted(server), await server.start()
    go.set()

    async def wait() -> None:
        async for _ in server.core.runs.follow(LOCAL, run.id, at_once=False):
            pass

    async with asyncio.timeout(5):
        _, events = await asyncio.gather(wait(), server.ended(run.id))
    assert [event.type for event in events].count("text.delta") == 3
    assert len(commits) >= 4


@pytest.mark.contract("PRF-5")
async def test_a_record_that_comes_with_the_end_is_not_kept_and_an_earlier_one_is(boot: Boot) -> None:
    async def notes(turn: Turn) -> AsyncIterator[Event | Finished]:
        turn.line.record("early", b"1")
        await turn.line.tool(ToolCall(call_id="c", name="t", arguments={}), done)
        turn.line.record("late", b"2")
        yield Finished(output="done")

    async def done() -> str:
        return "done"

    server = await boot(notes=notes)
    run = await server.start()
    async for _ in server.core.runs.follow(LOCAL, run.id, at_once=False):
        pass
    assert await server.store.records(LOCAL, run.id) == {"early": b"1"}


@pytest.mark.contract("REL-3")
async def test_a_record_that_comes_with_a_question_is_kept(boot: Boot) -> None:
    async def asks(turn: Turn) -> AsyncIterator[Event | Finished]:
        turn.line.record("late", b"2")
        await turn.line.ask(Ask(key="q", kind="approval", prompt="May I?"))
        yield Finished(output="done")

    server = await boot(asks=asks)
    run = await server.start()
    async for _ in server.core.runs.follow(LOCAL, run.id, at_once=False):
        pass
    assert await server.store.records(LOCAL, run.id) == {"late": b"2"}


@pytest.mark.contract("EVT-6", "PRF-1")
async def test_a_run_that_others_wait_for_does_not_cut_short_what_another_gathers(boot: Boot) -> None:
    said, go = asyncio.Event(), asyncio.Event()
    server = await halting(boot, said, go)
    quiet = await server.start()
    await said.wait()
    commits, run = counted(server), await server.start()
    go.set()
    async with asyncio.timeout(5):
        assert (await server.ended(run.id))[-1].type == "run.completed"
    # The clock stands still: what the other had said before had not gathered for long enough.
    assert commits
    before_its_end = [batch for commit in commits for batch in commit if batch.run_id == quiet.id][:-1]
    assert before_its_end == []


@pytest.mark.contract("EVT-6", "REL-4")
async def test_what_gathers_is_stored_before_a_server_stops(boot: Boot) -> None:
    said, go = asyncio.Event(), asyncio.Event()
    server = await halting(boot, said, go)
    run = await server.start()
    await said.wait()
    async with asyncio.timeout(5):
        await server.core.log.drained()
    events = await server.store.events(LOCAL, run.id, after=0, limit=100)
    assert [event.type for event in events].count("text.delta") == 1


@pytest.mark.contract("PRF-1", "WIRE-2")
@pytest.mark.parametrize("at_once", [True, False])
async def test_who_follows_a_run_to_its_end_is_told_it_from_memory(boot: Boot, at_once: bool) -> None:
    said, go = asyncio.Event(), asyncio.Event()
    server = await halting(boot, said, go)
    run, read = await server.start(), list[int]()
    await said.wait()
    events = server.store.events

    async def counting(caller: Caller, run_id: str, *, after: int, limit: int) -> list[Stamped]:
        read.append(after)
        return await events(caller, run_id, after=after, limit=limit)

    server.store.events = counting
    told: list[str] = []
    async with asyncio.timeout(5):
        async for batch in server.core.runs.follow(LOCAL, run.id, at_once=at_once):
            told += [event.type for event in batch]
            go.set()
    assert told[0] == "run.created"
    assert told[-1] == "run.completed"
    assert read == []


@pytest.mark.contract("PRF-1")
async def test_who_waits_for_the_end_alone_is_not_woken_before(boot: Boot) -> None:
    said, go = asyncio.Event(), asyncio.Event()
    server = await halting(boot, said, go)
    run = await server.start()

    async def pieces(*, at_once: bool) -> int:
        return len([batch async for batch in server.core.runs.follow(LOCAL, run.id, at_once=at_once)])

    async with asyncio.timeout(5):
        waits = asyncio.create_task(pieces(at_once=False))
        follows = asyncio.create_task(pieces(at_once=True))
        await said.wait()
        await asyncio.sleep(0.05)
        go.set()
        assert await waits == 2, "what there was when it came, and the rest at the end"
        assert await follows > 2


@pytest.mark.contract("RUN-2", "RUN-5")
async def test_who_waits_for_a_queued_run_hears_that_it_was_cancelled(boot: Boot) -> None:
    said, go = asyncio.Event(), asyncio.Event()
    server = await halting(boot, said, go)
    active = await server.start()
    queued = await server.start(thread_id=active.thread_id, on_busy="queue")

    async def wait() -> list[str]:
        follows = server.core.runs.follow(LOCAL, queued.id, at_once=False)
        return [event.type async for batch in follows for event in batch]

    waits = asyncio.create_task(wait())
    await said.wait()
    async with asyncio.timeout(5):
        await server.core.runs.cancel(LOCAL, queued.id)
        assert (await waits)[-1] == "run.cancelled"
        go.set()
        await server.ended(active.id)


@pytest.mark.contract("EVT-2")
async def test_an_event_tells_when_it_was_said_and_not_when_it_was_stored(boot: Boot) -> None:
    said, go = asyncio.Event(), asyncio.Event()
    server = await halting(boot, said, go)
    run = await server.start()
    await said.wait()
    then = iso(server.clock.now())
    assert isinstance(server.clock, VirtualClock)
    await server.clock.advance(0.05)
    go.set()
    async with asyncio.timeout(5):
        told = {event.type: event.at for event in await server.ended(run.id)}
    assert told["run.started"] == told["text.delta"] == then
    assert told["run.completed"] > then
