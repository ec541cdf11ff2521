"""Interrupts of every kind become questions, and their answers what the graph goes on with."""

import asyncio
from typing import Annotated, Any, Literal

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState
from langgraph.prebuilt import ToolNode
from langgraph.types import interrupt

from landline.adapters.langgraph import adapter
from landline.model import events as log
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.testing.adapters import ToolBox, check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.models.langgraph import Deltas, Scripted, returns
from tests.adapters.langgraph_kit import LangGraphKit, StateGraph, create_agent, next_node


async def until(spec: AgentSpec, line: MemoryLine) -> MemoryLine:
    """Run until questions are open, and return the next segment's line."""
    async with asyncio.timeout(5):
        with pytest.raises(Suspended):
            await drive(adapter, line, turn_of(line, spec, "hi"))
    return line


async def to_the_end(spec: AgentSpec, line: MemoryLine) -> tuple[MemoryLine, Finished]:
    line = line.resumed()
    async with asyncio.timeout(5):
        finished = await drive(adapter, line, turn_of(line, spec, "hi"))
    check_grammar(line.events)
    return line, finished


def asking(*values: Any, schema: Any = None) -> AgentSpec:
    """A graph that asks one after the other and says what it was told."""

    async def ask(state: MessagesState) -> dict[str, Any]:
        told = [interrupt(value, response_schema=schema) for value in values]
        return {"messages": [AIMessage(content=f"told {told}")]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    return AgentSpec(agent=graph.compile(), name="a")


@pytest.mark.contract("ADP-3", "RUN-8")
@pytest.mark.parametrize(
    ("value", "schema", "kind", "prompt", "answer", "told"),
    [
        ("your name?", None, "input", "your name?", {"value": "Ann"}, "told ['Ann']"),
        ({"question": "age?", "why": 1}, None, "input", "age?", {"value": 7}, "told [7]"),
        (
            {"prompt": "colour?", "choices": ["red", "blue"]},
            None,
            "choice",
            "colour?",
            {"value": "red"},
            "told ['red']",
        ),
        ("size?", Literal["s", "m"], "choice", "size?", {"value": "m"}, "told ['m']"),
        ("go?", bool, "approval", "go?", {"approve": True}, "told [True]"),
        (
            {"type": "approval", "message": "pay?", "tool": "pay", "args": {"n": 1}},
            None,
            "approval",
            "pay?",
            {"approve": False, "reason": "no"},
            "told [{'approve': False, 'reason': 'no', 'arguments': None}]",
        ),
    ],
)
async def test_what_is_asked_follows_the_value(
    value: Any, schema: Any, kind: str, prompt: str, answer: dict[str, Any], told: str
) -> None:
    wire = {"type": "boolean"} if schema is bool else {"enum": ["s", "m"]} if schema else None
    spec = asking(value, schema=wire)
    line = await until(spec, MemoryLine())
    (asked,) = line.of(log.QuestionAsked)
    assert (asked.kind, asked.prompt) == (kind, prompt)
    line.answer(next(iter(line.questions)), **answer)
    _, finished = await to_the_end(spec, line)
    assert finished.output == told


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_one_node_asks_twice_and_the_first_answer_stays() -> None:
    spec = asking("first?", "second?")
    line = await until(spec, MemoryLine())
    line.answer(next(iter(line.questions)), value=1)
    line = await until(spec, line.resumed())
    (key,) = line.questions
    assert line.questions[key].prompt == "second?"
    line.answer(key, value=2)
    _, finished = await to_the_end(spec, line)
    assert finished.output == "told [1, 2]"


def joined(old: list[str], new: list[str]) -> list[str]:
    return sorted([*old, *new])


class Both(MessagesState):
    told: Annotated[list[str], joined]


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_two_nodes_ask_at_once_and_a_third_is_not_run_again() -> None:
    runs: list[str] = []

    def asks(name: str) -> Any:
        async def node(state: Both) -> dict[str, Any]:
            return {"told": [f"{name}={interrupt(name + '?')}"]}

        return node

    async def works(state: Both) -> dict[str, Any]:
        runs.append("works")
        return {"told": ["worked"]}

    async def says(state: Both) -> dict[str, Any]:
        return {"messages": [AIMessage(content=" ".join(state["told"]))]}

    graph = StateGraph(Both)
    for name, node in (("a", asks("a")), ("b", asks("b")), ("works", works)):
        graph.add_node(name, node)
        graph.add_edge(START, name)
    graph.add_node("says", says)
    graph.add_edge(["a", "b", "works"], "says")
    spec = AgentSpec(agent=graph.compile(), name="a")
    line = await until(spec, MemoryLine())
    assert sorted(asked.prompt for asked in line.of(log.QuestionAsked)) == ["a?", "b?"]
    for key, ask in list(line.questions.items()):
        line.answer(key, value=ask.prompt.upper())
    _, finished = await to_the_end(spec, line)
    assert finished.output == "a=A? b=B? worked"
    assert runs == ["works"]


@pytest.mark.contract("ADP-3")
async def test_a_breakpoint_is_an_approval() -> None:
    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(content="past it")]}

    graph = StateGraph(MessagesState)
    graph.add_node("careful", node)
    graph.add_edge(START, "careful")
    spec = AgentSpec(agent=graph.compile(interrupt_before=["careful"]), name="a")
    line = await until(spec, MemoryLine())
    (asked,) = line.of(log.QuestionAsked)
    assert (asked.kind, asked.prompt) == ("approval", "Go on with careful?")
    line.answer(next(iter(line.questions)), approve=True)
    _, finished = await to_the_end(spec, line)
    assert finished.output == "past it"


