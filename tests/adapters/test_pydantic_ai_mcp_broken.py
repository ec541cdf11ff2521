"""MCP servers that break, restart or are not there: which run fails, with which code, and that the next one works."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from fastmcp.client import Client
from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.test import TestModel

from landline.adapters.pydantic_ai import PydanticAIAdapter
from landline.model import events as log
from landline.model.errors import AgentFailed
from landline.ports.adapter import AgentSpec
from landline.testing.line import MemoryLine
from tests.adapters.mcp_notes import Notes
from tests.adapters.pydantic_ai_kit import calls
from tests.adapters.test_pydantic_ai_mcp import adapter, adding, agent_of, go
from tests.engine.conftest import Server

__all__ = ["adapter"]


def toolset_of(notes: Notes, wire: str) -> MCPToolset[None]:
    """`sessions`: the wire that keeps a session on the server, which a restart loses; `modern`: the one without."""
    if wire == "stdio":
        command, *args = notes.command()
        return MCPToolset(StdioTransport(command, args))
    return MCPToolset(Client(notes.url, mode="legacy") if wire == "sessions" else notes.url)


async def failed(adapter: PydanticAIAdapter, spec: AgentSpec, line: MemoryLine | None = None) -> AgentFailed:
    with pytest.raises(AgentFailed) as caught:
        await go(adapter, spec, line)
    return caught.value


@pytest.mark.contract("ADP-6")
@pytest.mark.parametrize("wire", ["modern", "sessions"])
async def test_a_server_restarted_between_two_runs_is_connected_anew(
    notes: Notes, adapter: PydanticAIAdapter, wire: str
) -> None:
    await notes.start()
    spec = adding(toolset_of(notes, wire))
    await go(adapter, spec)
    await notes.kill()
    await notes.start()
    answers = await asyncio.gather(*(go(adapter, spec) for _ in range(5)))
    assert [answer.output for answer in answers] == ["3"] * 5
    assert notes.told.count("add 1 2") == 6


@pytest.mark.contract("ADP-6")
@pytest.mark.parametrize("wire", ["modern", "sessions", "stdio"])
async def test_a_server_that_dies_in_mid_call_fails_the_run_and_the_next_one_works(
    notes: Notes, adapter: PydanticAIAdapter, wire: str
) -> None:
    """Whether the call was carried out is not known, so it is not made again."""
    if wire != "stdio":
        await notes.start()
    toolset = toolset_of(notes, wire)
    line = MemoryLine()
    error = await failed(adapter, AgentSpec(agent=agent_of(toolset, calls(("die", {}))), name="a"), line)
    assert error.code == "mcp_unavailable"
    assert [e.error.code for e in line.of(log.ToolFailed)] == ["mcp_unavailable"]
    assert notes.told.count("die") == 1
    if wire != "stdio":
        await notes.kill()
        await notes.start()
    assert (await go(adapter, adding(toolset))).output == "3"


@pytest.mark.contract("ADP-6")
async def test_a_call_the_restarted_server_did_not_take_is_sent_over_a_new_session(
    notes: Notes, adapter: PydanticAIAdapter
) -> None:
    await notes.start()
    agent = agent_of(toolset_of(notes, "sessions"), calls(("restart", {})), calls(("add", {"a": 1, "b": 2})))

    @agent.tool_plain
    async def restart() -> str:
        await notes.kill()
        await notes.start()
        return "restarted"

    line = MemoryLine()
    assert (await go(adapter, AgentSpec(agent=agent, name="a"), line)).output == "restarted | 3"
    assert [e.name for e in line.of(log.ToolCalled)] == ["restart", "add"]
    assert notes.told.count("add 1 2") == 1


@pytest.mark.contract("ADP-6")
@pytest.mark.parametrize("wire", ["modern", "sessions"])
async def test_a_server_that_went_away_between_two_steps_fails_the_run(
    notes: Notes, adapter: PydanticAIAdapter, wire: str
) -> None:
    await notes.start()
    agent = agent_of(toolset_of(notes, wire), calls(("kill", {})), calls(("add", {"a": 1, "b": 2})))

    @agent.tool_plain
    async def kill() -> str:
        await notes.kill()
        return "killed"

    assert (await failed(adapter, AgentSpec(agent=agent, name="a"))).code == "mcp_unavailable"


@pytest.mark.contract("ADP-6")
async def test_a_dead_server_fails_its_runs_in_words_that_may_be_shown_and_no_other_agents(
    notes: Notes, adapter: PydanticAIAdapter
) -> None:
    await notes.start()
    await notes.kill()
    dead = adding(toolset_of(notes, "modern"))
    errors = await asyncio.gather(*(failed(adapter, dead) for _ in range(5)))
    assert {error.code for error in errors} == {"mcp_unavailable"}
    assert all(str(notes.port) not in error.detail and "127" not in error.detail for error in errors)
    assert (await go(adapter, AgentSpec(agent=Agent(TestModel()), name="well"))).output
    await notes.start()
    assert (await go(adapter, dead)).output == "3"


@pytest.mark.contract("ADP-6")
async def test_a_server_that_hangs_fails_the_run_and_is_used_again_when_it_answers(
    notes: Notes, adapter: PydanticAIAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await notes.start()
    spec = adding(MCPToolset(notes.url, init_timeout=1))
    await go(adapter, spec)
    monkeypatch.setattr("landline.adapters.pydantic_ai.mcp.LIST_S", 0.5)
    notes.freeze()
    try:
        assert (await failed(adapter, spec)).code == "mcp_unavailable"
    finally:
        notes.thaw()
    monkeypatch.undo()
    assert (await go(adapter, spec)).output == "3"


@pytest.mark.contract("ADP-6", "REL-1")
async def test_a_dead_server_fails_the_run_in_its_log_and_the_engine_goes_on(
    notes: Notes, adapter: PydanticAIAdapter, tmp_path: Path
) -> None:
    await notes.start()
    await notes.kill()
    agents: Any = {"dead": adding(toolset_of(notes, "modern")).agent, "well": Agent(TestModel())}
    engine = await Server(folder=tmp_path, agents=agents, adapter=cast("Any", adapter)).boot()
    try:
        async with asyncio.timeout(10):
            dead, well = await engine.start(agent="dead"), await engine.start(agent="well")
            await engine.ended(dead.id)
            await engine.ended(well.id)
        ended = await engine.get(dead.id)
        assert ended.error is not None
        assert (ended.status, ended.error.code) == ("failed", "mcp_unavailable")
        assert (await engine.get(well.id)).status == "completed"
    finally:
        await engine.stop()


@pytest.mark.contract("ADP-6")
async def test_a_command_that_is_not_there_fails_the_run(adapter: PydanticAIAdapter, tmp_path: Path) -> None:
    spec = adding(MCPToolset(StdioTransport(str(tmp_path / "nothing"), [])))
    assert (await failed(adapter, spec)).code == "mcp_unavailable"


@pytest.mark.contract("ADP-6")
@pytest.mark.parametrize("when", ["before", "in mid-call"])
async def test_a_dead_server_of_a_toolset_made_for_one_run_has_the_same_code(
    notes: Notes, adapter: PydanticAIAdapter, when: str
) -> None:
    await notes.start()
    agent = agent_of(toolset_of(notes, "modern"), calls(("die", {})))
    if when == "before":
        await notes.kill()
    made = AgentSpec(agent=agent, name="made", make=lambda _: None)
    assert (await failed(adapter, made)).code == "mcp_unavailable"


@pytest.mark.contract("ADP-6")
async def test_what_a_tool_of_another_kind_raises_is_not_taken_for_a_broken_connection(
    notes: Notes, adapter: PydanticAIAdapter
) -> None:
    await notes.start()
    agent = agent_of(toolset_of(notes, "modern"), calls(("own", {})))

    @agent.tool_plain
    async def own() -> Any:
        raise ConnectionError("the tool's own trouble")

    assert (await failed(adapter, AgentSpec(agent=agent, name="a"))).code == "agent_error"
