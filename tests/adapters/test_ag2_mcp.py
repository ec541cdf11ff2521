"""AG2 agents with MCP servers, against a real server process: their tools on the line, and one connection."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from ag2 import Agent, Variable
from ag2.tools import MCPToolkit
from ag2.tools.toolkits.mcp_server import MCPServerConfig, MCPStdioServerConfig

from landline.adapters.ag2 import AG2Adapter
from landline.model import events as log
from landline.ports.adapter import AgentSpec, Finished, Suspended, ToolPolicy
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.ag2_kit import agent, once
from tests.adapters.mcp_notes import Notes


@pytest.fixture
async def adapter() -> AsyncIterator[AG2Adapter]:
    """An adapter of its own, so that a test's connections are its own too."""
    own = AG2Adapter()
    yield own
    await own.close()


def adding(server: Any) -> Agent[Any]:
    return agent(once("add", a=1, b=2), MCPToolkit(server))


async def go(adapter: AG2Adapter, made: Agent[Any], line: MemoryLine | None = None, **given: Any) -> Finished:
    line = line or MemoryLine()
    tools = given.pop("tools", {})
    async with asyncio.timeout(20):
        spec = AgentSpec(agent=made, name="a", tools=tools)
        finished = await drive(adapter, line, turn_of(line, spec, "hi", **given))
    check_grammar(line.events)
    return finished


@pytest.mark.contract("ADP-6")
async def test_runs_share_one_connection_whether_they_overlap_or_not(
    notes: Notes, adapter: AG2Adapter
) -> None:
    made = adding((await notes.start()).url)
    line = MemoryLine()
    assert (await go(adapter, made, line)).output == "I was told: 3"
    assert [(e.name, e.arguments) for e in line.of(log.ToolCalled)] == [("add", {"a": 1, "b": 2})]
    await asyncio.gather(*(go(adapter, made) for _ in range(10)))
    await go(adapter, made)
    assert notes.told.count("add 1 2") == 12
    # One to find out the tools, which AG2 does by itself and once, and one that stays.
    assert notes.told.count("handshake") == 2


@pytest.mark.contract("ADP-6")
async def test_a_server_started_from_its_command_stays_one_process(notes: Notes, adapter: AG2Adapter) -> None:
    command, *args = notes.command()
    made = adding(MCPStdioServerConfig(command=command, args=args))
    answers = [await go(adapter, made), *await asyncio.gather(*(go(adapter, made) for _ in range(4)))]
    assert [answer.output for answer in answers] == ["I was told: 3"] * 5
    assert notes.told.count("process") == 2


@pytest.mark.contract("ADP-6")
async def test_a_server_that_comes_back_is_connected_anew(notes: Notes, adapter: AG2Adapter) -> None:
    made = adding((await notes.start()).url)
    await go(adapter, made)
    await notes.kill()
    down = await go(adapter, made)
    assert str(down.output).removeprefix("I was told: ") != "3"
    await notes.start()
    assert (await go(adapter, made)).output == "I was told: 3"


@pytest.mark.contract("ADP-6")
async def test_a_server_that_dies_in_mid_call_fails_the_call_and_not_the_next_run(
    notes: Notes, adapter: AG2Adapter
) -> None:
    toolkit = MCPToolkit((await notes.start()).url)
    line = MemoryLine()
    await go(adapter, agent(once("die"), toolkit), line)
    assert [end.error.code for end in line.of(log.ToolFailed)] == ["tool_error"]
    await notes.kill()
    await notes.start()
    assert (await go(adapter, agent(once("add", a=1, b=2), toolkit))).output == "I was told: 3"


@pytest.mark.contract("ADP-6", "RUN-5")
async def test_a_cancelled_call_leaves_the_connection_to_others(notes: Notes, adapter: AG2Adapter) -> None:
    toolkit = MCPToolkit((await notes.start()).url)
    task = asyncio.create_task(go(adapter, agent(once("wait"), toolkit)))
    await notes.noted("wait")
    task.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await go(adapter, agent(once("add", a=1, b=2), toolkit))).output == "I was told: 3"
    # Each agent has a copy of the toolkit and finds out its tools once; the third is the connection of all calls.
    assert notes.told.count("handshake") == 3


@pytest.mark.contract("ADP-6", "ADP-9")
async def test_one_users_failing_call_leaves_anothers_on_the_same_connection_alone(
    notes: Notes, adapter: AG2Adapter
) -> None:
    toolkit = MCPToolkit((await notes.start()).url)
    waiting = asyncio.create_task(go(adapter, agent(once("wait"), toolkit)))
    await notes.noted("wait")
    line = MemoryLine()
    await go(adapter, agent(once("add", a="no number"), toolkit), line)
    assert [end.error.code for end in line.of(log.ToolFailed)] == ["tool_error"]
    assert "stopped" not in notes.told
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.contract("ADP-6", "ADP-3", "ADP-4")
async def test_its_tools_are_approved_and_journalled_like_any(notes: Notes, adapter: AG2Adapter) -> None:
    made = agent(once("forget", name="x"), MCPToolkit((await notes.start()).url))
    tools = {"forget": ToolPolicy(approval=True)}
    line = MemoryLine()
    with pytest.raises(Suspended):
        await go(adapter, made, line, tools=tools)
    line.answer("forget", approve=True)
    line = line.resumed()
    line.die_before = log.MessageStarted
    with pytest.raises(Crashed):
        await go(adapter, made, line, tools=tools)
    finished = await go(adapter, made, line.resumed(), tools=tools)
    assert finished.output == "I was told: forgot x"
    assert notes.told.count("forget x") == 1


@pytest.mark.contract("ADP-6", "ADP-9")
async def test_a_server_that_a_users_variables_lead_to_is_not_shared(
    notes: Notes, adapter: AG2Adapter
) -> None:
    await notes.start()
    made = adding(MCPServerConfig(server_url=notes.url, authorization_token=Variable("token")))
    for user in ("ada", "bob"):
        assert (await go(adapter, made, context={"token": user})).output == "I was told: 3"
    assert notes.told.count("handshake") == 4


@pytest.mark.contract("ADP-6")
async def test_closing_the_adapter_ends_the_servers_it_started(notes: Notes) -> None:
    own = AG2Adapter()
    command, *args = notes.command()
    made = adding(MCPStdioServerConfig(command=command, args=args))
    await go(own, made)
    await own.close()
    assert (await go(own, made)).output == "I was told: 3"
    assert notes.told.count("process") == 3
    await own.close()
