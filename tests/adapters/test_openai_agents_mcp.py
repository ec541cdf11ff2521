"""OpenAI agents with MCP servers, against a real server process: their tools on the line, and one connection."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from agents import Agent
from agents.mcp import MCPServer, MCPServerStdio, MCPServerStreamableHttp

from landline.adapters.openai_agents import OpenAIAgentsAdapter
from landline.model import events as log
from landline.model.errors import AgentFailed
from landline.ports.adapter import AgentSpec, Finished, Suspended, ToolPolicy
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.mcp_notes import Notes
from tests.adapters.openai_agents_kit import agent_of, once


@pytest.fixture
async def adapter() -> AsyncIterator[OpenAIAgentsAdapter]:
    """An adapter of its own, so that a test's connections are its own too."""
    own = OpenAIAgentsAdapter()
    yield own
    await own.close()


def over_http(notes: Notes, **more: Any) -> MCPServer:
    return MCPServerStreamableHttp(params={"url": notes.url}, **more)


def calling(server: MCPServer, tool: str = "add", arguments: Any = None, **more: Any) -> AgentSpec:
    given = {"a": 1, "b": 2} if tool == "add" else arguments or {}
    agent: Agent[Any] = agent_of(once(tool, given), mcp_servers=[server])
    return AgentSpec(agent=agent, name="a", **more)


async def go(adapter: OpenAIAgentsAdapter, spec: AgentSpec, line: MemoryLine | None = None) -> Finished:
    line = line or MemoryLine()
    async with asyncio.timeout(20):
        finished = await drive(adapter, line, turn_of(line, spec, "hi"))
    check_grammar(line.events)
    return finished


async def failed(adapter: OpenAIAgentsAdapter, spec: AgentSpec) -> AgentFailed:
    with pytest.raises(AgentFailed) as error:
        await go(adapter, spec)
    return error.value


@pytest.mark.contract("ADP-6")
async def test_a_tool_of_an_mcp_server_is_listed_and_called_over_http(
    notes: Notes, adapter: OpenAIAgentsAdapter
) -> None:
    line = MemoryLine()
    assert "3" in (await go(adapter, calling(over_http(await notes.start())), line)).output
    assert [(e.name, e.arguments) for e in line.of(log.ToolCalled)] == [("add", {"a": 1, "b": 2})]
    assert len(line.of(log.ToolCompleted)) == 1


@pytest.mark.contract("ADP-6", "ADP-9")
async def test_runs_share_one_connection_whether_they_overlap_or_not(
    notes: Notes, adapter: OpenAIAgentsAdapter
) -> None:
    spec = calling(over_http(await notes.start()))
    await asyncio.gather(*(go(adapter, spec) for _ in range(10)))
    await go(adapter, spec)
    assert notes.told.count("handshake") == 1
    assert notes.told.count("add 1 2") == 11


@pytest.mark.contract("ADP-6")
async def test_a_server_started_from_its_command_is_one_process_for_all_runs(
    notes: Notes, adapter: OpenAIAgentsAdapter
) -> None:
    command, *args = notes.command()
    spec = calling(MCPServerStdio(params={"command": command, "args": args}))
    answers = [await go(adapter, spec), *await asyncio.gather(*(go(adapter, spec) for _ in range(3)))]
    assert all("3" in answer.output for answer in answers)
    assert notes.told.count("process") == 1


@pytest.mark.contract("ADP-6")
async def test_a_server_that_came_back_is_connected_anew(notes: Notes, adapter: OpenAIAgentsAdapter) -> None:
    spec = calling(over_http(await notes.start()))
    await go(adapter, spec)
    await notes.kill()
    assert (await failed(adapter, spec)).code == "mcp_unavailable"
    await notes.start()
    assert "3" in (await go(adapter, spec)).output
    assert notes.told.count("handshake") == 2


@pytest.mark.contract("ADP-6")
async def test_a_dead_server_fails_its_runs_in_words_that_may_be_shown(
    notes: Notes, adapter: OpenAIAgentsAdapter
) -> None:
    await notes.start()
    await notes.kill()
    spec = calling(over_http(notes))
    errors = await asyncio.gather(*(failed(adapter, spec) for _ in range(5)))
    assert {error.code for error in errors} == {"mcp_unavailable"}
    assert all(str(notes.port) not in error.detail and "127" not in error.detail for error in errors)


@pytest.mark.contract("ADP-6", "ADP-4")
async def test_a_connection_that_breaks_in_mid_call_fails_the_call_and_the_run(
    notes: Notes, adapter: OpenAIAgentsAdapter
) -> None:
    spec = calling(over_http(await notes.start(), client_session_timeout_seconds=3), "die")
    line = MemoryLine()
    with pytest.raises(AgentFailed) as error:
        await go(adapter, spec, line)
    assert error.value.code == "mcp_unavailable"
    assert [event.error.code for event in line.of(log.ToolFailed)] == ["mcp_unavailable"]
    assert notes.told.count("die") == 1


@pytest.mark.contract("ADP-4", "ADP-6")
async def test_a_finished_call_is_not_made_again_after_a_crash(
    notes: Notes, adapter: OpenAIAgentsAdapter
) -> None:
    spec = calling(over_http(await notes.start()))
    line = MemoryLine()
    line.die_before = log.MessageStarted
    with pytest.raises(Crashed):
        await go(adapter, spec, line)
    assert "3" in (await go(adapter, spec, line.resumed())).output
    assert notes.told.count("add 1 2") == 1


@pytest.mark.contract("ADP-3", "ADP-6")
@pytest.mark.parametrize("by", ["policy", "server"])
async def test_a_tool_of_a_server_may_need_approval(
    notes: Notes, adapter: OpenAIAgentsAdapter, by: str
) -> None:
    await notes.start()
    server = over_http(notes, require_approval="always") if by == "server" else over_http(notes)
    policies = {"forget": ToolPolicy(approval=True)} if by == "policy" else {}
    spec = calling(server, "forget", {"name": "x"}, tools=policies)
    line = MemoryLine()
    with pytest.raises(Suspended):
        await go(adapter, spec, line)
    assert "forget x" not in notes.told
    line.answer(next(iter(line.questions)), approve=True)
    assert "forgot x" in (await go(adapter, spec, line.resumed())).output
    assert notes.told.count("forget x") == 1


@pytest.mark.contract("RUN-5", "ADP-6")
async def test_a_cancelled_run_leaves_the_connection_to_the_others(
    notes: Notes, adapter: OpenAIAgentsAdapter
) -> None:
    server = over_http(await notes.start(), client_session_timeout_seconds=30)
    line = MemoryLine()
    waiting = asyncio.create_task(drive(adapter, line, turn_of(line, calling(server, "wait"), "hi")))
    await notes.noted("wait")
    waiting.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert "3" in (await go(adapter, calling(server))).output
    assert notes.told.count("handshake") == 1


@pytest.mark.contract("ADP-6")
async def test_a_server_made_for_one_run_is_closed_with_it_and_an_owners_connection_is_left_open(
    notes: Notes, adapter: OpenAIAgentsAdapter
) -> None:
    await notes.start()
    server: Any = over_http(notes)
    await go(adapter, replace(calling(server), make=str))
    assert server.session is None
    own: Any = over_http(notes)
    async with own:
        await go(adapter, calling(own))
        await adapter.close()
        assert own.session is not None
        assert len(await own.list_tools()) >= 3
