"""Pydantic AI agents with MCP servers, against a real server process: their tools on the line, and one connection."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCalls, FunctionModel

from landline.adapters.pydantic_ai import PydanticAIAdapter
from landline.model import events as log
from landline.ports.adapter import AgentSpec, Finished, Suspended, ToolPolicy
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.mcp_notes import Notes
from tests.adapters.pydantic_ai_kit import calls, returns


@pytest.fixture
async def adapter() -> AsyncIterator[PydanticAIAdapter]:
    """An adapter of its own, so that a test's connections are its own too."""
    own = PydanticAIAdapter()
    yield own
    await own.close()


def agent_of(toolset: Any, *steps: DeltaToolCalls) -> Agent[None, str]:
    """An agent that makes these calls one after the other and then says what it was told."""

    async def stream(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        told = returns(messages)
        if len(told) < len(steps):
            yield steps[len(told)]
        else:
            yield " | ".join(part.model_response_str() for part in told)

    return Agent(FunctionModel(stream_function=stream), toolsets=[toolset])


def adding(toolset: Any) -> AgentSpec:
    return AgentSpec(agent=agent_of(toolset, calls(("add", {"a": 1, "b": 2}))), name="adding")


async def go(adapter: PydanticAIAdapter, spec: AgentSpec, line: MemoryLine | None = None) -> Finished:
    line = line or MemoryLine()
    async with asyncio.timeout(20):
        finished = await drive(adapter, line, turn_of(line, spec, "hi"))
    check_grammar(line.events)
    return finished


@pytest.mark.contract("ADP-6")
async def test_a_tool_of_an_mcp_server_is_listed_and_called_over_http(
    notes: Notes, adapter: PydanticAIAdapter
) -> None:
    spec = adding(MCPToolset((await notes.start()).url))
    line = MemoryLine()
    assert (await go(adapter, spec, line)).output == "3"
    assert [(e.name, e.arguments) for e in line.of(log.ToolCalled)] == [("add", {"a": 1, "b": 2})]
    assert [e.result for e in line.of(log.ToolCompleted)] == [3]


@pytest.mark.contract("ADP-6")
async def test_an_mcp_server_started_from_its_command_is_one_process_for_all_runs(
    notes: Notes, adapter: PydanticAIAdapter
) -> None:
    command, *args = notes.command()
    spec = adding(MCPToolset(StdioTransport(command, args)).prefixed("notes"))
    spec = AgentSpec(
        agent=agent_of(spec.agent.toolsets[-1], calls(("notes_add", {"a": 1, "b": 2}))), name="adding"
    )
    answers = [await go(adapter, spec), *await asyncio.gather(*(go(adapter, spec) for _ in range(4)))]
    assert [answer.output for answer in answers] == ["3"] * 5
    assert notes.told.count("process") == 1


@pytest.mark.contract("ADP-6", "ADP-9")
async def test_runs_share_one_connection_whether_they_overlap_or_not(
    notes: Notes, adapter: PydanticAIAdapter
) -> None:
    spec = adding(MCPToolset((await notes.start()).url))
    await asyncio.gather(*(go(adapter, spec) for _ in range(20)))
    await go(adapter, spec)
    await go(adapter, spec)
    assert notes.told.count("handshake") == 1
    assert notes.told.count("add 1 2") == 22


@pytest.mark.contract("ADP-6")
async def test_a_run_sees_the_tools_the_server_has_now(notes: Notes, adapter: PydanticAIAdapter) -> None:
    """The connection outlives an update of the server; a list of tools that is as old as it would not."""
    seen: list[list[str]] = []

    async def stream(_: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        seen.append([tool.name for tool in info.function_tools])
        yield "ok"

    toolset: Any = MCPToolset((await notes.start()).url)
    agent: Agent[None, str] = Agent(FunctionModel(stream_function=stream), toolsets=[toolset])
    spec = AgentSpec(agent=agent, name="a")
    await go(adapter, spec)
    await notes.kill()
    await notes.start("more")
    await go(adapter, spec)
    assert [("fresh" in tools) for tools in seen] == [False, True]


@pytest.mark.contract("ADP-4", "ADP-6")
async def test_a_finished_mcp_call_is_not_made_again_after_a_crash(
    notes: Notes, adapter: PydanticAIAdapter
) -> None:
    spec = adding(MCPToolset((await notes.start()).url))
    line = MemoryLine()
    line.die_before = log.TextDelta
    with pytest.raises(Crashed):
        await go(adapter, spec, line)
    assert (await go(adapter, spec, line.resumed())).output == "3"
    assert notes.told.count("add 1 2") == 1


@pytest.mark.contract("ADP-3", "ADP-6")
async def test_an_mcp_tool_that_needs_approval_runs_once_it_is_approved(
    notes: Notes, adapter: PydanticAIAdapter
) -> None:
    agent = agent_of(MCPToolset((await notes.start()).url), calls(("forget", {"name": "a"})))
    spec = AgentSpec(agent=agent, name="a", tools={"forget": ToolPolicy(approval=True)})
    line = MemoryLine()
    with pytest.raises(Suspended):
        await go(adapter, spec, line)
    assert "forget a" not in notes.told
    line.answer("forget", approve=True, arguments={"name": "b"})
    assert (await go(adapter, spec, line.resumed())).output == "forgot b"
    assert [told for told in notes.told if told.startswith("forget")] == ["forget b"]


@pytest.mark.contract("ADP-6", "RUN-5")
@pytest.mark.parametrize("over", ["http", "stdio"])
async def test_a_cancelled_run_stops_its_call_and_leaves_the_connection_usable(
    notes: Notes, adapter: PydanticAIAdapter, over: str
) -> None:
    """The cancelled run is the one that opened the connection, the hardest case."""
    command, *args = notes.command()
    toolset = MCPToolset[None](
        StdioTransport(command, args) if over == "stdio" else (await notes.start()).url
    )
    waiting = AgentSpec(agent=agent_of(toolset, calls(("wait", {}))), name="waiting")
    run = asyncio.ensure_future(go(adapter, waiting))
    await notes.noted("wait")
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await notes.noted("stopped")
    assert (await go(adapter, adding(toolset))).output == "3"
    assert notes.told.count("process" if over == "stdio" else "handshake") == 1


@pytest.mark.contract("ADP-6", "ADP-9")
async def test_the_shared_connection_knows_nothing_of_the_run_that_opened_it(
    notes: Notes, adapter: PydanticAIAdapter
) -> None:
    user = ContextVar("user", default="nobody")
    user.set("ada")
    seen: list[str] = []

    class Watched(StreamableHttpTransport):
        @asynccontextmanager
        async def connect_session(self, **how: Any) -> AsyncGenerator[Any]:
            seen.append(user.get())
            async with super().connect_session(**how) as session:
                yield session

    assert (await go(adapter, adding(MCPToolset(Watched((await notes.start()).url))))).output == "3"
    assert seen == ["nobody"]


@pytest.mark.contract("ADP-6", "AGT-3")
async def test_a_toolset_that_a_factory_makes_for_one_run_is_closed_with_it(
    notes: Notes, adapter: PydanticAIAdapter
) -> None:
    url = (await notes.start()).url
    toolset = MCPToolset[None](url)
    once = AgentSpec(agent=adding(toolset).agent, name="made", make=lambda _: None)
    await go(adapter, once)
    assert not toolset.is_running
    await go(adapter, once)
    assert toolset.is_running, "a factory that hands out the same toolset shares its connection"


@pytest.mark.contract("ADP-6")
async def test_closing_the_adapter_ends_the_servers_it_started(
    notes: Notes, adapter: PydanticAIAdapter
) -> None:
    command, *args = notes.command()
    toolset = MCPToolset[None](StdioTransport(command, args))
    before = asyncio.all_tasks()
    await go(adapter, adding(toolset))
    await adapter.close()
    assert asyncio.all_tasks() == before
    assert (await go(adapter, adding(toolset))).output == "3"
    assert notes.told.count("process") == 2
