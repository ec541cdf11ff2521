"""What is left after a crash: journalled tools, open questions, cut messages."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from landline.model.callers import LOCAL, SYSTEM, Caller
from landline.model.errors import Conflict, Invalid, NotFound
from landline.model.events import Event, MessageCompleted, MessageStarted, TextDelta
from landline.model.ids import new_id
from landline.model.runs import Answer
from landline.ports.adapter import Ask, Finished, OutcomeUnknown, ToolCall, Turn
from landline.ports.runs import StartRun
from landline.ports.store import MessageQuery
from landline.testing.clock import VirtualClock
from landline.testing.fakes import say
from landline.testing.grammar import check_stream
from tests.engine.conftest import Boot, Server


class Ledger:
    """Counts how often a tool ran to its end, and can hold it in mid-run."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.holding = asyncio.Event()
        self.reached = asyncio.Event()

    async def charge(self, what: str) -> str:
        self.reached.set()
        await self.holding.wait()
        self.runs.append(what)
        return f"charged {what}"


def shop(ledger: Ledger):
    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        for number in (1, 2):
            call = ToolCall(call_id=f"c{number}", name="charge", arguments={"n": number})
            try:
                await turn.line.tool(call, lambda n=number: ledger.charge(str(n)))
            except OutcomeUnknown as unknown:
                key = turn.line.unknown_key(unknown.call.call_id)
                await turn.line.ask(Ask(key=key, kind="approval", prompt="Run it again?"))
        async for item in say("done"):
            yield item

    return script


async def again(server: Server) -> Server:
    """Crash and start again on the same folder."""
    await server.crash()
    return await server.boot()


@pytest.mark.contract("ADP-4", "REL-3")
async def test_a_finished_tool_is_never_run_again(boot: Boot) -> None:
    ledger = Ledger()
    ledger.holding.set()
    reached = asyncio.Event()

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        await turn.line.tool(ToolCall(call_id="c1", name="charge", arguments={}), lambda: ledger.charge("1"))
        if turn.attempt == 1:
            reached.set()
            await asyncio.Event().wait()
        async for item in say("done"):
            yield item

    server = await boot(shop=script)
    run = await server.start()
    await reached.wait()
    await again(server)
    events = [json.loads(e.wire) for e in await server.ended(run.id)]
    check_stream(events)
    assert ledger.runs == ["1"]
    assert [e["type"] for e in events].count("tool.called") == 1
    resumed = next(e for e in events if e["type"] == "run.resumed")
    assert (resumed["attempt"], resumed["reason"]) == (2, "recovered")


@pytest.mark.contract("ADP-4")
async def test_a_tool_whose_outcome_is_unknown_is_asked_about_and_not_re_run(boot: Boot) -> None:
    ledger = Ledger()
    server = await boot(shop=shop(ledger))
    run = await server.start()
    await ledger.reached.wait()
    await again(server)
    await server.ended(run.id)
    waiting = await server.get(run.id)
    assert waiting.status == "waiting"
    assert ledger.runs == []
    ledger.holding.set()
    question = waiting.questions[0].question_id
    await server.core.runs.answer(LOCAL, run.id, [Answer(question_id=question, approve=True)])
    events = [json.loads(e.wire) for e in await server.ended(run.id)]
    assert (await server.get(run.id)).status == "completed"
    assert ledger.runs == ["1", "2"]
    assert [e["type"] for e in events].count("run.waiting") == 1


@pytest.mark.contract("EVT-6", "REL-3")
async def test_a_message_cut_by_a_crash_is_dropped_and_written_again(boot: Boot) -> None:
    told = asyncio.Event()

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        if turn.attempt == 1:
            message_id = new_id()
            yield MessageStarted(message_id=message_id, role="assistant")
            yield TextDelta(message_id=message_id, delta="half a")
            told.set()
            await asyncio.Event().wait()
        async for item in say("a whole answer"):
            yield item

    server = await boot(script=script)
    run = await server.start()
    seen: list[int] = []
    async for batch in server.core.runs.follow(LOCAL, run.id):
        seen += [e.seq for e in batch]
        if any(e.type == "text.delta" for e in batch):
            break
    await again(server)
    events = [json.loads(e.wire) for e in await server.ended(run.id)]
    check_stream(events)
    resumed = next(e for e in events if e["type"] == "run.resumed")
    assert resumed["drop_message_id"] == events[2]["message_id"]
    rest = await server.ended(run.id, after=seen[-1])
    assert [e.seq for e in rest] == list(range(seen[-1] + 1, len(events) + 1))


