"""LangGraph on the real engine and a real SQLite file; what holds of every framework is in test_framework_engines."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState
from langgraph.types import interrupt

from landline.adapters.langgraph import adapter
from landline.model.callers import LOCAL
from landline.model.runs import Answer
from landline.ports.adapter import AgentSpec
from tests.adapters.langgraph_kit import StateGraph
from tests.engine.conftest import Boot, told


class Counted(MessagesState):
    turns: int


@pytest.mark.contract("ADP-2", "THR-3")
async def test_messages_and_state_of_a_thread_continue_exactly(boot: Boot) -> None:
    async def answer(state: Counted) -> dict[str, Any]:
        turns = state.get("turns", 0) + 1
        return {"turns": turns, "messages": [AIMessage(content=f"{turns} of {len(state['messages'])}")]}

    graph = StateGraph(Counted)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    server = await boot(adapter, AgentSpec(agent=graph.compile(), name="counted"))
    first = await server.start("a")
    await told(server, first.id)
    await server.crash()
    await server.boot()
    for text in ("b", "c"):
        run = await server.start(text, thread_id=first.thread_id)
        await told(server, run.id)
    assert (await server.get(run.id)).output == "3 of 5"
    other = await server.start("a")
    await told(server, other.id)
    assert (await server.get(other.id)).output == "1 of 1"


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_an_interrupt_survives_a_restart_and_finished_nodes_do_not_run_again(boot: Boot) -> None:
    runs: list[str] = []

    async def first(state: MessagesState) -> dict[str, Any]:
        runs.append("first")
        return {"messages": [AIMessage(content="one")]}

    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(content=f"told {interrupt('what?')}")]}

    graph = StateGraph(MessagesState)
    graph.add_node("first", first)
    graph.add_node("ask", ask)
    graph.add_edge(START, "first")
    graph.add_edge("first", "ask")
    server = await boot(adapter, AgentSpec(agent=graph.compile(), name="asking"))
    run = await server.start()
    await told(server, run.id)
    waiting = await server.get(run.id)
    assert (waiting.status, waiting.questions[0].prompt) == ("waiting", "what?")
    await server.crash()
    await server.boot()
    answer = Answer(question_id=waiting.questions[0].question_id, value="this")
    await server.core.runs.answer(LOCAL, run.id, [answer])
    events = await told(server, run.id)
    assert ((await server.get(run.id)).output, runs) == ("told this", ["first"])
    assert [e["text"] for e in events if e["type"] == "message.completed"] == ["one", "told this"]
