"""Tools that arrive at run time are denied in each framework, those of the owner's own code are not (TRU-20)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from ag2 import tool as ag2_tool
from ag2.context import ConversationContext
from ag2.events import BaseEvent, ToolCallEvent
from ag2.tools import MCPToolkit
from agents import function_tool
from agents.mcp import MCPServerStreamableHttp
from langchain_core.messages import BaseMessage
from langchain_core.tools import StructuredTool
from langgraph.graph import START, MessagesState
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo as ModelInfo
from pydantic_ai.models.function import DeltaToolCalls, FunctionModel
from pydantic_ai.toolsets import FunctionToolset

from landline.adapters.ag2 import AG2Adapter
from landline.adapters.langgraph import LangGraphAdapter
from landline.adapters.openai_agents import OpenAIAgentsAdapter
from landline.adapters.pydantic_ai import PydanticAIAdapter
from landline.model import events as log
from landline.ports.adapter import Adapter, AgentSpec, Finished, Suspended, ToolPolicy
from landline.testing.line import MemoryLine, drive, turn_of
from landline.testing.models.ag2 import Said, told, words
from landline.testing.models.langgraph import Deltas, Scripted
from landline.testing.models.langgraph import returns as tool_messages
from landline.testing.models.openai_agents import Asked, Piece
from landline.testing.models.openai_agents import Call as ModelCall
from tests.adapters.ag2_kit import agent as ag2_agent_of
from tests.adapters.langgraph_kit import StateGraph, create_agent
from tests.adapters.mcp_notes import Notes
from tests.adapters.openai_agents_kit import agent_of as openai_agent_of
from tests.adapters.pydantic_ai_kit import calls, returns

Call = tuple[str, dict[str, Any]]
ADD: Call = ("add", {"a": 1, "b": 2})


def pydantic_ai_agent(made: Sequence[Call], **more: Any) -> Any:
    async def stream(messages: list[ModelMessage], _: ModelInfo) -> AsyncIterator[str | DeltaToolCalls]:
        heard = returns(messages)
        if len(heard) < len(made):
            yield calls(made[len(heard)])
        else:
            yield " | ".join(part.model_response_str() for part in heard)

    return Agent(FunctionModel(stream_function=stream), **more)


def openai_agents_agent(made: Sequence[Call], **more: Any) -> Any:
    async def speak(asked: Asked) -> AsyncIterator[Piece]:
        if len(asked.told) < len(made):
            yield ModelCall(*made[len(asked.told)])
        else:
            yield " | ".join(str(told) for _, told in asked.told)

    return openai_agent_of(speak, **more)


def ag2_agent(made: Sequence[Call], *tools: Any) -> Any:
    async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        results = told(messages)
        if len(results) < len(made):
            name, arguments = made[len(results)]
            yield ToolCallEvent(name, id=f"{name}{len(results)}", arguments=json.dumps(arguments))
        else:
            yield " | ".join(words(result) for result in results)

    return ag2_agent_of(stream, *tools)


def langgraph_model(made: Sequence[Call]) -> Scripted:
    async def stream(messages: list[BaseMessage]) -> Deltas:
        heard = tool_messages(messages)
        if len(heard) < len(made):
            yield [made[len(heard)]]
        else:
            yield " | ".join(str(message.content) for message in heard)

    return Scripted(script=stream)


def with_pydantic_ai(url: str, made: Sequence[Call]) -> Any:
    return pydantic_ai_agent(made, toolsets=[MCPToolset(url)])


def with_openai_agents(url: str, made: Sequence[Call]) -> Any:
    return openai_agents_agent(made, mcp_servers=[MCPServerStreamableHttp(params={"url": url})])


def with_ag2(url: str, made: Sequence[Call]) -> Any:
    return ag2_agent(made, MCPToolkit(url))


SERVERS: dict[str, tuple[type[Any], Callable[[str, Sequence[Call]], Any]]] = {
    "pydantic_ai": (PydanticAIAdapter, with_pydantic_ai),
    "openai_agents": (OpenAIAgentsAdapter, with_openai_agents),
    "ag2": (AG2Adapter, with_ag2),
}


async def go(adapter: Adapter, spec: AgentSpec, agent: Any = None) -> tuple[MemoryLine, Finished]:
    line = MemoryLine()
    turn = turn_of(line, spec, "hi")
    if agent is not None:
        object.__setattr__(turn, "agent", agent)
    async with asyncio.timeout(20):
        return line, await drive(adapter, line, turn)


def failures(line: MemoryLine) -> list[str]:
    return [event.error.code for event in line.of(log.ToolFailed)]


@pytest.mark.contract("TRU-20")
@pytest.mark.parametrize("framework", ["pydantic_ai", "openai_agents"])
@pytest.mark.parametrize("allowed", ["no", "by name", "all"])
async def test_a_tool_that_a_server_gets_later_is_denied_until_the_owner_allows_it(
    notes: Notes, framework: str, allowed: str
) -> None:
    """AG2 asks a server for its tools once and never again, so that none can come."""
    kind, made = SERVERS[framework]
    adapter: Adapter = kind()
    more: dict[str, Any] = {
        "by name": {"tools": {"fresh": ToolPolicy()}},
        "all": {"unknown_tools": "allow"},
    }.get(allowed, {})
    await notes.start()
    try:
        asks = [ADD]
        spec = AgentSpec(agent=made(notes.url, asks), name="a", **more)
        line, _ = await go(adapter, spec)
        assert failures(line) == []
        await notes.kill()
        await notes.start("more")
        asks.append(("fresh", {}))
        line, finished = await go(adapter, spec)
    finally:
        await adapter.close()
    assert "3" in str(finished.output)
    if allowed == "no":
        assert failures(line) == ["tool_denied"]
        assert "unknown_tools" in str(finished.output)
    else:
        assert failures(line) == []
        assert "new" in str(finished.output)


@pytest.mark.contract("TRU-20", "ADP-6")
@pytest.mark.parametrize("framework", SERVERS)
async def test_a_factorys_agent_has_the_tools_of_its_servers(notes: Notes, framework: str) -> None:
    kind, made = SERVERS[framework]
    adapter: Adapter = kind()
    await notes.start()
    try:
        spec = AgentSpec(agent=None, name="a", make=lambda _: made(notes.url, [ADD]))
        line, finished = await go(adapter, spec, made(notes.url, [ADD]))
    finally:
        await adapter.close()
    assert failures(line) == []
    assert "3" in str(finished.output)


def greet(name: str) -> str:
    """Greet somebody."""
    return f"hello {name}"


def own_pydantic_ai(made: Sequence[Call]) -> Any:
    return pydantic_ai_agent(made, tools=[greet])


def own_openai_agents(made: Sequence[Call]) -> Any:
    return openai_agents_agent(made, tools=[function_tool(greet)])


def own_ag2(made: Sequence[Call]) -> Any:
    return ag2_agent(made, ag2_tool(greet))


def own_langgraph(made: Sequence[Call]) -> Any:
    return create_agent(langgraph_model(made), tools=[StructuredTool.from_function(greet)])


OWN: dict[str, tuple[type[Any], Callable[[Sequence[Call]], Any]]] = {
    "pydantic_ai": (PydanticAIAdapter, own_pydantic_ai),
    "openai_agents": (OpenAIAgentsAdapter, own_openai_agents),
    "ag2": (AG2Adapter, own_ag2),
    "langgraph": (LangGraphAdapter, own_langgraph),
}


@pytest.mark.contract("TRU-20")
@pytest.mark.parametrize("framework", OWN)
@pytest.mark.parametrize("factory", [False, True])
async def test_the_owners_own_tools_run_and_a_denied_one_is_told_to_the_model(
    framework: str, factory: bool
) -> None:
    kind, made = OWN[framework]
    agent = made([("greet", {"name": "ann"})])

    def make(_: Any) -> Any:
        return agent

    given: dict[str, Any] = {"agent": None, "make": make} if factory else {"agent": agent}
    line, finished = await go(kind(), AgentSpec(name="a", **given), agent)
    assert (failures(line), "hello ann" in str(finished.output)) == ([], True)
    denied = {"greet": ToolPolicy(deny=True)}
    line, finished = await go(kind(), AgentSpec(name="a", tools=denied, **given), agent)
    assert failures(line) == ["tool_denied"]
    assert "may not use greet" in str(finished.output)


@pytest.mark.contract("TRU-20")
@pytest.mark.parametrize("framework", OWN)
async def test_arguments_that_do_not_fit_never_reach_the_function(framework: str) -> None:
    kind, made = OWN[framework]
    line, finished = await go(
        kind(), AgentSpec(agent=made([("greet", {"name": {"not": "a text"}})]), name="a")
    )
    assert len(failures(line)) == 1
    assert not line.of(log.ToolCompleted)
    assert "hello" not in str(finished.output)


@pytest.mark.contract("TRU-20")
@pytest.mark.parametrize("framework", OWN)
async def test_edited_arguments_that_do_not_fit_never_reach_the_function(framework: str) -> None:
    kind, made = OWN[framework]
    agent = made([("greet", {"name": "ann"})])
    spec = AgentSpec(agent=agent, name="a", tools={"greet": ToolPolicy(approval=True)})
    adapter: Adapter = kind()
    line = MemoryLine()
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    (key,) = line.questions
    line.answer(key, approve=True, arguments={"name": {"not": "a text"}})
    line = line.resumed()
    async with asyncio.timeout(20):
        finished = await drive(adapter, line, turn_of(line, spec, "hi"))
    assert not line.of(log.ToolCompleted)
    assert len(failures(line)) == 1
    assert "hello" not in str(finished.output)


@pytest.mark.contract("TRU-20")
async def test_a_toolset_that_a_function_makes_on_the_way_is_denied_until_it_is_allowed() -> None:
    agent = pydantic_ai_agent([("greet", {"name": "ann"})])

    @agent.toolset
    def made_on_the_way(_: Any) -> FunctionToolset[None]:
        return FunctionToolset([greet])

    line, _ = await go(PydanticAIAdapter(), AgentSpec(agent=agent, name="a"))
    assert failures(line) == ["tool_denied"]
    line, finished = await go(
        PydanticAIAdapter(), AgentSpec(agent=agent, name="a", tools={"greet": ToolPolicy()})
    )
    assert (failures(line), finished.output) == ([], "hello ann")


@pytest.mark.contract("TRU-20")
async def test_prefixed_and_renamed_tools_are_known_by_the_names_that_the_model_sees() -> None:
    toolset = FunctionToolset[None]([greet]).prefixed("my").renamed({"hail": "my_greet"})
    agent = pydantic_ai_agent([("hail", {"name": "ann"})], toolsets=[toolset])
    adapter = PydanticAIAdapter()
    assert [tool.name for tool in adapter.describe(AgentSpec(agent=agent, name="a")).tools] == ["hail"]
    line, finished = await go(adapter, AgentSpec(agent=agent, name="a"))
    assert (failures(line), finished.output) == ([], "hello ann")


@pytest.mark.contract("TRU-20")
@pytest.mark.parametrize("where", ["start", "run"])
async def test_a_node_of_tools_that_a_running_node_makes_is_denied(where: str) -> None:
    model = langgraph_model([("greet", {"name": "ann"})])
    node = ToolNode([StructuredTool.from_function(greet)])

    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    async def call(state: MessagesState) -> Any:
        return await ToolNode([StructuredTool.from_function(greet)]).ainvoke(state)

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("tools", node if where == "start" else call)
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", tools_condition)
    graph.add_edge("tools", "ask")
    line, finished = await go(LangGraphAdapter(), AgentSpec(agent=graph.compile(), name="a"))
    assert failures(line) == ([] if where == "start" else ["tool_denied"])
    assert ("hello ann" in str(finished.output)) == (where == "start")
