"""LangGraph agents on the real engine and a real SQLite file: the in-memory line and the engine's agree."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState
from langgraph.types import interrupt

from landline.adapters.langgraph import adapter
from landline.model.callers import LOCAL
from landline.model.runs import Answer
from landline.ports.adapter import AgentSpec
from landline.testing.adapters import ToolBox
from tests.adapters.langgraph_kit import LangGraphKit, StateGraph
from tests.engine.conftest import Server

kit = LangGraphKit()


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Any]:
    made: list[Server] = []

    async def boot(spec: AgentSpec) -> Server:
        agents = cast("Any", {spec.name: spec.agent})
        server = Server(folder=tmp_path, agents=agents, adapter=cast("Any", adapter))
        server.options = {spec.name: {"tools": spec.tools}}
        made.append(await server.boot())
        return server

    yield boot
    for server in made:
        await server.stop()


async def told(server: Server, run_id: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        return [json.loads(event.wire) for event in await server.ended(run_id)]


class Counted(MessagesState):
    turns: int


@pytest.mark.contract("ADP-2", "THR-3")
async def test_messages_and_state_of_a_thread_continue_exactly(servers: Any) -> None:
    async def answer(state: Counted) -> dict[str, Any]:
        turns = state.get("turns", 0) + 1
        return {"turns": turns, "messages": [AIMessage(content=f"{turns} of {len(state['messages'])}")]}

    graph = StateGraph(Counted)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    server = await servers(AgentSpec(agent=graph.compile(), name="counted"))
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
async def test_an_approval_survives_a_restart_and_the_tool_runs_once(servers: Any) -> None:
    box = ToolBox()
    server = await servers(kit.approval(box))
    run = await server.start()
    await told(server, run.id)
    waiting = await server.get(run.id)
    assert (waiting.status, box.counts) == ("waiting", {"look": 1})
    await server.crash()
    await server.boot()
    answer = Answer(question_id=waiting.questions[0].question_id, approve=True, arguments={"name": "z"})
    await server.core.runs.answer(LOCAL, run.id, [answer])
    events = await told(server, run.id)
    done = await server.get(run.id)
    assert (done.status, done.output, box.counts) == (
        "completed",
        "I was told: deleted z",
        {"look": 1, "delete": 1},
    )
    assert [e["arguments"] for e in events if e["type"] == "tool.called"] == [{"name": "a"}, {"name": "z"}]
    assert await server.store.verify(LOCAL) == []


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_an_interrupt_survives_a_restart_and_finished_nodes_do_not_run_again(servers: Any) -> None:
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
    server = await servers(AgentSpec(agent=graph.compile(), name="asking"))
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


@pytest.mark.contract("ADP-4", "REL-1")
async def test_a_lost_worker_leaves_an_unknown_outcome_that_is_asked_about(servers: Any) -> None:
    box = ToolBox()
    server = await servers(kit.endless_tool(box))
    run = await server.start()
    async with asyncio.timeout(5):
        await box.started.wait()
    await server.crash()
    await server.boot()
    await told(server, run.id)
    waiting = await server.get(run.id)
    assert waiting.status == "waiting"
    assert "may or may not" in waiting.questions[0].prompt
    answer = Answer(question_id=waiting.questions[0].question_id, approve=False)
    await server.core.runs.answer(LOCAL, run.id, [answer])
    events = await told(server, run.id)
    assert (await server.get(run.id)).status == "completed"
    assert [e["error"]["code"] for e in events if e["type"] == "tool.failed"] == ["outcome_unknown"]


@pytest.mark.contract("ADP-8", "RUN-5")
async def test_a_cancelled_run_says_which_thread_goes_on(servers: Any) -> None:
    box = ToolBox()
    server = await servers(kit.blocking_tool(box))
    run = await server.start()
    try:
        assert await asyncio.to_thread(box.thread_started.wait, 5)
        async with asyncio.timeout(2):
            await server.core.runs.cancel(LOCAL, run.id)
        events = await told(server, run.id)
        (called,) = (e for e in events if e["type"] == "tool.called")
        assert events[-1]["type"] == "run.cancelled"
        assert events[-1]["still_finishing"] == [called["call_id"]]
    finally:
        box.release.set()
