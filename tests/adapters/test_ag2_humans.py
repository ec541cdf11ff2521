"""Humans in AG2 runs: approvals by the framework's hook and by Landline's policy, questions, and what waits for what."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from ag2 import Agent, Context
from ag2.context import ConversationContext
from ag2.events import BaseEvent, ToolCallEvent, ToolResultEvent
from ag2.exceptions import HumanInputError
from ag2.middleware import BaseMiddleware
from ag2.middleware.builtin.tools.approval import approval_required
from ag2.tools import tool

from landline.adapters.ag2 import adapter
from landline.model import events as log
from landline.model.errors import AgentFailed
from landline.ports.adapter import AgentSpec, Finished, Suspended, ToolPolicy
from landline.testing.adapters import ToolBox, check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.models.ag2 import Said, call, told, words
from tests.adapters.ag2_kit import agent, once

BOUND_S = 5.0


async def go(spec: AgentSpec, line: MemoryLine, **given: Any) -> Finished:
    async with asyncio.timeout(BOUND_S):
        return await drive(adapter, line, turn_of(line, spec, "hi", **given))


async def until_suspended(spec: AgentSpec, line: MemoryLine | None = None) -> MemoryLine:
    line = line or MemoryLine()
    with pytest.raises(Suspended):
        await go(spec, line)
    return line


def script(*batches: list[ToolCallEvent]) -> Any:
    """Call the batches one after the other, then say all that was told."""

    async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        results = told(messages)
        done = 0
        for batch in batches:
            if len(results) < done + len(batch):
                for one in batch:
                    yield one
                return
            done += len(batch)
        yield "; ".join(words(result) for result in results)

    return stream


def paying(box: ToolBox, **policy: Any) -> AgentSpec:
    async def pay(amount: int) -> str:
        box.note("pay", amount)
        return f"paid {amount}"

    return AgentSpec(
        agent=agent(once("pay", amount=3), pay), name="paying", tools={"pay": ToolPolicy(**policy)}
    )


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_a_policy_asks_before_a_tool_that_the_framework_would_just_run() -> None:
    box = ToolBox()
    spec = paying(box, approval=True, approvers=2, expires_s=9.0)
    line = await until_suspended(spec)
    assert box.counts == {}
    assert line.of(log.ToolCalled) == []
    (ask,) = line.questions.values()
    assert (ask.kind, ask.key, ask.tool, ask.arguments) == ("approval", "pay", "pay", {"amount": 3})
    assert (ask.approvers, ask.expires_s) == (2, 9.0)
    line.answer("pay", approve=True, arguments={"amount": 4})
    line = line.resumed()
    assert (await go(spec, line)).output == "I was told: paid 4"
    assert box.done == [("pay", 4)]
    check_grammar(line.events)


@pytest.mark.contract("ADP-3")
async def test_a_policys_denial_reaches_log_and_model() -> None:
    box = ToolBox()
    spec = paying(box, approval=True)
    line = await until_suspended(spec)
    line.answer("pay", approve=False, reason="too dear")
    line = line.resumed()
    assert (await go(spec, line)).output == "I was told: too dear"
    assert box.counts == {}
    (end,) = line.of(log.ToolFailed)
    assert (end.error.code, end.error.message) == ("denied", "too dear")


@pytest.mark.contract("ADP-3")
async def test_framework_and_policy_together_ask_once() -> None:
    box = ToolBox()

    @tool(middleware=[approval_required()])
    async def pay() -> str:
        box.note("pay")
        return "paid"

    spec = AgentSpec(agent=agent(once("pay"), pay), name="p", tools={"pay": ToolPolicy(approval=True)})
    line = await until_suspended(spec)
    line.answer("pay", approve=True)
    line = line.resumed()
    assert (await go(spec, line)).output == "I was told: paid"
    assert len(line.of(log.QuestionAsked)) == 1


@pytest.mark.contract("ADP-3")
async def test_the_owners_words_and_patience_are_in_the_question() -> None:
    @tool(middleware=[approval_required("Really {tool_name}?", timeout=30.0)])
    async def wipe() -> str:
        return "wiped"

    line = await until_suspended(AgentSpec(agent=agent(once("wipe"), wipe), name="w"))
    (ask,) = line.questions.values()
    assert (ask.prompt, ask.expires_s) == ("Really wipe?", 30.0)


@pytest.mark.contract("ADP-3")
async def test_all_questions_of_a_batch_are_asked_at_once_and_slow_calls_end_first() -> None:
    box = ToolBox()

    @tool(middleware=[approval_required()])
    async def wipe(disk: str) -> str:
        box.note("wipe", disk)
        return f"wiped {disk}"

    async def slow() -> str:
        await asyncio.sleep(0.1)
        box.note("slow")
        return "slow"

    calls = [call("slow")] + [ToolCallEvent("wipe", id=d, arguments=f'{{"disk": "{d}"}}') for d in "ab"]
    spec = AgentSpec(agent=agent(script(calls), wipe, slow), name="w")
    line = await until_suspended(spec)
    assert box.counts == {"slow": 1}
    assert sorted(line.questions) == ["a", "b"]
    line.answer("a", approve=True)
    line = await until_suspended(spec, line.resumed())
    assert box.done == [("slow", None), ("wipe", "a")]
    line.answer("b", approve=True)
    line = line.resumed()
    assert (await go(spec, line)).output == "slow; wiped a; wiped b"
    assert box.counts == {"slow": 1, "wipe": 2}
    check_grammar(line.events)


class AskingMiddleware(BaseMiddleware):
    async def on_tool_execution(self, call_next: Any, event: ToolCallEvent, context: Any) -> Any:
        if await context.input(f"May I {event.name}?") == "yes":
            return await call_next(event, context)
        return ToolResultEvent.from_call(event, result="refused by the agent")


@pytest.mark.contract("ADP-3")
@pytest.mark.parametrize(("said", "told_"), [("yes", "paid"), ("no", "refused by the agent")])
async def test_a_middleware_of_the_agents_own_may_ask_too(said: str, told_: str) -> None:
    box = ToolBox()

    async def pay() -> str:
        box.note("pay")
        return "paid"

    spec = AgentSpec(agent=agent(once("pay"), pay, middleware=[AskingMiddleware]), name="p")
    line = await until_suspended(spec)
    (key,) = line.questions
    assert line.questions[key].prompt == "May I pay?"
    line.answer(key, value=said)
    line = line.resumed()
    assert (await go(spec, line)).output == f"I was told: {told_}"
    assert box.counts == ({"pay": 1} if said == "yes" else {})
    check_grammar(line.events)
    assert [event.name for event in line.of(log.ToolCalled)] == ["pay"]


# questions


def asking(box: ToolBox) -> AgentSpec:
    async def choose(ctx: Context) -> str:
        box.note("before")
        colour = await ctx.input("Which colour?")
        size = await ctx.input("Which size?")
        box.note("after")
        return f"{colour} {size}"

    async def look() -> str:
        box.note("look")
        return "seen"

    return AgentSpec(agent=agent(script([call("choose"), call("look")]), choose, look), name="asking")


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_a_tools_questions_survive_restarts_and_others_results_are_kept() -> None:
    box = ToolBox()
    spec = asking(box)
    line = await until_suspended(spec)
    (key,) = line.questions
    ask = line.questions[key]
    assert (ask.kind, ask.prompt, ask.tool) == ("input", "Which colour?", "choose")
    line.answer(key, value="red")
    line = await until_suspended(spec, line.resumed())
    (key,) = line.questions
    assert line.questions[key].prompt == "Which size?"
    line.answer(key, value="big")
    line = line.resumed()
    finished = await go(spec, line)
    assert finished.output == "red big; seen"
    # What a tool does before it asks is done again each time: only it knows where it stood.
    assert box.counts == {"before": 3, "after": 1, "look": 1}
    check_grammar(line.events)
    assert [event.error.code for event in line.of(log.ToolFailed)] == ["deferred", "deferred"]


@pytest.mark.contract("ADP-3", "ADP-4")
async def test_a_crash_after_the_answer_leaves_an_unknown_outcome_not_a_second_run() -> None:
    box = ToolBox()

    async def pay(ctx: Context) -> str:
        sure = await ctx.input("Sure?")
        box.note("paid", sure)
        return "paid"

    spec = AgentSpec(agent=agent(once("pay"), pay), name="p")
    line = await until_suspended(spec)
    line.answer(next(iter(line.questions)), value="yes")
    line = line.resumed()
    line.die_before = log.ToolCompleted
    with pytest.raises(Crashed):
        await go(spec, line)
    line = await until_suspended(spec, line.resumed())
    (key,) = line.questions
    assert key.startswith("unknown:")
    assert box.counts == {"paid": 1}
    line.answer(key, approve=False)
    line = line.resumed()
    assert "not known" in (await go(spec, line)).output
    assert box.counts == {"paid": 1}


@pytest.mark.contract("ADP-3")
async def test_a_question_left_to_expire_ends_the_run_unless_the_tool_can_do_without() -> None:
    box = ToolBox()
    spec = asking(box)
    line = await until_suspended(spec)
    line.answer(next(iter(line.questions)), approve=False)
    with pytest.raises(AgentFailed) as failed:
        await go(spec, line.resumed())
    assert failed.value.code == "no_answer"

    async def guess(ctx: Context) -> str:
        try:
            return await ctx.input("Which?")
        except HumanInputError:
            return "a guess"

    spec = AgentSpec(agent=agent(once("guess"), guess), name="g")
    line = await until_suspended(spec)
    line.answer(next(iter(line.questions)), approve=False)
    assert (await go(spec, line.resumed())).output == "I was told: a guess"


@pytest.mark.contract("ADP-3")
async def test_a_tool_cannot_swallow_the_question() -> None:
    async def stubborn(ctx: Context) -> str:
        try:
            return await ctx.input("Which?", timeout=30)
        except Exception:  # what users' tools do: the question must pass it
            return "swallowed"

    spec = AgentSpec(agent=agent(once("stubborn"), stubborn), name="s")
    line = await until_suspended(spec)
    line.answer(next(iter(line.questions)), value="this")
    assert (await go(spec, line.resumed())).output == "I was told: this"


@pytest.mark.contract("ADP-3")
async def test_a_prompt_may_ask_before_there_is_any_tool() -> None:
    async def stream(_: Sequence[BaseEvent], context: ConversationContext) -> AsyncIterator[Said]:
        yield context.prompt[-1]

    async def persona(ctx: Context) -> str:
        return f"you are {await ctx.input('Who am I?')}"

    spec = AgentSpec(agent=agent(stream, prompt=persona), name="p")
    line = await until_suspended(spec)
    (key,) = line.questions
    line.answer(key, value="a poet")
    assert (await go(spec, line.resumed())).output == "you are a poet"


@pytest.mark.contract("ADP-3")
async def test_an_agents_own_hook_answers_for_it() -> None:
    async def pick(ctx: Context) -> str:
        return await ctx.input("Which?")

    made: Agent[Any] = agent(once("pick"), pick, hitl_hook=lambda: "the owner's")
    line = MemoryLine()
    assert (await go(AgentSpec(agent=made, name="p"), line)).output == "I was told: the owner's"
    assert line.questions == {}
