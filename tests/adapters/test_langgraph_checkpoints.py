"""What checkpoints cost, and graphs that bring a checkpointer of their own."""

import asyncio
import sqlite3
from operator import add
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState
from langgraph.graph.message import add_messages
from langgraph.types import interrupt
from pydantic import BaseModel

from landline.adapters.langgraph import adapter
from landline.adapters.langgraph.saver import LineSaver
from landline.adapters.langgraph.values import Pool
from landline.model.messages import Message, TextPart
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.langgraph_kit import StateGraph

WORDS = "and so on, as one says when there is more to say than anybody wants to hear. " * 3


class Talk(BaseModel):
    """A state with messages, a number and a model of its own."""

    messages: Annotated[list[AnyMessage], add_messages] = []
    counter: Annotated[int, add] = 0


def talk(checkpointer: Any = None) -> Any:
    def listen(state: Talk) -> dict[str, Any]:
        return {"counter": 1}

    def speak(state: Talk) -> dict[str, Any]:
        return {"messages": [AIMessage(content=f"turn {state.counter}: {WORDS}")]}

    graph = StateGraph(Talk)
    graph.add_node("listen", listen)
    graph.add_node("speak", speak)
    graph.add_edge(START, "listen")
    graph.add_edge("listen", "speak")
    return graph.compile(checkpointer=checkpointer)


def row(id_: str, role: Any, text: str, run_id: str, native: Any = None) -> Message:
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


async def turns(count: int, agent: Any) -> tuple[int, str]:
    """Run a thread of `count` turns; return the bytes of all its records and own messages, and the last answer."""
    history, stored, said = list[Message](), 0, ""
    for number in range(count):
        line, run_id = MemoryLine(), f"r{number}"
        spec = AgentSpec(agent=agent, name="talk")
        finished = await drive(
            adapter, line, turn_of(line, spec, f"t{number}", history=history, run_id=run_id)
        )
        (message_id, said, _) = line.messages()[-1]
        assert finished.native is not None
        stored += sum(len(key) + len(value) for key, value in line.records.items())
        stored += len(bytes(finished.native.messages))
        history.append(row(f"{run_id}-user", "user", f"t{number}", run_id))
        history.append(row(message_id, "assistant", said, run_id, finished.native))
    return stored, said


def in_sqlite(count: int, folder: Path) -> int:
    """Run the same thread on LangGraph's own checkpointer; return the bytes in its file."""
    path = folder / "checkpoints.sqlite"
    with sqlite3.connect(path, check_same_thread=False) as connection:
        graph = talk(SqliteSaver(connection))
        for number in range(count):
            graph.invoke({"messages": [HumanMessage(f"t{number}")]}, {"configurable": {"thread_id": "t"}})
    connection.close()
    return path.stat().st_size


@pytest.mark.contract("PRF-5", "ADP-4")
async def test_a_turn_costs_the_same_late_in_a_thread_as_early() -> None:
    early, _ = await turns(20, talk())
    late, said = await turns(40, talk())
    assert said.startswith("turn 40:")
    assert late < 2.1 * early


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.contract("PRF-5", "ADP-4")
async def test_600_turns_take_less_than_a_twentieth_of_the_frameworks_sqlite(tmp_path: Path) -> None:
    ours, said = await turns(600, talk())
    assert said.startswith("turn 600:")
    theirs = await asyncio.to_thread(in_sqlite, 600, tmp_path)
    print(f"ours {ours:,} bytes, langgraph-checkpoint-sqlite {theirs:,} bytes, 1/{theirs / ours:.0f}")
    assert ours * 20 < theirs