@pytest.mark.contract("REL-3")
async def test_a_run_that_kills_its_worker_again_and_again_is_poisoned(boot: Boot) -> None:
    async def killer(turn: Turn) -> AsyncIterator[Event | Finished]:
        yield MessageStarted(message_id=new_id(), role="assistant")
        await asyncio.Event().wait()

    server = await boot(killer=killer)
    run = await server.start()
    for _ in range(3):
        async for batch in server.core.runs.follow(LOCAL, run.id):
            if batch[-1].type == "message.started":
                break
        await again(server)
    await server.ended(run.id)
    done = await server.get(run.id)
    assert done.status == "failed"
    assert done.error
    assert done.error.code == "poisoned"


def asking(turn: Turn) -> AsyncIterator[Event | Finished]:
    async def script() -> AsyncIterator[Event | Finished]:
        first, second = await turn.line.ask(
            Ask(key="a", kind="approval", prompt="Delete?", arguments={"id": 1}),
            Ask(key="b", kind="choice", prompt="Which?", choices=["x", "y"], expires_s=60),
        )
        async for item in say(f"{first.approve} {second.value} {first.reason}"):
            yield item

    return script()


@pytest.mark.contract("RUN-8", "WIRE-3")
async def test_a_question_survives_a_restart_and_is_answered_once(boot: Boot) -> None:
    server = await boot(asking=asking)
    run = await server.start()
    events = await server.ended(run.id)
    assert events[-1].type == "run.waiting"
    async with asyncio.timeout(5):
        while len(server.core.driver):  # noqa: ASYNC110 - the driver says nothing when it is empty
            await asyncio.sleep(0)
    await again(server)
    waiting = await server.get(run.id)
    ids = {q.prompt: q.question_id for q in waiting.questions}
    runs = server.core.runs
    with pytest.raises(Invalid):
        await runs.answer(LOCAL, run.id, [Answer(question_id=ids["Which?"], value="z")])
    partly = await runs.answer(LOCAL, run.id, [Answer(question_id=ids["Which?"], value="y")])
    assert partly.run is not None
    assert partly.run.status == "waiting"
    with pytest.raises(Conflict):
        await runs.answer(LOCAL, run.id, [Answer(question_id=ids["Which?"], value="x")])
    await runs.answer(LOCAL, run.id, [Answer(question_id=ids["Delete?"], approve=False, reason="no")])
    rest = [json.loads(e.wire) for e in await server.ended(run.id, after=events[-1].seq)]
    assert rest[-1]["output"] == "False y no"
    check_stream([json.loads(e.wire) for e in await server.ended(run.id)])


@pytest.mark.contract("RUN-8", "RUN-9")
async def test_an_approver_of_the_tenant_sees_the_question_and_nothing_else(boot: Boot) -> None:
    server = await boot(asking=asking)
    run = await server.start()
    await server.ended(run.id)
    approver = Caller(tenant="local", user="boss", scopes=frozenset({"approvals:answer"}))
    stranger = Caller(tenant="local", user="x", scopes=frozenset({"runs:read"}))
    foreign = Caller(tenant="other", user="local")
    inbox = await server.core.questions.inbox(approver)
    assert {q.prompt for q in inbox.items} == {"Delete?", "Which?"}
    assert (await server.core.questions.inbox(stranger)).items == []
    assert (await server.core.questions.inbox(foreign)).items == []
    answers = [
        Answer(question_id=q.question_id, approve=True)
        if q.kind == "approval"
        else Answer(question_id=q.question_id, value="x")
        for q in inbox.items
    ]
    for nobody in (stranger, foreign):
        with pytest.raises(NotFound):
            await server.core.runs.answer(nobody, run.id, answers)
    with pytest.raises(NotFound):
        await server.core.runs.get(approver, run.id)
    told = await server.core.runs.answer(approver, run.id, answers)
    assert told.run is None
    assert len(told.questions) == 2
    await server.ended(run.id, after=run.attempt)
    assert (await server.get(run.id)).status == "completed"


