"""Graphs of other shapes than `create_agent`: own states, workflows, subgraphs, sync nodes, custom events, tools within nodes."""

import asyncio
import threading
from collections.abc import Sequence
from functools import partial
from operator import add
from typing import Annotated, Any, TypedDict, cast

import pytest
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState
from langgraph.prebuilt import ToolNode
from langgraph.runtime import Runtime
from pydantic import BaseModel

from landline.adapters.langgraph import adapter
from landline.model import events as log
from landline.model.errors import AgentFailed, Invalid
from landline.model.messages import Message, TextPart
from landline.ports.adapter import AgentSpec, Finished, ToolPolicy
from landline.testing.adapters import ToolBox, check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.models.langgraph import Deltas, Scripted, returns
from tests.adapters.langgraph_kit import StateGraph, create_agent, echo, entrypoint, next_node, task


async def go(
    agent: Any, text: str = "hi", *, line: MemoryLine | None = None, **given: Any
) -> tuple[MemoryLine, Finished]:
    line = line or MemoryLine()
    tools = given.pop("tools", {})
    async with asyncio.timeout(10):
        spec = AgentSpec(agent=agent, name="a", tools=tools)
        finished = await drive(adapter, line, turn_of(line, spec, text, **given))
    check_grammar(line.events)
    return line, finished


def rows(text: str, line: MemoryLine, finished: Finished, run_id: str) -> list[Message]:
    """A turn's messages as the store would give them to the next turn."""
    message_id, said, _ = line.messages()[-1]

    def row(id_: str, role: Any, text: str, native: Any = None) -> Message:
        return Message(
            id=id_,
            thread_id="thread-1",
            run_id=run_id,
            parent_id=None,
            seq=0,
            role=role,
            content=text,
            parts=[TextPart(text=text)],
            created_at="2026-01-01T00:00:00.000Z",
            native=native,
        )

    return [row(f"{run_id}-user", "user", text), row(message_id, "assistant", said, finished.native)]


class Counting(TypedDict):
    messages: Annotated[list[AnyMessage], add]
    counter: int
    notes: Annotated[list[str], add]


def counting() -> Any:
    async def count(state: Counting) -> dict[str, Any]:
        number = state.get("counter", 0) + 1
        said = AIMessage(content=f"turn {number} of {len(state.get('messages', []))} messages")
        return {"counter": number, "notes": [f"n{number}"], "messages": [said]}

    graph = StateGraph(Counting)
    graph.add_node("count", count)
    graph.add_edge(START, "count")
    return graph


@pytest.mark.contract("ADP-2", "THR-3")
async def test_state_beyond_messages_lasts_over_the_turns_of_a_thread() -> None:
    history: list[Message] = []
    for number in (1, 2, 3):
        line, finished = await go(counting().compile(), f"t{number}", history=history, run_id=f"r{number}")
        assert finished.output == f"turn {number} of {2 * number - 1} messages"
        history += rows(f"t{number}", line, finished, f"r{number}")
    assert history[-1].native is not None
    native = bytes(history[-1].native.messages)
    assert b"n3" in native
    assert b"turn 2" not in native


@pytest.mark.contract("ADP-2")
async def test_a_graph_that_is_not_compiled_is_compiled() -> None:
    assert adapter.matches(counting())
    assert not adapter.matches(print)
    line, finished = await go(counting())
    assert finished.output == "turn 1 of 1 messages"
    assert [text for _, text, _ in line.messages()] == [finished.output]


class Question(TypedDict):
    question: str


class Verdict(BaseModel):
    verdict: str
    length: int


class Whole(TypedDict):
    question: str
    verdict: str
    length: int


