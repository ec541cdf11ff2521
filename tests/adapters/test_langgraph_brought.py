"""Tools that Landline brings to `create_agent` agents, where LangGraph has ways of its own; the rest is in test_brought_tools."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState

import landline
from landline.adapters.langgraph import adapter
from landline.adapters.langgraph.brought import BroughtTools
from landline.backends.memory import MemoryStore
from landline.model import events as log
from landline.model.callers import LOCAL
from landline.model.errors import Unsupported
from landline.ports.adapter import AgentSpec, Finished
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.models.langgraph import Deltas, Scripted, returns
from landline.upstream.mcp import McpTools
from tests.adapters.langgraph_kit import StateGraph, create_agent
from tests.adapters.mcp_notes import Notes

Call = tuple[str, dict[str, Any]]
ADD: Call = ("add", {"a": 1, "b": 2})


@pytest.fixture
async def notes(notes: Notes) -> Notes:
    return await notes.start()


@pytest.fixture
async def brings() -> AsyncIterator[McpTools]:
    made = McpTools(MemoryStore())
    yield made
    await made.close()


@tool
async def own() -> str:
    """Do something of the agent's own."""
    return "own"


def agent_of(*made: Call, seen: list[Any] | None = None, tools: Any = (), **given: Any) -> Any:
    async def stream(messages: list[BaseMessage], *, options: dict[str, Any]) -> Deltas:
        if seen is not None:
            seen.append(options.get("tools", []))
        told = returns(messages)
        if len(told) < len(made):
            yield [made[len(told)]]
        else:
            yield " | ".join(str(message.content) for message in told) or "nothing"

    middleware = given.pop("middleware", [BroughtTools()])
    return create_agent(Scripted(script=stream, told_options=True), tools, middleware=middleware, **given)


async def go(brings: McpTools, agent: Any, server: Any, line: MemoryLine, **policies: Any) -> Finished:
    spec = AgentSpec(agent=agent, name="a", mcp=[server], tools=policies)
    async with asyncio.timeout(20):
        tools = await brings(spec, LOCAL)
        finished = await drive(adapter, line, turn_of(line, spec, "hi", tools=tools))
    check_grammar(line.events)
    return finished


@pytest.mark.contract("ADP-6")
@pytest.mark.parametrize("inside", ["agent", "subgraph", "thread"])
async def test_a_call_is_on_the_log_with_its_arguments_and_its_result(
    notes: Notes, brings: McpTools, inside: str
) -> None:
    agent = agent_of(ADD, ("own", {}), tools=[own])
    if inside != "agent":
        # A node that is no graph itself hides its agent, so the graph shows another one that takes tools.
        graph, hidden = StateGraph(MessagesState), agent

        def call(state: MessagesState) -> Any:
            return hidden.invoke(state)

        graph.add_node("inner", agent if inside == "subgraph" else call)
        graph.add_node("shown", agent_of(name="shown"))
        graph.add_edge(START, "inner")
        agent = graph.compile()
    line = MemoryLine()
    assert (await go(brings, agent, landline.mcp(notes.url), line)).output == "3 | own"
    assert [(e.name, e.arguments) for e in line.of(log.ToolCalled)] == [ADD, ("own", {})]
    assert [e.result for e in line.of(log.ToolCompleted)] == [3, "own"]


@pytest.mark.contract("ADP-4", "ADP-6")
async def test_a_failed_call_is_told_the_same_wherever_the_run_crashed(
    notes: Notes, brings: McpTools
) -> None:
    server, agent = landline.mcp(notes.url, idempotent=True), agent_of(("fail", {}), ADD)
    whole = MemoryLine()
    output = (await go(brings, agent, server, whole)).output
    for index in range(len(whole.events)):
        line = MemoryLine(crash_at=index)
        with pytest.raises(Crashed):
            await go(brings, agent, server, line)
        line = line.resumed()
        assert (await go(brings, agent, server, line)).output == output, f"crash before event {index}"
        assert [event.error.code for event in line.of(log.ToolFailed)] == ["mcp_tool_error"]


@pytest.mark.contract("ADP-6")
async def test_a_tool_that_is_not_brought_is_told_as_unknown(notes: Notes, brings: McpTools) -> None:
    agent, line = agent_of(("add", {"a": 2, "b": 2})), MemoryLine()
    await go(brings, agent, landline.mcp(notes.url, tools=["forget"]), line)
    assert len(line.of(log.ToolFailed)) == 1
    assert "add 2 2" not in notes.told


@pytest.mark.contract("ADP-6")
async def test_a_model_is_told_what_the_server_says_of_its_tools_in_this_run_only(
    notes: Notes, brings: McpTools
) -> None:
    seen: list[Any] = []
    agent, server = agent_of(seen=seen, tools=[own]), landline.mcp(notes.url, tools=["add"], prefix="notes")
    await go(brings, agent, server, MemoryLine())
    await drive(adapter, line := MemoryLine(), turn_of(line, AgentSpec(agent=agent, name="a"), "hi"))
    await agent.ainvoke({"messages": "hi"})
    told, later, outside = ([tool.name for tool in tools] for tools in seen)
    assert told == ["own", "notes_add"]
    assert later == outside == ["own"]
    add = seen[0][1]
    assert add.description == "Add two numbers."
    assert set(add.tool_call_schema["properties"]) == {"a", "b"}


@pytest.mark.contract("ADP-6", "AGT-3")
async def test_an_agent_that_takes_no_tools_says_so_and_refuses_them(notes: Notes, brings: McpTools) -> None:
    server = landline.mcp(notes.url)
    for agent, takes in ((agent_of(), True), (agent_of(middleware=[]), False)):
        info = adapter.describe(AgentSpec(agent=agent, name="a"))
        assert ("mcp" in info.capabilities) is takes
        assert info.tools == []
    made = AgentSpec(agent=agent_of, name="a", make=lambda _: agent_of(middleware=[]))
    assert "mcp" in adapter.describe(made).capabilities, "what a factory makes is not known"
    with pytest.raises(Unsupported, match="BroughtTools"):
        await go(brings, agent_of(middleware=[]), server, MemoryLine())
    add = own.model_copy(update={"name": "add"})
    with pytest.raises(Unsupported, match="'add'"):
        await go(brings, agent_of(tools=[add]), server, MemoryLine())