@pytest.mark.contract("RUN-8")
async def test_a_question_left_open_too_long_counts_as_denied(boot: Boot) -> None:
    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        (answer,) = await turn.line.ask(Ask(key="a", kind="approval", prompt="?", expires_s=60))
        async for item in say(str(answer.approve)):
            yield item

    server = await boot(script=script)
    clock = VirtualClock()
    await server.crash()
    server.clock = clock
    await server.boot()
    run = await server.start()
    events = await server.ended(run.id)
    while (await server.get(run.id)).status == "waiting":
        await clock.advance(30)
    await server.ended(run.id, after=events[-1].seq)
    done = await server.get(run.id)
    assert (done.status, done.output) == ("completed", "False")


@pytest.mark.contract("RUN-10")
@pytest.mark.parametrize("limit", ["deadline_s", "idle_timeout_s"])
async def test_a_run_that_takes_too_long_fails_as_timed_out(boot: Boot, limit: str) -> None:
    async def hangs(turn: Turn) -> AsyncIterator[Event | Finished]:
        await asyncio.Event().wait()
        yield Finished(output=None)

    server = await boot(hangs=hangs)
    clock = VirtualClock()
    await server.crash()
    server.clock, server.options = clock, {"hangs": {limit: 10.0}}
    await server.boot()
    run = await server.start()
    async for batch in server.core.runs.follow(LOCAL, run.id):
        if any(e.type == "run.started" for e in batch):
            break
    await clock.advance(9)
    assert (await server.get(run.id)).status == "running"
    await clock.advance(2)
    await server.ended(run.id)
    done = await server.get(run.id)
    assert done.status == "failed"
    assert done.error
    assert done.error.code == "timed_out"


@pytest.mark.contract("REL-2", "RUN-3")
async def test_cancels_racing_the_end_leave_one_terminal_state(boot: Boot) -> None:
    async def quick(turn: Turn) -> AsyncIterator[Event | Finished]:
        async for item in say("a", "b", "c"):
            yield item
            await asyncio.sleep(0)

    server = await boot(quick=quick)

    async def race(steps: int) -> str:
        run = (await server.core.runs.start(LOCAL, StartRun(input=()))).run
        for _ in range(steps):
            await asyncio.sleep(0)
        await server.core.runs.cancel(LOCAL, run.id)
        events = [json.loads(e.wire) for e in await server.ended(run.id)]
        check_stream(events)
        return str((await server.get(run.id)).status)

    ends = [await race(steps) for steps in range(40)]
    assert set(ends) <= {"completed", "cancelled"}
    assert await server.store.verify(LOCAL) == []


@pytest.mark.contract("RUN-8")
async def test_waiting_for_an_answer_is_part_of_the_message_that_goes_on(boot: Boot) -> None:
    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        begun = turn.line.emitted_text(0)
        message_id = begun[0] if begun else new_id()
        if not begun:
            yield MessageStarted(message_id=message_id, role="assistant")
            yield TextDelta(message_id=message_id, delta="2+2? ")
        (answer,) = await turn.line.ask(Ask(key="q", kind="input", prompt="2+2?"))
        yield TextDelta(message_id=message_id, delta=f"{answer.value}!")
        yield MessageCompleted(message_id=message_id, text=f"2+2? {answer.value}!")
        yield Finished(output=f"2+2? {answer.value}!")

    server = await boot(script=script)
    server.adapter.partial_text = "continue"
    run = await server.start()
    await server.ended(run.id)
    question = (await server.get(run.id)).questions[0].question_id
    await server.core.runs.answer(LOCAL, run.id, [Answer(question_id=question, value="4")])
    await server.ended(run.id, after=4)
    events = [json.loads(e.wire) for e in await server.ended(run.id)]
    check_stream(events)
    assert events[-1]["output"] == "2+2? 4!"