@pytest.mark.contract("ADP-2")
async def test_own_schemas_take_text_or_an_object_and_give_an_object() -> None:
    def judge(state: Whole) -> dict[str, Any]:
        return {"verdict": f"so {state['question']}", "length": len(state["question"])}

    graph = StateGraph(Whole, input_schema=Question, output_schema=Verdict)
    graph.add_node("judge", judge)
    graph.add_edge(START, "judge")
    agent = graph.compile()
    for text in ("why", '{"question": "why"}'):
        line, finished = await go(agent, text)
        assert finished.output == {"verdict": "so why", "length": 3}
        assert line.of(log.OutputPartial)[-1].output == finished.output
    _, finished = await go(agent, '{"else": 1}')
    assert finished.output["verdict"] == 'so {"else": 1}'
    info = adapter.describe(AgentSpec(agent=agent, name="judge"))
    assert set(info.input_schema["properties"]) == {"question"}
    assert set(info.output_schema["properties"]) == {"verdict", "length"}


def nothing(state: Any) -> dict[str, Any]:
    return {}


class Two(TypedDict):
    a: str
    b: str


@pytest.mark.contract("ADP-2")
async def test_a_text_that_fits_no_field_is_refused() -> None:
    graph = StateGraph(Two)
    graph.add_node("n", nothing)
    graph.add_edge(START, "n")
    with pytest.raises(Invalid, match="a, b"):
        await go(graph.compile(), "hello")


@pytest.mark.contract("THR-3")
async def test_a_workflow_takes_the_text_and_keeps_what_it_saved() -> None:
    @task
    async def shout(text: str) -> str:
        return text.upper()

    @entrypoint()
    async def flow(text: str, *, previous: Any = None) -> Any:
        said: list[str] = [*(previous or []), await shout(text)]
        return entrypoint.final(value=" ".join(said), save=said)

    history: list[Message] = []
    line, finished = MemoryLine(), Finished(output=None)
    for number, text in enumerate(("a", "b"), 1):
        line, finished = await go(flow, text, history=history, run_id=f"r{number}")
        history += rows(text, line, finished, f"r{number}")
    assert finished.output == "A B"
    assert line.messages()[-1][1] == "A B"


@pytest.mark.contract("ADP-2")
async def test_a_workflow_of_messages_gets_the_history() -> None:
    model = Scripted(script=echo)

    @entrypoint()
    async def chat(messages: list[BaseMessage]) -> BaseMessage:
        return await model.ainvoke(messages)

    history: list[Message] = []
    line, finished = MemoryLine(), Finished(output=None)
    for number, text in enumerate(("a", "b"), 1):
        line, finished = await go(chat, text, history=history, run_id=f"r{number}")
        history += rows(text, line, finished, f"r{number}")
    assert finished.output == "Before: a. You said: b"
    assert [text for _, text, _ in line.messages()] == ["Before: a. You said: b"]


@pytest.mark.contract("ADP-2", "ADP-8")
async def test_sync_nodes_run_in_threads_and_their_models_stream_nothing_twice() -> None:
    threads: set[int] = set()
    model = Scripted(script=echo)

    def speak(state: MessagesState) -> dict[str, Any]:
        threads.add(threading.get_ident())
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("speak", speak)
    graph.add_edge(START, "speak")
    line, finished = await go(graph.compile())
    assert threading.get_ident() not in threads
    assert [text for _, text, _ in line.messages()] == [finished.output] == ["You said: hi"]


@pytest.mark.contract("ADP-2")
async def test_custom_events_keep_their_names_and_subgraphs_tell_who_speaks() -> None:
    async def say(state: MessagesState) -> dict[str, Any]:
        get_stream_writer()({"name": "progress", "data": {"done": 1}})
        get_stream_writer()("half")
        return {"messages": [AIMessage(content="outer")]}

    graph = StateGraph(MessagesState)
    graph.add_node("say", say)
    graph.add_node("expert", create_agent(Scripted(script=echo), name="expert"))
    graph.add_edge(START, "say")
    graph.add_edge("say", "expert")
    line, finished = await go(graph.compile())
    assert [(event.name, event.data) for event in line.of(log.Custom)] == [
        ("progress", {"done": 1}),
        ("custom", "half"),
    ]
    assert [(event.source, event.target) for event in line.of(log.AgentChanged)] == [("a", "expert")]
    assert [text for _, text, _ in line.messages()] == ["outer", "You said: hi"]
    assert finished.output == "You said: hi"


