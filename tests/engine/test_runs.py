"""A run from acceptance to its end, as its readers see it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

import pytest

from landline.model.callers import LOCAL, Caller
from landline.model.errors import AgentFailed, Busy, Gone, Invalid, NotFound, Unsupported
from landline.model.events import Event, MessageCompleted, MessageStarted, Stamped, TextDelta
from landline.model.ids import new_id
from landline.model.messages import TextPart, ToolCallPart
from landline.ports.adapter import Finished, Turn
from landline.ports.runs import StartRun
from landline.ports.store import Append, Appended, IdempotencyKey, MessageQuery
from landline.testing.fakes import say
from landline.testing.grammar import check_stream
from tests.engine.conftest import Boot

OTHER = Caller(tenant="local", user="other")


def echo(turn: Turn) -> AsyncIterator[Event | Finished]:
    text = turn.input[0].text if isinstance(turn.input[0], TextPart) else ""
    return say("echo: ", text)


async def until_cancelled(turn: Turn) -> AsyncIterator[Event | Finished]:
    message_id = new_id()
    yield MessageStarted(message_id=message_id, role="assistant")
    yield TextDelta(message_id=message_id, delta="so far")
    await asyncio.Event().wait()


def wire(events: list[Stamped]) -> list[dict[str, object]]:
    return [json.loads(event.wire) for event in events]


@pytest.mark.contract("RUN-1", "EVT-2", "EVT-3", "WIRE-2")
async def test_a_run_tells_a_whole_story_with_ids_from_one(boot: Boot) -> None:
    server = await boot(echo=echo)
    run = await server.start("hello")
    events = await server.ended(run.id)
    check_stream(wire(events))
    assert [event.type for event in events] == [
        "run.created",
        "run.started",
        "message.started",
        "text.delta",
        "message.completed",
        "run.completed",
    ]
    done = await server.get(run.id)
    assert (done.status, done.output) == ("completed", "echo: hello")
    assert done.message_id == wire(events)[2]["message_id"]


@pytest.mark.contract("EVT-4", "EVT-7")
async def test_a_reader_that_returns_gets_exactly_the_rest(boot: Boot) -> None:
    server = await boot(echo=echo)
    run = await server.start()
    whole = await server.ended(run.id)
    for cut in range(len(whole)):
        assert await server.ended(run.id, after=cut) == whole[cut:]
    messages = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=run.thread_id))
    assert [(m.role, m.content) for m in messages.items] == [("user", "hi"), ("assistant", "echo: hi")]
    assert messages.items[1].id == (await server.get(run.id)).message_id


@pytest.mark.contract("EVT-4")
async def test_a_cursor_beyond_the_log_is_gone_and_never_silence(boot: Boot) -> None:
    server = await boot(wait=until_cancelled)
    run = await server.start()
    with pytest.raises(Gone):
        await server.ended(run.id, after=999)
    await server.core.runs.cancel(LOCAL, run.id)


@pytest.mark.contract("THR-2", "EVT-4")
async def test_another_users_run_never_existed(boot: Boot) -> None:
    server = await boot(wait=until_cancelled)
    run = await server.start()
    for verb in (server.core.runs.get, server.core.runs.cancel):
        with pytest.raises(NotFound):
            await verb(OTHER, run.id)
    with pytest.raises(NotFound):
        await server.ended(run.id, caller=OTHER)
    with pytest.raises(NotFound):
        await server.start(caller=OTHER, thread_id=run.thread_id)
    assert (await server.get(run.id)).status == "running"


@pytest.mark.contract("RUN-5")
async def test_a_cancelled_run_keeps_its_partial_answer_and_one_end(boot: Boot) -> None:
    server = await boot(wait=until_cancelled)
    run = await server.start()
    async for batch in server.core.runs.follow(LOCAL, run.id):
        if batch[-1].type == "text.delta":
            break
    first = await server.core.runs.cancel(LOCAL, run.id)
    assert (first.status, first.output) == ("cancelled", "so far")
    assert await server.core.runs.cancel(LOCAL, run.id) == first
    events = wire(await server.ended(run.id))
    check_stream(events)
    messages = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=run.thread_id))
    assert messages.items[-1].metadata == {"stopped": True}
    assert events[-1]["message_id"] == messages.items[-1].id


@pytest.mark.contract("RUN-5", "ADP-8")
async def test_an_agent_that_does_not_let_go_cannot_hold_its_run_up(boot: Boot) -> None:
    release = asyncio.Event()

    async def stubborn(turn: Turn) -> AsyncIterator[Event | Finished]:
        turn.line.finishing("call-1")
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        yield Finished(output="too late")

    server = await boot(stubborn=stubborn)
    run = await server.start()
    await asyncio.sleep(0)
    done = await server.core.runs.cancel(LOCAL, run.id)
    assert done.status == "cancelled"
    last = wire(await server.ended(run.id))[-1]
    assert last["still_finishing"] == ["call-1"]
    release.set()
    await asyncio.sleep(0)
    assert (await server.get(run.id)).status == "cancelled"


@pytest.mark.contract("EVT-8", "TRU-17")
async def test_an_exception_fails_the_run_without_its_text(boot: Boot) -> None:
    async def broken(turn: Turn) -> AsyncIterator[Event | Finished]:
        raise RuntimeError("the cat is called hunter2")
        yield Finished(output=None)

    server = await boot(broken=broken)
    run = await server.start()
    events = wire(await server.ended(run.id))
    check_stream(events)
    assert "hunter2" not in json.dumps(events)
    assert (await server.get(run.id)).error is not None


@pytest.mark.contract("RES-5")
async def test_an_agent_that_ends_without_an_answer_has_failed(boot: Boot) -> None:
    async def silent(turn: Turn) -> AsyncIterator[Event | Finished]:
        message_id = new_id()
        yield MessageStarted(message_id=message_id, role="assistant")
        yield TextDelta(message_id=message_id, delta="half")

    server = await boot(silent=silent)
    run = await server.start()
    await server.ended(run.id)
    done = await server.get(run.id)
    assert done.status == "failed"
    assert done.error
    assert done.error.code == "no_answer"
    messages = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=run.thread_id))
    assert messages.items[-1].metadata == {"incomplete": True}


@pytest.mark.contract("RUN-6", "REL-5")
async def test_a_busy_thread_rejects_queues_or_is_interrupted(boot: Boot) -> None:
    server = await boot(wait=until_cancelled)
    first = await server.start()
    thread = first.thread_id
    with pytest.raises(Busy) as refused:
        await server.start(thread_id=thread)
    assert refused.value.active_run_id == first.id
    queued = await server.start(thread_id=thread, on_busy="queue")
    assert queued.status == "queued"
    interrupting = await server.start(thread_id=thread, on_busy="interrupt")
    assert interrupting.status == "running"
    assert (await server.get(first.id)).status == "cancelled"
    assert (await server.get(queued.id)).status == "queued"
    await server.core.runs.cancel(LOCAL, interrupting.id)
    assert (await server.get(queued.id)).status == "running"
    await server.core.runs.cancel(LOCAL, queued.id)
    with pytest.raises(Unsupported):
        await server.start(thread_id=thread, on_busy="steer")


@pytest.mark.contract("RUN-6")
async def test_queued_runs_go_on_in_the_order_they_came(boot: Boot) -> None:
    server = await boot(echo=echo)
    thread = (await server.start("0")).thread_id
    runs = [await server.start(str(n), thread_id=thread, on_busy="queue") for n in range(1, 6)]
    for run in runs:
        check_stream(wire(await server.ended(run.id)))
    page = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=thread, limit=100))
    assert [m.content for m in page.items if m.role == "user"] == ["0", "1", "2", "3", "4", "5"]
    assert [m.role for m in page.items] == ["user", "assistant"] * 6


@pytest.mark.contract("RUN-7")
async def test_one_idempotency_key_is_one_run(boot: Boot) -> None:
    server = await boot(echo=echo)
    key = IdempotencyKey(key="k", route="runs", body_hash="a")
    request = StartRun(input=(TextPart(text="hi"),), idempotency=key)
    started = await asyncio.gather(*[server.core.runs.start(LOCAL, request) for _ in range(100)])
    assert len({s.run.id for s in started}) == 1
    assert sum(not s.replayed for s in started) == 1
    other = IdempotencyKey(key="k", route="runs", body_hash="b")
    with pytest.raises(Invalid):
        await server.core.runs.start(LOCAL, StartRun(input=(TextPart(text="x"),), idempotency=other))
    assert len(await server.ended(started[0].run.id)) == 6


@pytest.mark.contract("REL-5")
async def test_a_thousand_posts_to_one_thread_make_one_active_run(boot: Boot) -> None:
    server = await boot(wait=until_cancelled)
    thread = await server.core.threads.create(LOCAL, agent="wait")
    results = await asyncio.gather(
        *[server.start(thread_id=thread[0].id) for _ in range(1000)], return_exceptions=True
    )
    accepted = [r for r in results if not isinstance(r, BaseException)]
    assert len(accepted) == 1
    assert all(isinstance(r, Busy) for r in results if isinstance(r, BaseException))
    await server.core.runs.cancel(LOCAL, accepted[0].id)


@pytest.mark.contract("THR-5")
async def test_an_answer_can_be_given_again_and_a_question_edited(boot: Boot) -> None:
    histories: list[list[str]] = []

    def telling(turn: Turn) -> AsyncIterator[Event | Finished]:
        histories.append(
            [m.content for m in turn.history] + [p.text for p in turn.input if isinstance(p, TextPart)]
        )
        return say("a", str(len(histories)))

    server = await boot(telling=telling)
    first = await server.start("one")
    await server.ended(first.id)
    second = await server.start("two", thread_id=first.thread_id)
    await server.ended(second.id)
    page = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=first.thread_id))
    again = await server.start(thread_id=first.thread_id, input=None, parent_id=page.items[2].id)
    await server.ended(again.id)
    edited = await server.start("deux", thread_id=first.thread_id, parent_id=page.items[1].id)
    await server.ended(edited.id)
    assert histories == [["one"], ["one", "a1", "two"], ["one", "a1", "two"], ["one", "a1", "deux"]]
    head = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=first.thread_id))
    assert [m.content for m in head.items] == ["one", "a1", "deux", "a4"]
    every = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=first.thread_id, branch="all"))
    assert [m.content for m in every.items] == ["one", "a1", "two", "a2", "a3", "deux", "a4"]
    with pytest.raises(Invalid):
        await server.start(thread_id=first.thread_id, input=None, parent_id=page.items[1].id)


@pytest.mark.contract("AGT-6")
async def test_a_lost_context_fails_and_is_never_stale(boot: Boot) -> None:
    server = await boot(echo=echo)
    with pytest.raises(Unsupported):
        await server.start(context={"a": 1}, has_context=True)
    assert AgentFailed.kind == "agent"


async def test_input_may_not_carry_what_only_an_agent_says(boot: Boot) -> None:
    server = await boot(echo=echo)
    with pytest.raises(Invalid):
        await server.start(input=(ToolCallPart(call_id="1", name="x", arguments={}),))
    with pytest.raises(Unsupported):
        await server.start(settings={"no_such": 1})


@pytest.mark.contract("EVT-5")
async def test_a_thousand_followers_see_the_same(boot: Boot) -> None:
    go = asyncio.Event()

    async def waits(turn: Turn) -> AsyncIterator[Event | Finished]:
        await go.wait()
        async for item in say(*[f"{n} " for n in range(50)]):
            yield item
            await asyncio.sleep(0)

    server = await boot(waits=waits)
    run = await server.start()
    followers = [asyncio.ensure_future(server.ended(run.id)) for _ in range(1000)]
    await asyncio.sleep(0)
    go.set()
    seen = await asyncio.gather(*followers)
    assert all(events == seen[0] for events in seen)
    check_stream(wire(seen[0]))


@pytest.mark.contract("RUN-3", "EVT-8")
@pytest.mark.parametrize("where", ["delta", "end"])
async def test_a_run_that_cannot_be_stored_fails_alone(
    boot: Boot, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    async def speaks(turn: Turn) -> AsyncIterator[Event | Finished]:
        poison = isinstance(turn.input[0], TextPart) and turn.input[0].text == "poison"
        message_id = new_id()
        yield MessageStarted(message_id=message_id, role="assistant")
        yield TextDelta(message_id=message_id, delta="poison" if poison and where == "delta" else "fine")
        yield MessageCompleted(
            message_id=message_id, text="poison" if poison and where == "delta" else "fine"
        )
        for _ in range(100):
            await asyncio.sleep(0)
        async for item in say("poison" if poison else "fine"):
            yield item

    server = await boot(speaks=speaks)
    append = server.store.append

    async def refuses(batches: Sequence[Append]) -> list[Appended]:
        for batch in batches:
            if any(b'"delta":"poison"' in event.body for event in batch.events):
                raise ValueError("no such thing")
        return await append(batches)

    monkeypatch.setattr(server.store, "append", refuses)
    bad, good = await server.start("poison"), await server.start("fine")
    for run in (bad, good):
        check_stream(wire(await server.ended(run.id)), whole=run is bad)
    failed = await server.get(bad.id)
    assert failed.status == "failed"
    assert failed.error
    assert failed.error.code in ("unstorable", "agent_error")
    assert (await server.get(good.id)).status == "completed"


@pytest.mark.contract("RUN-3")
async def test_a_models_name_that_is_no_text_does_not_hold_its_run_up(boot: Boot) -> None:
    async def named(turn: Turn) -> AsyncIterator[Event | Finished]:
        yield Finished(output="x", model="m\ud800")

    server = await boot(named=named)
    run = await server.start()
    async with asyncio.timeout(5):
        await server.ended(run.id)
    assert (await server.get(run.id)).status in ("completed", "failed")
