"""`landline mcp`: the owner sees what changed and approves it, beside a running server or without one."""

import asyncio
import json
from pathlib import Path

import pytest

from landline.backends.sqlite import SqliteStore
from landline.upstream.mcp import Pins
from landline.upstream.mcp.definitions import Definition
from tests.cli.conftest import Project


def tool(name: str, description: str) -> Definition:
    return Definition(name=name, description=description, parameters={"type": "object"})


def see(folder: Path, *definitions: Definition) -> None:
    async def settle() -> None:
        store = SqliteStore(folder / ".landline" / "landline.db", beside=True)
        await store.open()
        await Pins(store).settle("bank", definitions)
        await store.close()

    asyncio.run(settle())


@pytest.mark.contract("ADP-6", "CLI-1")
def test_a_changed_and_a_new_tool_are_shown_and_approved(landline: Project) -> None:
    assert json.loads(landline("mcp", "list", "--json").stdout) == []
    see(landline.folder, tool("pay", "Pay."), tool("look", "Look."))
    see(landline.folder, tool("pay", "Pay\ttwice."), tool("look", "Look."), tool("sell", "Sell."))
    shown = landline("mcp", "list").stdout.splitlines()
    assert [line.split()[:3] for line in shown[1:]] == [
        ["bank", "look", "approved"],
        ["bank", "pay", "changed"],
        ["bank", "sell", "new"],
    ]
    assert "changed its description; now: Pay twice." in shown[2]
    approved = landline("mcp", "approve", "bank", "pay", "--json")
    assert [(item["tool"], item["state"]) for item in json.loads(approved.stdout)] == [("pay", "changed")]
    states = {item["tool"]: item["state"] for item in json.loads(landline("mcp", "list", "--json").stdout)}
    assert states == {"look": "approved", "pay": "approved", "sell": "new"}
    assert "sell" in landline("mcp", "approve", "bank").stdout
    assert "nothing to approve" in landline("mcp", "approve", "bank").stderr


@pytest.mark.contract("ADP-6", "CLI-3")
def test_what_was_never_seen_is_said_to_be_unknown(landline: Project) -> None:
    refused = landline("mcp", "approve", "bank")
    assert refused.returncode != 0
    assert "No MCP server is known as 'bank'" in refused.stderr
    see(landline.folder, tool("pay", "Pay."))
    refused = landline("mcp", "approve", "bank", "steal")
    assert refused.returncode != 0
    assert "has no tool 'steal'" in refused.stderr