@pytest.mark.contract("ADP-4")
async def test_one_approval_allows_one_further_run(boot: Boot) -> None:
    ledger = Ledger()
    server = await boot(shop=shop(ledger))
    run = await server.start()
    for _ in range(2):
        await ledger.reached.wait()
        ledger.reached.clear()
        await again(server)
        await server.ended(run.id, after=2)
        waiting = await server.get(run.id)
        assert waiting.status == "waiting"
        answer = Answer(question_id=waiting.questions[0].question_id, approve=True)
        await server.core.runs.answer(LOCAL, run.id, [answer])
    ledger.holding.set()
    await server.ended(run.id, after=(await server.ended(run.id))[-1].seq - 1)
    assert (await server.get(run.id)).status == "completed"
    assert ledger.runs == ["1", "2"]


@pytest.mark.contract("RUN-5")
async def test_the_late_end_of_a_thread_is_noted_beside_the_log(boot: Boot) -> None:
    ended: list[Callable[[bool], None]] = []

    async def threaded(turn: Turn) -> AsyncIterator[Event | Finished]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(turn.line.finishing("call-1"))
            raise
        yield Finished(output=None)

    server = await boot(threaded=threaded)
    run = await server.start()
    async for batch in server.core.runs.follow(LOCAL, run.id):
        if any(event.type == "run.started" for event in batch):
            break
    await server.core.runs.cancel(LOCAL, run.id)
    before = await server.ended(run.id)
    await asyncio.to_thread(ended[0], True)
    async with asyncio.timeout(5):
        while not await server.late_results(run.id):  # noqa: ASYNC110 - it is noted from another thread
            await asyncio.sleep(0)
    assert await server.ended(run.id) == before


@pytest.mark.contract("RUN-5")
async def test_a_run_cancelled_while_it_waits_keeps_what_it_said(boot: Boot) -> None:
    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        async for item in say("a question:"):
            if not isinstance(item, Finished):
                yield item
        await turn.line.ask(Ask(key="q", kind="input", prompt="?"))
        yield Finished(output=None)

    server = await boot(script=script)
    run = await server.start()
    await server.ended(run.id)
    done = await server.core.runs.cancel(LOCAL, run.id)
    assert (done.status, done.output, list(done.questions)) == ("cancelled", "a question:", [])
    check_stream([json.loads(e.wire) for e in await server.ended(run.id)])
    page = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=run.thread_id))
    assert [m.content for m in page.items] == ["hi", "a question:"]


@pytest.mark.contract("RUN-5")
async def test_cancels_racing_a_question_end_the_run(boot: Boot) -> None:
    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        await turn.line.ask(Ask(key="q", kind="input", prompt="?"))
        yield Finished(output=None)

    server = await boot(script=script)
    for steps in range(30):
        run = await server.start()
        for _ in range(steps):
            await asyncio.sleep(0)
        assert (await server.core.runs.cancel(LOCAL, run.id)).status == "cancelled"
    assert await server.store.verify(SYSTEM) == []


@pytest.mark.contract("ADP-4", "EVT-6")
async def test_a_dropped_message_is_not_there_to_be_continued(boot: Boot) -> None:
    seen: list[object] = []
    told = asyncio.Event()

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        seen.append(turn.line.emitted_text(0))
        if turn.attempt == 1:
            message_id = new_id()
            yield MessageStarted(message_id=message_id, role="assistant")
            yield TextDelta(message_id=message_id, delta="half")
            await turn.line.tool(ToolCall(call_id="c", name="t", arguments={}), told_of)
            await asyncio.Event().wait()
        async for item in say("whole"):
            yield item

    async def told_of() -> None:
        told.set()

    server = await boot(script=script)
    run = await server.start()
    await told.wait()
    await again(server)
    await server.ended(run.id)
    assert seen == [None, None]
