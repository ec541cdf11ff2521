"""Agents with MCP servers in a whole Landline: their tools reach runs, and what cannot be used is listed as broken."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.adapters.plain import PlainRun
from landline.app.build import Landline
from landline.model.callers import LOCAL
from tests.adapters.mcp_notes import Notes, Nursery


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
async def notes(tmp_path: Path, nursery: Nursery) -> AsyncIterator[Notes]:
    server = await Notes(tmp_path, nursery).start()
    yield server
    await server.kill()


async def adding(run: PlainRun) -> str:
    return str(await run.mcp("add", a=1, b=2))


async def told(text: str) -> str:
    return text


async def answer(instance: Landline, agent: str) -> dict[str, Any]:
    transport = httpx.ASGITransport(instance.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answered = await client.post("/api/v1/runs", json={"agent": agent, "input": "hi"})
        assert answered.status_code == 200, answered.text
        return dict(answered.json())


@pytest.mark.contract("ADP-6")
async def test_runs_of_two_agents_use_one_connection_that_ends_with_the_server(
    notes: Notes, tmp_path: Path
) -> None:
    server = landline.mcp(notes.url)
    agents = [landline.agent(adding, name=name, mcp=[server]) for name in ("one", "two")]
    before = asyncio.all_tasks()
    instance = Landline(agents, open=True, data=tmp_path / "data")
    async with instance.started():
        for name in ("one", "two", "one"):
            assert (await answer(instance, name))["output"] == "3"
    assert notes.told.count("handshake") == 1
    assert asyncio.all_tasks() == before


@pytest.mark.contract("ADP-6")
async def test_a_server_that_is_down_leaves_the_run_and_the_other_agents_alone(
    notes: Notes, tmp_path: Path
) -> None:
    await notes.kill()

    async def careful(run: PlainRun) -> str:
        return ", ".join(tool.name for tool in run.mcp_tools) or "nothing to use"

    agents = [landline.agent(careful, name="careful", mcp=[landline.mcp(notes.url)])]
    instance = Landline(agents, open=True, data=tmp_path / "data")
    async with instance.started():
        assert (await answer(instance, "careful"))["output"] == "nothing to use"


@pytest.mark.contract("ADP-6", "AGT-4")
def test_what_cannot_use_its_servers_is_listed_as_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = landline.mcp("http://127.0.0.1:1/mcp", name="notes")
    two = landline.mcp("http://127.0.0.1:2/mcp", name="notes")
    agents = [
        landline.agent(adding, name="well", mcp=[one]),
        landline.agent(told, name="deaf", mcp=[one]),
        landline.agent(adding, name="clash", mcp=[two]),
        landline.agent(adding, name="text", mcp=["http://127.0.0.1:3/mcp"]),  # pyright: ignore[reportArgumentType] - an owner's mistake
        landline.agent(told, name="other"),
    ]
    errors = broken(Landline(agents, open=True, data=tmp_path))
    assert list(errors) == ["deaf", "clash", "text"]
    assert "cannot be given MCP servers" in errors["deaf"]
    assert "two MCP servers are named 'notes'" in errors["clash"]
    assert "landline.mcp" in errors["text"]

    def missing(_: str) -> None:
        return None

    monkeypatch.setattr("landline.app.mcp.find_spec", missing)
    errors = broken(Landline(agents[:1], open=True, data=tmp_path))
    assert "pip install 'landline[mcp]'" in errors["well"]


def broken(instance: Landline) -> dict[str, str]:
    return {info.name: info.error.message for info in instance.registry.list(LOCAL) if info.error}
