"""Definitions are approved as they were first seen; what differs is off, logged, and on again once approved (ADP-6)."""

import asyncio
from typing import Any

import pytest

import landline
from landline.backends.memory import MemoryStore
from landline.backends.sqlite import SqliteStore
from landline.model.callers import LOCAL
from landline.model.errors import NotFound
from landline.ports.adapter import AgentSpec, BroughtTool, ToolPolicy, ToolRaised
from landline.upstream.mcp import McpTools, Pins
from landline.upstream.mcp.definitions import Definition
from tests.adapters.mcp_notes import Notes
from tests.upstream.conftest import Bring

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "to": {"type": "string"}},
}


def a_tool(description: str = "Pay.", name: str = "pay", **properties: Any) -> Definition:
    parameters = {**SCHEMA, "properties": {**SCHEMA["properties"], **properties}}
    return Definition(name=name, description=description, parameters=parameters)


async def states(pins: Pins) -> dict[str, str]:
    return {item.tool: item.state for item in await pins.all()}


async def _called_again_and_again(tool: BroughtTool) -> None:
    """Until the loss of a server is noticed, its connection is believed."""
    async with asyncio.timeout(10):
        while True:
            await tool.call({"a": 5, "b": 5})
            await asyncio.sleep(0.02)


@pytest.mark.contract("ADP-6")
async def test_a_changed_definition_is_off_until_it_is_approved(
    notes: Notes, bring: Bring, store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    server = landline.mcp((await notes.start()).url, name="notes")
    held = await bring(server)
    assert await held["add"].call({"a": 1, "b": 2}) == 3
    await notes.kill()
    await notes.start("changed", "more")
    with pytest.raises(ToolRaised) as raised:
        await _called_again_and_again(held["add"])
    assert raised.value.code == "mcp_tool_changed"
    now = await bring(server)
    assert "add" not in now
    assert "fresh" not in now, "a tool that comes later is off too"
    assert "forget" in now
    assert "add 1 2" in notes.told
    assert notes.told.count("add 1 2") == 1
    warned = [record.getMessage() for record in caplog.records if "is off until" in record.getMessage()]
    assert warned == [
        "the tool 'add' of the MCP server notes changed its description and is off until `landline mcp approve notes add`",
        "the tool 'fresh' of the MCP server notes is new and is off until `landline mcp approve notes fresh`",
    ]
    assert "obey" not in caplog.text
    pins = Pins(store)
    assert (await states(pins)) | {"add": "changed", "fresh": "new"} == await states(pins)
    await pins.approve("notes", "add")
    now = await bring(server)
    assert "And obey." in (now["add"].description or "")
    assert await now["add"].call({"a": 2, "b": 2}) == 4
    assert "fresh" not in now
    await pins.approve("notes")
    assert "fresh" in await bring(server)
    assert set((await states(pins)).values()) == {"approved"}


@pytest.mark.contract("ADP-6")
async def test_a_server_that_tells_of_a_change_is_asked_at_once(
    notes: Notes, bring: Bring, store: SqliteStore
) -> None:
    server = landline.mcp((await notes.start()).url, name="notes")
    tools = await bring(server)
    assert await tools["grow"].call({}) == "grown"
    async with asyncio.timeout(5):
        while (await states(Pins(store))).get("late") != "new":
            await bring(server)
            await asyncio.sleep(0.02)
    assert notes.told.count("handshake") == 1


@pytest.mark.contract("ADP-6")
@pytest.mark.parametrize(
    ("later", "said"),
    [
        (a_tool("Pay twice."), "its description"),
        (a_tool(why={"type": "string"}), "its parameters (+why)"),
        (a_tool(to={"type": "integer"}), "its parameters (~to)"),
        (a_tool("x", why={"type": "string"}), "its description and its parameters (+why)"),
    ],
)
async def test_what_changed_is_said(later: Definition, said: str) -> None:
    pins = Pins(MemoryStore())
    assert await pins.settle("bank", [a_tool()]) == {"pay": a_tool()}
    assert await pins.settle("bank", [later]) == {}
    (pinned,) = await pins.all()
    assert (pinned.state, pinned.changed) == ("changed", said)
    assert await pins.approved("bank") == {}, "a server that is down is not a way around"
    assert await pins.settle("bank", [a_tool()]) == {"pay": a_tool()}, "as it was is approved"


@pytest.mark.contract("ADP-6")
async def test_the_order_of_a_schema_is_no_change() -> None:
    pins = Pins(MemoryStore())
    await pins.settle("bank", [a_tool()])
    turned = {"properties": dict(reversed(SCHEMA["properties"].items())), "type": "object"}
    assert "pay" in await pins.settle("bank", [Definition(name="pay", description="Pay.", parameters=turned)])


@pytest.mark.contract("ADP-6")
async def test_two_processes_that_see_a_server_first_agree(store: SqliteStore) -> None:
    seen = await asyncio.gather(
        *(Pins(store).settle("bank", [a_tool(description)]) for description in ("one", "two") * 4)
    )
    taken = [each["pay"].description for each in seen if each]
    assert len(taken) == 4
    assert len(set(taken)) == 1, "all hold the same one for approved, whoever came first"
    (other,) = {"one", "two"} - set(taken)
    assert await Pins(store).settle("bank", [a_tool(other)]) == {}
    assert await Pins(store).approved("bank") == {}
    (pinned,) = await Pins(store).approve("bank", "pay")
    assert pinned.state == "changed"


@pytest.mark.contract("ADP-6")
async def test_only_what_was_seen_can_be_approved() -> None:
    pins = Pins(MemoryStore())
    with pytest.raises(NotFound):
        await pins.approve("bank")
    await pins.settle("bank", [a_tool()])
    with pytest.raises(NotFound):
        await pins.approve("bank", "other")
    assert await pins.approve("bank") == []


@pytest.mark.contract("ADP-6")
async def test_an_owner_chooses_tools_names_and_policies(notes: Notes, brings: McpTools) -> None:
    url = (await notes.start()).url
    one = landline.mcp(url, name="one", tools=["add", "forget"], prefix="one", approval=["forget"])
    two = landline.mcp(url, name="two", tools=["add", "forget"], idempotent=True)
    spec = AgentSpec(agent=None, name="a", mcp=[one, two], tools={"add": ToolPolicy(approval=True)})
    tools = {tool.name: tool.policy for tool in await brings(spec, LOCAL)}
    assert tools == {
        "one_add": ToolPolicy(),
        "one_forget": ToolPolicy(approval=True),
        "add": ToolPolicy(approval=True),
        "forget": ToolPolicy(idempotent=True),
    }
    assert notes.told.count("handshake") == 1, "one server and one set of headers is one connection"


@pytest.mark.contract("ADP-6")
async def test_two_tools_of_one_name_are_one_and_a_warning(
    notes: Notes, bring: Bring, caplog: pytest.LogCaptureFixture
) -> None:
    url = (await notes.start()).url
    tools = await bring(landline.mcp(url, name="one"), landline.mcp(url, name="two", tools=["add"]))
    assert "add" in tools
    assert "two tools of a are named add" in caplog.text


@pytest.mark.contract("ADP-6")
@pytest.mark.parametrize("url", ["notes.example/mcp", "file:///etc/passwd", "http://", "python server.py"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="begins with http"):
        landline.mcp(url)


@pytest.mark.contract("ADP-6", "TRU-17")
def test_a_server_does_not_show_its_secrets() -> None:
    server = landline.mcp("https://u:pw@h.example/mcp?key=k", headers={"authorization": "token"})
    process = landline.mcp_stdio("python", "--key=k", env={"KEY": "token"})
    assert (server.name, server.address) == ("h.example", "https://h.example/mcp")
    shown = repr(server) + repr(process) + process.address
    assert not [secret for secret in ("pw", "key=k", "token") if secret in shown]


@pytest.mark.contract("ADP-6")
@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["notes-server", "--port=1"], "notes-server"),
        (["/opt/bin/notes"], "notes"),
        (["python", "-m", "notes.server"], "notes.server"),
        (["npx", "-y", "@modelcontextprotocol/server-files", "."], "server-files"),
    ],
)
def test_a_command_is_named_after_what_it_starts(command: list[str], name: str) -> None:
    assert landline.mcp_stdio(*command).name == name


@pytest.mark.contract("ADP-6")
def test_a_definition_that_cannot_be_kept_has_no_size() -> None:
    assert a_tool("\ud800").size == float("inf")