def reviewed(box: ToolBox, **middleware: Any) -> AgentSpec:
    """`LangGraphKit.approval` with LangChain's own middleware in the place of a policy."""

    async def script(messages: list[BaseMessage]) -> Deltas:
        told = {str(message.name): str(message.content) for message in returns(messages)}
        if not told:
            yield [("look", {"name": "a"}), ("delete", {"name": "b"})]
        else:
            yield f"I was told: {told['delete']}"

    @tool
    async def look(name: str) -> str:
        """Look."""
        box.note("look", name)
        return f"saw {name}"

    @tool
    async def delete(name: str) -> str:
        """Delete."""
        box.note("delete", name)
        return f"deleted {name}"

    review = HumanInTheLoopMiddleware(interrupt_on={"delete": True}, **middleware)
    return AgentSpec(
        agent=create_agent(Scripted(script=script), [look, delete], middleware=[review]), name="a"
    )


@pytest.mark.contract("ADP-3", "RUN-8")
@pytest.mark.parametrize("mode", ["batched", "per_call"])
@pytest.mark.parametrize(
    ("answer", "done", "said"),
    [
        ({"approve": True}, {"look": 1, "delete": 1}, "deleted b"),
        ({"approve": True, "arguments": {"name": "c"}}, {"look": 1, "delete": 1}, "deleted c"),
        ({"approve": False, "reason": "keep it"}, {"look": 1}, "keep it"),
    ],
)
async def test_the_frameworks_own_reviews_are_approvals(
    mode: str, answer: dict[str, Any], done: dict[str, int], said: str
) -> None:
    box = ToolBox()
    spec = reviewed(box, **({"interrupt_mode": mode} if mode == "per_call" else {}))
    line = await until(spec, MemoryLine())
    (asked,) = line.of(log.QuestionAsked)
    assert (asked.kind, asked.tool, asked.arguments) == ("approval", "delete", {"name": "b"})
    line.answer(next(iter(line.questions)), **answer)
    line, finished = await to_the_end(spec, line)
    assert said in finished.output
    assert box.counts == done


@pytest.mark.contract("ADP-3", "ADP-4")
async def test_a_tool_that_asks_runs_on_with_the_answer_and_others_keep_their_results() -> None:
    box = ToolBox()

    async def script(messages: list[BaseMessage]) -> Deltas:
        if told := returns(messages):
            yield " ".join(sorted(str(message.content) for message in told))
        else:
            yield [("slow", {}), ("ask", {})]

    @tool
    async def slow() -> str:
        """Slow."""
        await asyncio.sleep(0.05)
        box.note("slow")
        return "slept"

    @tool
    async def ask() -> str:
        """Ask."""
        colour = interrupt({"question": "which?", "choices": ["red", "blue"]})
        box.note("ask", colour)
        return f"chose {colour}"

    async def call(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await Scripted(script=script).ainvoke(state["messages"])]}

    # A plain ToolNode runs all calls in one node: the call that asks must not throw away the other's result.
    graph = StateGraph(MessagesState)
    graph.add_node("call", call)
    graph.add_node("tools", ToolNode([slow, ask]))
    graph.add_edge(START, "call")
    graph.add_conditional_edges("call", next_node)
    graph.add_edge("tools", "call")
    spec = AgentSpec(agent=graph.compile(), name="a")
    line = await until(spec, MemoryLine())
    assert box.counts == {"slow": 1}
    line.answer(next(iter(line.questions)), value="red")
    line, finished = await to_the_end(spec, line)
    assert finished.output == "chose red slept"
    assert box.counts == {"slow": 1, "ask": 1}


@pytest.mark.contract("ADP-3", "ADP-4", "REL-1")
async def test_a_crash_at_any_event_around_a_review_runs_nothing_twice() -> None:
    whole = await _reviewed_to_the_end(ToolBox(), None)
    for index in range(len(whole.events)):
        box = ToolBox()
        line = await _reviewed_to_the_end(box, index)
        again = sum(key.startswith("unknown:") for key in line.answers)
        assert box.counts["look"] >= 1
        assert box.counts["delete"] >= 1
        assert sum(box.counts.values()) <= 2 + again, f"crash before event {index}"
        assert [text for _, text, _ in line.messages()] == ["I was told: deleted b"]


async def _reviewed_to_the_end(box: ToolBox, crash_at: int | None) -> MemoryLine:
    spec, line = reviewed(box), MemoryLine(crash_at=crash_at)
    async with asyncio.timeout(10):
        while True:
            try:
                await drive(adapter, line, turn_of(line, spec, "hi"))
            except Crashed:
                line = line.resumed()
            except Suspended:
                for key in [] if line.dead else list(line.questions):
                    line.answer(key, approve=True)
                line = line.resumed()
            else:
                check_grammar(line.events)
                return line


@pytest.mark.contract("ADP-3")
async def test_parallel_calls_of_unknown_outcome_are_asked_together() -> None:
    box = ToolBox()
    spec = LangGraphKit().tools(box)
    line = MemoryLine()
    line.die_before = log.ToolCompleted
    with pytest.raises(Crashed):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    line = await until(spec, line.resumed())
    assert sorted(line.questions) == ["unknown:first", "unknown:second"]
    for key in list(line.questions):
        line.answer(key, approve=False)
    line, finished = await to_the_end(spec, line)
    assert finished.output == "Done."
    assert [end.error.code for end in line.of(log.ToolFailed)] == ["outcome_unknown"] * 2