@pytest.mark.contract("AGT-6")
async def test_context_comes_by_schema_and_by_configuration() -> None:
    async def by_schema(state: MessagesState, runtime: Runtime[Any]) -> dict[str, Any]:
        return {"messages": [AIMessage(content=f"I am {runtime.context['user']}")]}

    async def by_config(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        return {"messages": [AIMessage(content=f"I am {config.get('configurable', {})['user']}")]}

    class Ctx(TypedDict):
        user: str

    for node, schema in ((by_schema, Ctx), (by_config, None)):
        graph = StateGraph(MessagesState, context_schema=schema)
        graph.add_node("n", cast("Any", node))
        graph.add_edge(START, "n")
        line, finished = await go(graph.compile(), context={"user": "canary-u"})
        assert finished.output == "I am canary-u"
        assert not any(b"user" in value for value in line.records.values())


async def two_calls(messages: Sequence[BaseMessage]) -> Deltas:
    if returns(messages):
        yield "done"
    else:
        yield "I look. "
        yield [("note", {"n": 1}), ("note", {"n": 2})]


def one_node(inside: str, box: ToolBox, asked: list[int]) -> Any:
    """A graph whose one node calls a model and tools; `inside` is how."""

    async def script(messages: list[BaseMessage]) -> Deltas:
        asked.append(len(messages))
        async for delta in two_calls(messages):
            yield delta

    @tool
    async def note(n: int) -> str:
        """Note."""
        box.note("note", n)
        return f"noted {n}"

    model, tools = Scripted(script=script), ToolNode([note])
    agent = create_agent(model, [note])

    async def loop(messages: list[Any]) -> list[Any]:
        said = await model.ainvoke(messages)
        results = await tools.ainvoke([said])
        return [said, *results, await model.ainvoke([*messages, said, *results])]

    async def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": await loop(state["messages"])}

    async def nested(state: MessagesState) -> dict[str, Any]:
        return await agent.ainvoke({"messages": state["messages"]})

    def sync(state: MessagesState) -> dict[str, Any]:
        return agent.invoke({"messages": state["messages"]})

    @entrypoint()
    async def workflow(messages: list[BaseMessage]) -> BaseMessage:
        return (await loop(messages))[-1]

    if inside == "workflow":
        return workflow
    graph = StateGraph(MessagesState)
    graph.add_node("n", {"node": node, "nested": nested, "sync": sync}[inside])
    graph.add_edge(START, "n")
    return graph.compile()


@pytest.mark.contract("ADP-4", "REL-1")
@pytest.mark.parametrize("inside", ["node", "workflow", "sync", "nested"])
async def test_tools_and_models_within_one_node_are_not_run_again_after_a_crash(inside: str) -> None:
    """The node starts again from its top; its model's response and its tools' results come from the journal."""
    made = partial(one_node, inside)
    whole, _ = await go(made(ToolBox(), []))
    kinds = [e.type for e in whole.events if isinstance(e, log.MessageCompleted | log.ToolCalled)]
    if inside != "sync":  # whose model does not stream: its text comes when the node is told of it
        assert kinds == ["message.completed", "tool.called", "tool.called", "message.completed"]
    for index in range(len(whole.events)):
        box, asked = ToolBox(), list[int]()
        line, agent = MemoryLine(crash_at=index), made(box, asked)
        flying = 0
        try:
            await go(agent, line=line)
        except Crashed:
            flying = len(line.of(log.ToolCalled)) - len(line.of(log.ToolCompleted))
            line, finished = await go(agent, line=line.resumed(), tools={"note": ToolPolicy(idempotent=True)})
            assert finished.output == "done"
        assert [text for _, text, _ in line.messages()] == ["I look. ", "done"]
        done = [event.result for event in line.of(log.ToolCompleted)]
        assert sorted(done) == ["noted 1", "noted 2"], f"crash before event {index}"
        assert len(box.done) <= 2 + flying
        assert len(asked) <= 3, f"crash before event {index}: {asked}"


class Slow(MemoryLine):
    """Takes its time to store what the adapter yields, as a log does that is behind."""

    async def emit(self, *events: log.Event) -> None:
        for _ in range(30):
            await asyncio.sleep(0)
        await super().emit(*events)


@pytest.mark.contract("ADP-2")
@pytest.mark.parametrize("inside", ["node", "workflow", "nested"])
async def test_all_that_was_said_is_in_the_log_before_a_tool_is_called(inside: str) -> None:
    line, _ = await go(one_node(inside, ToolBox(), []), line=Slow())
    kinds = [e.type for e in line.events if isinstance(e, log.MessageCompleted | log.ToolCalled)]
    assert kinds == ["message.completed", "tool.called", "tool.called", "message.completed"]


@pytest.mark.contract("ADP-2", "EVT-8")
async def test_an_error_told_to_the_model_is_a_failed_call_and_the_run_goes_on() -> None:
    async def script(messages: list[BaseMessage]) -> Deltas:
        if told := returns(messages):
            yield f"told: {told[0].content}"
        else:
            yield [("broken", {})]

    @tool
    async def broken() -> str:
        """Break."""
        raise RuntimeError("canary-91")

    async def call(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await Scripted(script=script).ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("call", call)
    graph.add_node("tools", ToolNode([broken], handle_tool_errors=True))
    graph.add_edge(START, "call")
    graph.add_conditional_edges("call", next_node)
    graph.add_edge("tools", "call")
    line, finished = await go(graph.compile())
    assert "canary-91" in finished.output
    (failed,) = line.of(log.ToolFailed)
    assert (failed.error.code, failed.error.message) == ("tool_error", "The tool broken failed.")


@pytest.mark.contract("ADP-9", "AGT-3")
async def test_fifty_users_on_one_shared_graph_with_tools_hear_no_word_of_each_other() -> None:
    import random

    @tool
    async def remember(word: str) -> str:
        """Remember."""
        await asyncio.sleep(0)
        return f"kept {word}"

    @tool
    def check(word: str) -> str:
        """Check, in a thread."""
        return f"checked {word}"

    async def script(messages: list[BaseMessage]) -> Deltas:
        word = str(messages[-1].text) if isinstance(messages[-1], HumanMessage) else ""
        if told := returns(messages):
            for message in told:
                yield f"{message.content} "
                await asyncio.sleep(0)
        else:
            yield f"hm {word} "
            yield [("remember", {"word": word}), ("check", {"word": word})]

    agent = create_agent(Scripted(script=script), [remember, check])
    chance = random.Random(11)

    async def user(number: int) -> None:
        for turn in range(3):
            word, line = f"canary-{number:04d}", MemoryLine()
            spec = AgentSpec(agent=agent, name="a")
            running = asyncio.create_task(
                drive(adapter, line, turn_of(line, spec, word, run_id=f"r{number}.{turn}"))
            )
            if chance.random() < 0.3:
                for _ in range(chance.randrange(60)):
                    await asyncio.sleep(0)
                running.cancel()
            (outcome,) = await asyncio.gather(running, return_exceptions=True)
            if not isinstance(outcome, asyncio.CancelledError):
                assert isinstance(outcome, Finished), outcome
                assert outcome.output == f"kept {word} checked {word} "
            told = b"".join([*map(log.encode, line.events), *line.records.values()])
            assert not [o for o in range(50) if o != number and f"canary-{o:04d}".encode() in told]

    async with asyncio.timeout(50):
        await asyncio.gather(*(user(number) for number in range(50)))


@pytest.mark.contract("AGT-2")
def test_the_version_follows_the_definition() -> None:
    @tool
    def one(n: int) -> int:
        """One."""
        return n

    @tool
    def two(n: str) -> str:
        """Two."""
        return n

    versions = {
        adapter.describe(AgentSpec(agent=create_agent(Scripted(script=echo), tools), name="a")).version
        for tools in ([], [one], [one, two], [one])
    }
    assert len(versions) == 3


@pytest.mark.contract("ADP-2")
async def test_a_graph_that_never_ends_fails_as_its_limit() -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("n", nothing)
    graph.add_edge(START, "n")
    graph.add_edge("n", "n")
    with pytest.raises(AgentFailed) as failed:
        await go(graph.compile().with_config({"recursion_limit": 5}))
    assert failed.value.code == "usage_limit"
