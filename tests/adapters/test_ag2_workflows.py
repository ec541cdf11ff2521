"""AG2's workflows of several agents on one run: who speaks, handoffs, history, crashes, questions."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from ag2 import Agent
from ag2.context import ConversationContext
from ag2.events import BaseEvent
from ag2.middleware.builtin.tools.approval import approval_required
from ag2.network import (
    AgentTarget,
    ChannelStateInject,
    Finish,
    FromSpeaker,
    Handoff,
    ToolCalled,
    Transition,
    TransitionGraph,
)
from ag2.network.adapters import WorkflowState
from ag2.tools import tool

from landline.adapters.ag2 import AG2Workflow, adapter
from landline.model import events as log
from landline.model.errors import Unsupported
from landline.model.messages import Message, TextPart
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.testing.adapters import ToolBox, check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.models.ag2 import Said, ScriptConfig, call, prompts, told, words
from tests.adapters.ag2_kit import agent, once


async def go(workflow: AG2Workflow, line: MemoryLine, text: str = "hi", **given: Any) -> Finished:
    async with asyncio.timeout(5):
        spec = AgentSpec(agent=workflow, name="team")
        return await drive(adapter, line, turn_of(line, spec, text, **given))


def speaker(name: str) -> Agent[Any]:
    """An agent that repeats the last it heard under its name."""

    async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        yield f"{name}({len(prompts(messages))}): "
        yield prompts(messages)[-1]

    return agent(stream, name=name)


def changes(line: MemoryLine) -> list[tuple[str, str]]:
    return [(event.source, event.target) for event in line.of(log.AgentChanged)]


def desk(box: ToolBox, *, approval: bool = False) -> AG2Workflow:
    """The desk hands over to whom its tool picks; billing charges and says so."""

    async def route() -> Handoff:
        box.note("route")
        return Handoff(target="billing", reason="about money")

    @tool(middleware=[approval_required()] if approval else [])
    async def charge() -> str:
        box.note("charge")
        return "charged"

    async def greet(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        yield "One moment." if told(messages) else call("route")

    return AG2Workflow(
        [agent(greet, route, name="desk"), agent(once("charge"), charge, name="billing")],
        TransitionGraph("desk"),
    )


@pytest.mark.contract("ADP-2")
async def test_a_sequence_of_agents_is_one_run_with_a_change_between_them() -> None:
    line = MemoryLine()
    workflow = AG2Workflow([speaker("a"), speaker("b")], TransitionGraph.sequence(["a", "b"]))
    finished = await go(workflow, line)
    check_grammar(line.events)
    texts = [text for _, text, _ in line.messages()]
    assert len(texts) == 2
    assert texts[0].startswith("a(1): ")
    assert texts[0].endswith("hi")
    assert texts[1].startswith("b(2): ")
    assert texts[1].endswith(texts[0])
    assert finished.output == texts[1]
    assert changes(line) == [("a", "b")]
    kinds = [type(event).__name__ for event in line.events]
    assert kinds.index("AgentChanged") > kinds.index("MessageCompleted")


@pytest.mark.contract("ADP-2", "ADP-4", "EVT-6")
async def test_a_handoff_picked_by_a_tool_survives_a_crash_at_any_event() -> None:
    box = ToolBox()
    workflow = desk(box)
    whole = MemoryLine()
    assert (await go(workflow, whole)).output == "I was told: charged"
    assert changes(whole) == [("desk", "billing")]
    for index in range(len(whole.events)):
        box.done.clear()
        line = MemoryLine(crash_at=index)
        while True:
            try:
                finished = await go(workflow, line)
                break
            except Crashed:
                line = line.resumed()
            except Suspended:
                for key in [] if line.dead else list(line.questions):
                    line.answer(key, approve=True)
                line = line.resumed()
        check_grammar(line.events)
        assert finished.output == "I was told: charged"
        assert changes(line) == [("desk", "billing")], f"crash before {index}"
        assert [text for _, text, _ in line.messages()] == ["One moment.", "I was told: charged"]
        again = sum(key.startswith("unknown:") for key in line.answers)
        assert sum(box.counts.values()) <= 2 + again


@pytest.mark.contract("ADP-3")
async def test_a_later_agents_tool_may_need_an_approval() -> None:
    box = ToolBox()
    workflow = desk(box, approval=True)
    line = MemoryLine()
    with pytest.raises(Suspended):
        await go(workflow, line)
    assert box.counts == {"route": 1}
    (key,) = line.questions
    assert line.questions[key].tool == "charge"
    line.answer(key, approve=False, reason="not today")
    line = line.resumed()
    assert (await go(workflow, line)).output == "I was told: not today"
    assert box.counts == {"route": 1}
    assert changes(line) == [("desk", "billing")]


@pytest.mark.contract("ADP-2")
async def test_a_tool_named_in_the_graph_hands_over_and_one_may_finish() -> None:
    async def to_b() -> str:
        return "over"

    async def end() -> Finish:
        return Finish(summary="done")

    async def first(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        yield "handing over" if told(messages) else call("to_b")

    graph = TransitionGraph(
        "a",
        transitions=[
            Transition(when=ToolCalled("to_b"), then=AgentTarget("b")),
            Transition(when=FromSpeaker("b"), then=AgentTarget("a")),
        ],
    )
    workflow = AG2Workflow([agent(first, to_b, name="a"), agent(once("end"), end, name="b")], graph)
    line = MemoryLine()
    await go(workflow, line)
    assert changes(line) == [("a", "b")]


@pytest.mark.contract("ADP-2")
async def test_tools_see_the_channels_state_and_turns_are_capped() -> None:
    async def count(state: ChannelStateInject) -> str:
        assert isinstance(state, WorkflowState)
        return f"{state.turn_count} {state.context_vars['tier']}"

    async def ask(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        yield words(told(messages)[0]) if told(messages) else call("count")

    team = [agent(ask, count, name="a"), agent(ask, count, name="b")]
    graph = TransitionGraph.round_robin(["a", "b"], max_turns=3)
    line = MemoryLine()
    await go(AG2Workflow(team, graph, context_vars={"tier": "gold"}), line)
    assert [text for _, text, _ in line.messages()] == ["0 gold", "1 gold", "2 gold"]
    assert changes(line) == [("a", "b"), ("b", "a")]


@pytest.mark.contract("THR-3")
async def test_the_next_turn_hears_what_was_said_by_whom() -> None:
    async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        yield f"heard {len(messages)}"

    def team() -> AG2Workflow:
        return AG2Workflow(
            [agent(stream, name="a"), agent(stream, name="b")], TransitionGraph.sequence(["a", "b"])
        )

    line = MemoryLine()
    first = await go(team(), line)
    assert first.native is not None
    assert first.native.framework == "ag2_workflow"

    def row(id_: str, role: Any, text: str, **more: Any) -> Message:
        return Message(
            id=id_,
            thread_id="thread-1",
            run_id="run-0",
            parent_id=None,
            seq=0,
            role=role,
            content=text,
            parts=[TextPart(text=text)],
            created_at="2026-01-01T00:00:00.000Z",
            **more,
        )

    said = str(first.output)
    native = [row("m1", "user", "hi"), row("m2", "assistant", said, native=first.native)]
    line = MemoryLine()
    await go(team(), line, "again", history=native, run_id="run-1")
    # The user's word, a's and b's of the first turn, and the user's new one.
    assert line.messages()[0][1] == "heard 4"
    line = MemoryLine()
    await go(team(), line, "again", history=[row("m1", "user", "hi"), row("m2", "assistant", said)])
    assert line.messages()[0][1] == "heard 3"


@pytest.mark.contract("AGT-2", "ADP-2")
async def test_a_workflow_is_described_by_its_members() -> None:
    workflow = desk(ToolBox(), approval=True)
    assert adapter.matches(workflow)
    info = adapter.describe(AgentSpec(agent=workflow, name="desk"))
    assert {tool.name: tool.approval for tool in info.tools} == {"route": False, "charge": True}
    other = adapter.describe(AgentSpec(agent=desk(ToolBox()), name="desk"))
    assert info.version != other.version
    with pytest.raises(Unsupported):
        await go(workflow, MemoryLine(), settings={"temperature": 1})


@pytest.mark.contract("AGT-4")
def test_names_that_do_not_fit_are_refused_when_the_workflow_is_made() -> None:
    with pytest.raises(ValueError, match="different names"):
        AG2Workflow([speaker("a"), speaker("a")], TransitionGraph("a"))
    with pytest.raises(ValueError, match="begins with"):
        AG2Workflow([speaker("a")], TransitionGraph("b"))


@pytest.mark.contract("ADP-4")
async def test_no_members_model_is_asked_again_for_what_it_has_answered() -> None:
    workflow = desk(ToolBox())
    configs = [made.config for made in workflow.agents if isinstance(made.config, ScriptConfig)]
    line = MemoryLine()
    line.die_before = log.AgentChanged
    with pytest.raises(Crashed):
        await go(workflow, line)
    assert [config.asked for config in configs] == [2, 0]
    await go(workflow, line.resumed())
    assert [config.asked for config in configs] == [2, 2]