@pytest.mark.contract("ADP-2")
async def test_a_checkpointer_of_the_users_own_is_given_the_new_message_only() -> None:
    seen: list[list[str]] = []

    async def speak(state: MessagesState) -> dict[str, Any]:
        seen.append([str(message.text) for message in state["messages"]])
        return {"messages": [AIMessage(content=f"answer {len(seen)}")]}

    saver = InMemorySaver()
    graph = StateGraph(MessagesState)
    graph.add_node("speak", speak)
    graph.add_edge(START, "speak")
    agent = graph.compile(checkpointer=saver)
    history: list[Message] = []
    for number in (1, 2, 3):
        line, run_id = MemoryLine(), f"r{number}"
        spec = AgentSpec(agent=agent, name="a")
        finished = await drive(
            adapter, line, turn_of(line, spec, f"t{number}", history=history, run_id=run_id)
        )
        assert finished.native is not None
        assert bytes(finished.native.messages).count(b'{"type":"human"') == 1
        assert not any(key.startswith("graph:") for key in line.records)
        history.append(row(f"u{number}", "user", f"t{number}", run_id))
        history.append(row(f"a{number}", "assistant", str(finished.output), run_id, finished.native))
    assert seen[-1] == ["t1", "answer 1", "t2", "answer 2", "t3"]
    assert await saver.aget_tuple({"configurable": {"thread_id": "thread-1"}}) is not None
    assert agent.checkpointer is saver


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_a_question_under_the_users_own_checkpointer_goes_on_where_it_was() -> None:
    runs: list[str] = []

    async def first(state: MessagesState) -> dict[str, Any]:
        runs.append("first")
        return {}

    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(content=f"told {interrupt('what?')}")]}

    graph = StateGraph(MessagesState)
    graph.add_node("first", first)
    graph.add_node("ask", ask)
    graph.add_edge(START, "first")
    graph.add_edge("first", "ask")
    spec = AgentSpec(agent=graph.compile(checkpointer=InMemorySaver()), name="a")
    line = MemoryLine()
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    line.answer(next(iter(line.questions)), value="this")
    line = line.resumed()
    finished = await drive(adapter, line, turn_of(line, spec, "hi"))
    assert (finished.output, runs) == ("told this", ["first"])


@pytest.mark.contract("ADP-4", "REL-1")
async def test_a_finished_node_is_not_run_again_after_a_crash() -> None:
    for index in range(6):
        runs: list[str] = []

        def node(name: str, text: str | None, runs: list[str] = runs) -> Any:
            async def run(state: MessagesState) -> dict[str, Any]:
                runs.append(name)
                return {"messages": [AIMessage(content=text)]} if text else {}

            return run

        graph = StateGraph(MessagesState)
        for name, text in (("a", "one"), ("b", None), ("c", "two")):
            graph.add_node(name, node(name, text))
        graph.add_edge(START, "a")
        graph.add_edge("a", "b")
        graph.add_edge("b", "c")
        spec = AgentSpec(agent=graph.compile(), name="a")
        line = MemoryLine(crash_at=index)
        with pytest.raises(Crashed):
            await drive(adapter, line, turn_of(line, spec, "hi"))
        line = line.resumed()
        finished: Finished = await drive(adapter, line, turn_of(line, spec, "hi"))
        assert finished.output == "two"
        # The first event after a node's end takes its writes to the disk.
        assert runs.count("a") <= (1 if index >= 3 else 2), f"crash before event {index}"
        assert [text for _, text, _ in line.messages()] == ["one", "two"]


@pytest.mark.contract("THR-3")
async def test_state_comes_back_exactly_and_only_as_data() -> None:
    pool = Pool([])
    message = AIMessage(content="x", id="m")
    values: list[Any] = [
        {"n": 1, "deep": [{"m": message}, None, 1.5]},
        [message, message],
        Talk(counter=3),
        {1, 2},
        {1: "one"},
        b"bytes",
        float("inf"),
        "\ud800",
    ]
    kept = [pool.dump(value) for value in values[:-1]]
    again = Pool([])
    again.give_back([msgspec.Raw(dump) for dump in pool.take_new()])
    assert [again.load(msgspec.json.decode(msgspec.json.encode(value))) for value in kept] == values[:-1]
    # A row that was tampered with builds no thing that runs.
    evil = Pool([]).dump({1: Path("x")})
    assert not isinstance(Pool([]).load(evil), type)


@pytest.mark.contract("ADP-4")
async def test_the_saver_keeps_what_the_framework_asks_of_it() -> None:
    line = MemoryLine()
    saver = LineSaver(line, Pool([]), None)
    graph = talk(saver)
    config: Any = {"configurable": {"thread_id": "t"}}
    await graph.ainvoke({"messages": [HumanMessage("a")]}, config)
    states = [state async for state in graph.aget_state_history(config)]
    line.records.update(line._unstored)  # pyright: ignore[reportPrivateUsage] - no event followed
    again = talk(LineSaver(line, Pool([]), None))
    kept = [state async for state in again.aget_state_history(config)]
    assert [state.values for state in kept] == [state.values for state in states]
    assert [state.next for state in kept] == [state.next for state in states]
    assert len(kept) == 4
