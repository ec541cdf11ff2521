"""Steering: input for a run that is going on, told once, taken once, never lost (RUN-6)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from landline.model.callers import LOCAL, SYSTEM
from landline.model.errors import Conflict, Invalid, NotFound, StorageFailed, Unsupported
from landline.model.events import Event, MessageCompleted, MessageStarted, TextDelta
from landline.model.ids import new_id
from landline.model.messages import Message, TextPart, text_of
from landline.model.runs import Answer, Run
from landline.ports.adapter import Ask, Finished, Turn
from landline.ports.runs import HeldContext, Started, StartRun
from landline.ports.store import Append, Appended, IdempotencyKey, MessageQuery, RunQuery
from landline.testing.fakes import say
from tests.engine.conftest import Boot, Server


class Gates:
    """Holds agents at places until the test lets them go."""

    def __init__(self) -> None:
        self._open: dict[str, asyncio.Event] = {}
        self._there: dict[str, asyncio.Event] = {}

    def _of(self, which: dict[str, asyncio.Event], name: str) -> asyncio.Event:
        return which.setdefault(name, asyncio.Event())

    async def at(self, name: str) -> None:
        self._of(self._there, name).set()
        await self._of(self._open, name).wait()

    async def reached(self, name: str) -> None:
        async with asyncio.timeout(5):
            await self._of(self._there, name).wait()

    def open(self, name: str) -> None:
        self._of(self._open, name).set()


async def message(text: str) -> AsyncIterator[Event]:
    message_id = new_id()
    yield MessageStarted(message_id=message_id, role="assistant")
    yield TextDelta(message_id=message_id, delta=text)
    yield MessageCompleted(message_id=message_id, text=text)


def steerable(gates: Gates, *, looks: int = 2) -> Callable[[Turn], AsyncIterator[Event | Finished]]:
    """An agent that looks for input `looks` times and says what it found; what it said is not said again."""

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        said: list[str] = []
        await gates.at(f"begin {text_of(turn.input)}")
        for look in range(looks):
            found = [text_of(parts) for parts in turn.line.take_input(str(look))]
            said.append(f"{look}: {'+'.join(found) or '-'}")
            if turn.line.emitted_text(look) is None:
                async for event in message(said[-1]):
                    yield event
            await gates.at(f"look {look}")
        yield Finished(output=", ".join(said))

    return script


async def steer(server: Server, run: Run, text: str, **how: Any) -> Started:
    how.setdefault("input", (TextPart(text=text),))
    async with asyncio.timeout(5):
        return await server.core.runs.start(LOCAL, StartRun(thread_id=run.thread_id, on_busy="steer", **how))


async def ended(server: Server, run_id: str) -> Run:
    async with asyncio.timeout(5):
        await server.ended(run_id)
    return await server.get(run_id)


async def spoken(server: Server, run: Run) -> list[Message]:
    page = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=run.thread_id))
    return list(page.items)


async def runs_of(server: Server, run: Run) -> list[Run]:
    page = await server.core.runs.history(LOCAL, RunQuery(thread_id=run.thread_id))
    return list(page.items)[::-1]


@pytest.fixture
def gates() -> Gates:
    return Gates()


@pytest.fixture
async def server(boot: Boot, gates: Gates) -> Server:
    return await started(boot, steerable(gates))


async def started(boot: Boot, script: Any, **others: Any) -> Server:
    server = await boot()
    await server.stop()
    server.adapter.capabilities |= {"steer"}
    server.agents = {"script": script, **others}
    return await server.boot()


@pytest.mark.contract("RUN-6", "EVT-1", "THR-3")
async def test_input_reaches_the_running_turn_and_stands_in_history_where_it_came(
    server: Server, gates: Gates
) -> None:
    run = await server.start("one")
    gates.open("begin one")
    await gates.reached("look 0")
    told = await steer(server, run, "two")
    assert (told.run.id, told.run.status, told.replayed) == (run.id, "running", False)
    events = [json.loads(event.wire) for event in await server.told(run.id)]
    assert (events[-1]["type"], events[-1]["input"]) == (
        "input.received",
        [{"type": "text", "text": "two"}],
    )
    for look in ("look 0", "look 1"):
        gates.open(look)
    assert (await ended(server, run.id)).output == "0: -, 1: two"
    messages = await spoken(server, run)
    assert [(m.role, m.content) for m in messages] == [
        ("user", "one"), ("assistant", "0: -"), ("user", "two"), ("assistant", "1: two"),
    ]  # fmt: skip
    assert messages[2].id == events[-1]["message_id"]
    assert {m.run_id for m in messages} == {run.id}
    assert [m.parent_id for m in messages[1:]] == [m.id for m in messages[:-1]]
    # The next turn goes on from there, warm and cold.
    gates.open("begin next")
    following = await server.start("next", thread_id=run.thread_id)
    assert (await ended(server, following.id)).status == "completed"
    assert len(await runs_of(server, run)) == 2


@pytest.mark.contract("RUN-6")
async def test_an_idle_thread_just_starts_the_run(server: Server, gates: Gates) -> None:
    for name in ("begin a", "begin b", "look 0", "look 1"):
        gates.open(name)
    run = await server.start("a")
    await ended(server, run.id)
    told = await steer(server, run, "b", metadata={"k": 1}, settings={"temperature": 1})
    assert told.run.id != run.id
    assert (await ended(server, told.run.id)).status == "completed"


@pytest.mark.contract("RUN-6", "EVT-6")
@pytest.mark.parametrize("crash_at", ["begin one", "look 0", "look 1"])
async def test_each_look_gives_the_same_again_after_a_kill(
    server: Server, gates: Gates, crash_at: str
) -> None:
    run = await server.start("one")
    await gates.reached("begin one")
    given = ["first"]
    await steer(server, run, "first")
    if crash_at != "begin one":
        gates.open("begin one")
        await gates.reached("look 0")
        await steer(server, run, "second")
        given.append("second")
    if crash_at == "look 1":
        gates.open("look 0")
        await gates.reached("look 1")
    await server.crash()
    for name in ("begin one", "look 0", "look 1"):
        gates.open(name)
    await server.boot()
    done = await ended(server, run.id)
    expected = {
        "begin one": "0: first, 1: -",
        "look 0": "0: first, 1: second",
        "look 1": "0: first, 1: second",
    }
    assert done.output == expected[crash_at]
    told = [m.content for m in await spoken(server, run) if m.role == "user"]
    assert told == ["one", *given]
    assert len(await runs_of(server, run)) == 1


@pytest.mark.contract("RUN-6", "EVT-6")
async def test_a_look_that_found_nothing_finds_nothing_again(server: Server, gates: Gates) -> None:
    run = await server.start("one")
    gates.open("begin one")
    await gates.reached("look 0")
    await steer(server, run, "later")
    await server.crash()
    for name in ("look 0", "look 1"):
        gates.open(name)
    await server.boot()
    assert (await ended(server, run.id)).output == "0: -, 1: later"


@pytest.mark.contract("RUN-6", "REL-1", "REL-8")
async def test_input_is_acknowledged_once_it_is_on_the_disk(
    server: Server, gates: Gates, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await server.start("one")
    await gates.reached("begin one")
    append, full = server.store.append, asyncio.Event()
    durable: list[bool] = []

    async def refusing(batches: Sequence[Append]) -> list[Appended]:
        if not full.is_set():
            raise StorageFailed("The disk is full.")
        durable.extend(b.durable for b in batches if any(e.type == "input.received" for e in b.events))
        return await append(batches)

    monkeypatch.setattr(server.store, "append", refusing)
    asked = asyncio.ensure_future(steer(server, run, "two"))
    await asyncio.sleep(0.2)
    assert not asked.done()
    full.set()
    assert (await asked).run.id == run.id
    assert durable == [True]


@pytest.mark.contract("RUN-6", "REL-1")
@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "killed"])
async def test_what_was_not_taken_becomes_the_next_run_before_all_others(
    boot: Boot, gates: Gates, end: str
) -> None:
    async def deaf(turn: Turn) -> AsyncIterator[Event | Finished]:
        text = text_of(turn.input)
        if text == "one":
            async for event in message("part"):
                yield event
            await gates.at("one")
            if end == "failed":
                raise RuntimeError
        async for item in say(f"{text} after {[m.content for m in turn.history]}"):
            yield item

    server = await started(boot, deaf)
    run = await server.start("one", settings={"temperature": 1}, deadline_s=60)
    await gates.reached("one")
    queued = await server.start("last", thread_id=run.thread_id, on_busy="queue")
    await steer(server, run, "two")
    await steer(server, run, "three")
    received = [json.loads(e.wire) for e in await server.told(run.id) if e.type == "input.received"]
    if end == "cancelled":
        await server.core.runs.cancel(LOCAL, run.id)
    else:
        if end == "killed":
            await server.crash()
            await server.boot()
        gates.open("one")
    await ended(server, queued.id)
    runs = {r.id: r for r in await runs_of(server, run)}
    assert len(runs) == 4
    assert runs[run.id].status == ("completed" if end == "killed" else end)
    users = [m for m in await spoken(server, run) if m.role == "user"]
    assert [m.content for m in users] == ["one", "two", "three", "last"]
    assert [m.id for m in users[1:3]] == [event["message_id"] for event in received]
    two, three = (runs[m.run_id or ""] for m in users[1:3])
    assert (two.agent, two.status, three.status) == ("script", "completed", "completed")
    assert two.output.startswith("two after ['one', ")
    assert next(e.type for e in await server.told(two.id)) == "run.created"
    assert await server.store.verify(SYSTEM) == []


@pytest.mark.contract("RUN-6", "RUN-7")
async def test_a_key_gives_input_once_and_finds_the_run_it_was_given_to(server: Server, gates: Gates) -> None:
    run = await server.start("one")
    await gates.reached("begin one")
    key = IdempotencyKey(key="k", route="r", body_hash="a")
    answers = await asyncio.gather(*(steer(server, run, "two", idempotency=key) for _ in range(4)))
    assert [a.run.id for a in answers] == [run.id] * 4
    assert sorted(a.replayed for a in answers) == [False, True, True, True]
    other = IdempotencyKey(key="k", route="r", body_hash="b")
    with pytest.raises(Invalid, match="Idempotency-Key"):
        await steer(server, run, "three", idempotency=other)
    await server.crash()
    await server.boot()
    assert (await steer(server, run, "two", idempotency=key)).replayed
    for name in ("begin one", "look 0", "look 1"):
        gates.open(name)
    assert (await ended(server, run.id)).output == "0: two, 1: -"
    late = await steer(server, run, "two", idempotency=key)
    assert (late.run.id, late.replayed) == (run.id, True)
    assert len(await runs_of(server, run)) == 1


@pytest.mark.contract("RUN-6")
async def test_what_cannot_be_steered_says_so_and_nothing_is_written(boot: Boot, gates: Gates) -> None:
    async def asks(turn: Turn) -> AsyncIterator[Event | Finished]:
        if turn.line.answer_to("q") is None:
            await gates.at("ask")
            await turn.line.ask(Ask(key="q", kind="input", prompt="?"))
        found = [text_of(parts) for parts in turn.line.take_input("0")]
        async for item in say("+".join(found)):
            yield item

    server = await started(boot, asks, other=asks)
    run = await server.start("one", agent="script")
    await gates.reached("ask")
    for how, code in (
        ({"metadata": {"k": 1}}, "steer_takes_input_only"),
        ({"settings": {"temperature": 1}}, "steer_takes_input_only"),
        ({"deadline_s": 5.0}, "steer_takes_input_only"),
        ({"agent": "other"}, "steer_other_agent"),
    ):
        with pytest.raises(Unsupported) as refusal:
            await steer(server, run, "x", **how)
        assert refusal.value.code == code
    mine = (await spoken(server, run))[0].id
    for parent, given in ((mine, (TextPart(text="x"),)), (mine, None)):
        with pytest.raises(Unsupported):
            await steer(server, run, "x", parent_id=parent, input=given)
    with pytest.raises(NotFound):
        await server.start("x", thread_id="nowhere", on_busy="steer")
    # What was given before it asked is there when it goes on; while it waits nothing more is taken.
    await steer(server, run, "kept")
    gates.open("ask")
    waiting = await ended(server, run.id)
    assert waiting.status == "waiting"
    with pytest.raises(Conflict, match="waits for an answer") as conflict:
        await steer(server, run, "x")
    assert conflict.value.code == "run_waiting"
    answer = Answer(question_id=waiting.questions[0].question_id, value="yes")
    await server.core.runs.answer(LOCAL, run.id, [answer])
    assert (await ended(server, run.id)).output == "kept"
    assert len(await runs_of(server, run)) == 1


@pytest.mark.contract("RUN-6")
async def test_an_agent_that_cannot_is_refused_also_when_it_runs_on_another_agents_thread(boot: Boot) -> None:
    async def until_cancelled(turn: Turn) -> AsyncIterator[Event | Finished]:
        await asyncio.Event().wait()
        yield Finished(output=None)

    server = await boot(script=until_cancelled)
    run = await server.start()
    with pytest.raises(Unsupported, match="cannot be steered"):
        await steer(server, run, "x")


@pytest.mark.contract("RUN-6", "AGT-6")
async def test_contexts_of_input_are_closed_or_go_to_the_run_it_becomes(boot: Boot, gates: Gates) -> None:
    closed: list[str] = []

    def held(name: str) -> HeldContext:
        async def close() -> None:
            closed.append(name)

        return HeldContext(value=name, release=close)

    async def deaf(turn: Turn) -> AsyncIterator[Event | Finished]:
        if text_of(turn.input) == "one":
            await gates.at("one")
            turn.line.take_input("0")
            await gates.at("taken")
        async for item in say(str(turn.context)):
            yield item

    server = await started(boot, deaf)
    run = await server.start("one", context=held("first"), has_context=True)
    await gates.reached("one")
    await steer(server, run, "two", context=held("second"), has_context=True)
    gates.open("one")
    await gates.reached("taken")
    await steer(server, run, "three", context=held("third"), has_context=True)
    with pytest.raises(Unsupported):
        await steer(server, run, "x", deadline_s=1.0, context=held("refused"), has_context=True)
    assert closed == ["refused"]
    gates.open("taken")
    await ended(server, run.id)
    following = (await runs_of(server, run))[-1]
    assert (await ended(server, following.id)).output == "third"
    while len(server.core.driver):  # noqa: ASYNC110 - the driver says nothing when it is empty
        await asyncio.sleep(0.01)
    assert sorted(closed) == ["first", "refused", "second", "third"]


@pytest.mark.contract("RUN-6", "REL-3")
async def test_taken_input_of_a_run_that_is_stopped_before_it_goes_on_is_history(
    server: Server, gates: Gates
) -> None:
    run = await server.start("one")
    await gates.reached("begin one")
    await steer(server, run, "taken")
    gates.open("begin one")
    await gates.reached("look 0")
    await steer(server, run, "left")
    # Its worker dies with the cancel: the next one ends it without running the agent.
    await server.store.cancel(LOCAL, run.id, by="local", at="2026-01-01T00:00:00.000Z", owner="gone")
    await server.crash()
    for name in ("begin left", "look 1"):
        gates.open(name)
    gates.open("look 0")
    await server.boot()
    assert (await ended(server, run.id)).status == "cancelled"
    following = (await runs_of(server, run))[1:]
    assert [(await ended(server, each.id)).output for each in following] == ["0: -, 1: -"]
    users = [(m.run_id, m.content) for m in await spoken(server, run) if m.role == "user"]
    assert users == [(run.id, "one"), (run.id, "taken"), (following[0].id, "left")]
