"""AG2 agents that call agents: delegation, subtasks, and what of it is shown, asked, journalled and never run twice."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import pytest
from ag2 import Agent, Context, Inject, TaskConfig, Toolkit, Variable
from ag2.context import ConversationContext
from ag2.events import BaseEvent, ModelReasoning, ToolCallEvent
from ag2.middleware.builtin.tools.approval import BYPASS_KEY, approval_required
from ag2.tools import ToolResult, tool

from landline.adapters.ag2 import adapter
from landline.model import events as log
from landline.model.errors import AgentFailed
from landline.model.events import encode
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.testing.adapters import ToolBox, check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.models.ag2 import Said, ScriptConfig, call, prompts, told, words
from tests.adapters.ag2_kit import agent, once

BOUND_S = 5.0


async def go(spec: AgentSpec | Agent[Any], line: MemoryLine | None = None, **given: Any) -> Finished:
    spec = spec if isinstance(spec, AgentSpec) else AgentSpec(agent=spec, name="a")
    async with asyncio.timeout(BOUND_S):
        line = line or MemoryLine()
        return await drive(adapter, line, turn_of(line, spec, "hi", **given))


def boss_and_worker(box: ToolBox, *, approval: bool = False) -> tuple[AgentSpec, list[ScriptConfig]]:
    """A boss who has two workers at once; each worker digs once and says so."""

    @tool(middleware=[approval_required()] if approval else [])
    async def dig(where: str) -> str:
        box.note("dig", where)
        return f"dug {where}"

    async def work(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        place = prompts(messages)[-1].split()[0]
        if told(messages):
            yield f"worker: {words(told(messages)[0])}"
        else:
            yield call("dig", where=place)

    async def lead(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        results = told(messages)
        if results:
            yield "boss heard: " + " and ".join(words(result) for result in results)
        else:
            yield "Go! "
            for place in ("north", "south"):
                yield ToolCallEvent(
                    "task_worker", id=f"send-{place}", arguments=f'{{"objective": "{place} end"}}'
                )

    worker = agent(work, dig, name="worker")
    boss = agent(lead, worker.as_tool(description="Digs."), name="boss")
    configs = [made.config for made in (boss, worker) if isinstance(made.config, ScriptConfig)]
    return AgentSpec(agent=boss, name="boss"), configs


EXPECTED = "boss heard: worker: dug north and worker: dug south"


@pytest.mark.contract("ADP-2", "ADP-4")
async def test_delegations_run_side_by_side_and_their_tools_are_in_the_log() -> None:
    box = ToolBox()
    spec, configs = boss_and_worker(box)
    line = MemoryLine()
    assert (await go(spec, line)).output == EXPECTED
    check_grammar(line.events)
    assert sorted(event.name for event in line.of(log.ToolCalled)) == [
        "dig",
        "dig",
        "task_worker",
        "task_worker",
    ]
    # The workers speak to the boss; the user hears the boss.
    assert [text for _, text, _ in line.messages()] == ["Go! ", EXPECTED]
    assert len(line.of(log.UsageReported)) == 6
    assert [config.asked for config in configs] == [2, 4]


@pytest.mark.contract("ADP-4", "EVT-6")
@pytest.mark.parametrize("approval", [False, True])
async def test_a_crash_at_any_event_runs_no_finished_tool_or_model_call_again(approval: bool) -> None:
    box = ToolBox()
    spec, configs = boss_and_worker(box, approval=approval)
    whole = await to_the_end(spec, None)
    assert box.counts == {"dig": 2}
    calls = sum(config.asked for config in configs)
    for index in range(len(whole.events)):
        box.done.clear()
        for config in configs:
            config.asked = 0
        line = await to_the_end(spec, index)
        check_grammar(line.events)
        assert [text for _, text, _ in line.messages()] == ["Go! ", EXPECTED], f"crash before {index}"
        again = sum(key.startswith("unknown:") for key in line.answers)
        assert box.counts["dig"] <= 2 + again
        # At most what was under way at the crash, at two workers' models, is paid for again.
        assert sum(config.asked for config in configs) <= calls + 2


async def to_the_end(spec: AgentSpec, crash_at: int | None) -> MemoryLine:
    line = MemoryLine(crash_at=crash_at)
    while True:
        try:
            finished = await go(spec, line)
        except Crashed:
            line = line.resumed()
        except Suspended:
            for key in [] if line.dead else list(line.questions):
                line.answer(key, approve=True)
            line = line.resumed()
        else:
            assert finished.output == EXPECTED
            return line


@pytest.mark.contract("ADP-3")
async def test_approvals_of_parallel_workers_are_asked_together_and_one_may_be_denied() -> None:
    box = ToolBox()
    spec, _ = boss_and_worker(box, approval=True)
    line = MemoryLine()
    with pytest.raises(Suspended):
        await go(spec, line)
    assert {ask.tool for ask in line.questions.values()} == {"dig"}
    assert len(line.questions) == 2
    for key, ask in list(line.questions.items()):
        line.answer(key, approve=ask.arguments == {"where": "north"}, reason="hard rock")
    line = line.resumed()
    assert (await go(spec, line)).output == "boss heard: worker: dug north and worker: hard rock"
    assert box.done == [("dig", "north")]
    check_grammar(line.events)


@pytest.mark.contract("ADP-4")
async def test_subtasks_that_the_framework_makes_are_journalled_too() -> None:
    box = ToolBox()

    async def dig(where: str) -> str:
        box.note("dig", where)
        return f"dug {where}"

    async def stream(messages: Sequence[BaseEvent], context: ConversationContext) -> AsyncIterator[Said]:
        results = told(messages)
        if "task agent" in "".join(context.prompt):
            yield words(results[0]) if results else call("dig", where=prompts(messages)[-1])
        else:
            yield words(results[0]) if results else call("run_subtasks", tasks=["north", "south"])

    spec = AgentSpec(agent=agent(stream, dig, tasks=TaskConfig()), name="a")
    line = MemoryLine()
    line.die_before = log.MessageStarted
    with pytest.raises(Crashed):
        await go(spec, line)
    assert box.counts == {"dig": 2}
    line = line.resumed()
    output = (await go(spec, line)).output
    assert "dug north" in output
    assert "dug south" in output
    assert box.counts == {"dig": 2}
    check_grammar(line.events)


@pytest.mark.contract("AGT-3")
async def test_a_run_leaves_nothing_on_the_owners_agents() -> None:
    spec, _ = boss_and_worker(ToolBox())
    boss = spec.agent

    def state(made: Agent[Any]) -> tuple[Any, ...]:
        inside: dict[str, Any] = dict(vars(made))
        tools: list[Any] = inside["tools"]
        return inside, list(tools), list(inside["_middleware"]), [one.middleware for one in tools]

    before = state(boss)
    await go(spec)
    assert state(boss)[:3] == before[:3]
    assert [len(hooks) for hooks in state(boss)[3]] == [len(hooks) for hooks in before[3]]


@pytest.mark.contract("ADP-2")
async def test_a_toolkits_tools_are_journalled_and_described() -> None:
    box = ToolBox()

    async def lift() -> str:
        box.note("lift")
        return "lifted"

    made = agent(once("lift"), Toolkit(lift))
    assert [info.name for info in adapter.describe(AgentSpec(agent=made, name="a")).tools] == ["lift"]
    line = MemoryLine()
    line.die_before = log.MessageStarted
    with pytest.raises(Crashed):
        await go(made, line)
    assert (await go(made, line.resumed())).output == "I was told: lifted"
    assert box.counts == {"lift": 1}


@pytest.mark.contract("ADP-2")
async def test_a_final_result_of_a_tool_is_the_answer_also_after_a_crash() -> None:
    async def last() -> ToolResult:
        return ToolResult("that is all", final=True)

    made = agent(once("last"), last)
    line = MemoryLine()
    assert (await go(made, line)).output == "that is all"
    assert [text for _, text, _ in line.messages()] == ["that is all"]
    line = MemoryLine()
    line.die_before = log.MessageStarted
    with pytest.raises(Crashed):
        await go(made, line)
    line = line.resumed()
    assert (await go(made, line)).output == "that is all"
    check_grammar(line.events)


@pytest.mark.contract("ADP-2", "EVT-8")
async def test_a_failed_tool_is_told_to_the_model_the_same_before_and_after_a_crash() -> None:
    async def broken() -> str:
        raise LookupError("canary-19")

    heard: list[str] = []

    async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        results = told(messages)
        if results:
            heard.append(words(results[0]))
            yield "It failed."
        else:
            yield call("broken")

    made = agent(stream, broken)
    line = MemoryLine()
    line.die_before = log.MessageStarted
    with pytest.raises(Crashed):
        await go(made, line)
    assert (await go(made, line.resumed())).output == "It failed."
    assert heard[0] == heard[1]
    assert "canary-19" in heard[0]
    assert b"canary-19" not in b"".join(map(encode, line.events))


@pytest.mark.contract("ADP-2")
async def test_arguments_that_do_not_fit_are_told_to_the_model() -> None:
    async def half(n: int) -> int:
        return n // 2

    line = MemoryLine()
    assert "n" in (await go(agent(once("half", n="many"), half), line)).output
    (end,) = line.of(log.ToolFailed)
    assert end.error.code == "model_retry"


@pytest.mark.contract("ADP-2")
async def test_reasoning_of_a_recorded_response_is_shown_when_there_was_no_time_before() -> None:
    async def stream(_: Sequence[BaseEvent], __: ConversationContext) -> AsyncIterator[Said]:
        yield ModelReasoning("hm")
        yield "yes"

    made = agent(stream)
    line = MemoryLine()
    line.die_before = log.MessageCompleted
    with pytest.raises(Crashed):
        await go(made, line)
    line = line.resumed()
    await go(made, line)
    kinds = [event.type for event in line.events]
    assert kinds[kinds.index("run.resumed") :] == [
        "run.resumed",
        "message.started",
        "reasoning.delta",
        "text.delta",
        "message.completed",
    ]
    assert isinstance(made.config, ScriptConfig)
    assert made.config.asked == 1


# context


@pytest.mark.contract("ADP-2", "AGT-6")
async def test_a_mapping_is_the_runs_variables_too() -> None:
    async def whoami(
        user: Annotated[str, Variable()], context: Annotated[dict[str, Any], Inject()], ctx: Context
    ) -> str:
        return f"{user} {context['user']} {sorted(ctx.variables)}"

    given = {"user": "ada", BYPASS_KEY: {"pay": True}}
    finished = await go(agent(once("whoami"), whoami), context=given)
    assert finished.output == "I was told: ada ada ['user']"


@pytest.mark.contract("ADP-9")
async def test_what_a_tool_writes_into_variables_is_gone_with_its_run() -> None:
    async def note(notes: Annotated[list[str], Variable()]) -> int:
        notes.append("mine")
        return len(notes)

    made = agent(once("note"), note, variables={"notes": []})
    for _ in range(2):
        assert (await go(made)).output == "I was told: 1"
    assert made.variables["notes"] == []


@pytest.mark.contract("ADP-9", "AGT-3", "RUN-5")
async def test_fifty_users_of_a_boss_with_workers_hear_no_word_of_each_other() -> None:
    async def dig(where: str, context: Annotated[str, Inject()]) -> str:
        await asyncio.sleep(0)
        assert context == where
        return f"dug {where}"

    async def work(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        place = prompts(messages)[-1]
        await asyncio.sleep(0)
        yield f"done {words(told(messages)[0])}" if told(messages) else call("dig", where=place)

    async def lead(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        for piece in ("For ", prompts(messages)[-1]):
            yield piece
            await asyncio.sleep(0)
        if not told(messages):
            yield call("task_worker", objective=prompts(messages)[-1])
        else:
            yield f": {words(told(messages)[0])}"

    worker = agent(work, dig, name="worker")
    spec = AgentSpec(agent=agent(lead, worker.as_tool(description="Digs."), name="boss"), name="boss")
    chance = random.Random(11)

    async def user(number: int) -> int:
        finished = 0
        for turn in range(3):
            word = f"canary-{number:04d}"
            line = MemoryLine()
            run = turn_of(line, spec, word, run_id=f"run-{number}-{turn}", context=word)
            task = asyncio.create_task(drive(adapter, line, run))
            if chance.random() < 0.3:
                for _ in range(chance.randrange(120)):
                    await asyncio.sleep(0)
                task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(outcome, asyncio.CancelledError):
                assert isinstance(outcome, Finished)
                assert outcome.output == f"For {word}: done dug {word}"
                finished += 1
            heard = b"".join([*map(encode, line.events), *line.records.values()])
            assert not [n for n in range(50) if n != number and f"canary-{n:04d}".encode() in heard]
        return finished

    async with asyncio.timeout(40):
        assert sum(await asyncio.gather(*(user(number) for number in range(50)))) > 75


@pytest.mark.contract("RUN-5")
async def test_cancelling_stops_a_workers_tool_too() -> None:
    box = ToolBox()

    async def wait() -> str:
        try:
            box.started.set()
            await asyncio.Event().wait()
        finally:
            box.stopped.set()
        return "never"

    worker = agent(once("wait"), wait, name="worker")
    boss = agent(once("task_worker", objective="x"), worker.as_tool(description="Waits."), name="boss")
    task = asyncio.create_task(go(boss))
    async with asyncio.timeout(BOUND_S):
        await box.started.wait()
    task.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await task
        await box.stopped.wait()


@pytest.mark.contract("RUN-5", "ADP-8")
async def test_how_a_cancelled_thread_ended_after_all_is_told() -> None:
    box = ToolBox()

    def block() -> str:
        box.thread_started.set()
        box.release.wait(10)
        return "late"

    line = MemoryLine()
    task = asyncio.create_task(go(agent(once("block"), block), line))
    try:
        assert await asyncio.to_thread(box.thread_started.wait, BOUND_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        box.release.set()
    async with asyncio.timeout(BOUND_S):
        while line.late != {"block": True}:  # noqa: ASYNC110 - it is told from a thread
            await asyncio.sleep(0.01)


@pytest.mark.contract("EVT-8")
async def test_an_agent_without_a_model_says_so() -> None:
    with pytest.raises(AgentFailed, match="set up"):
        await go(Agent("bare"))
