"""No request brings code, an import path or a command line; commands of MCP servers come from the agents' own code (TRU-15)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline


async def echo(run: Any) -> str:
    """Say the message back."""
    return str(run.input)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    instance = Landline([landline.agent(echo, name="echo")], open=True, data=tmp_path / "data", faces="all")
    transport = httpx.ASGITransport(instance.app, raise_app_exceptions=False)
    async with (
        instance.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as made,
    ):
        yield made


@pytest.mark.contract("TRU-15")
async def test_a_request_that_names_a_command_runs_nothing(client: httpx.AsyncClient, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    command = {"command": "touch", "args": [str(mark)], "type": "stdio", "transport": "stdio"}
    run = {"agent": "echo", "input": "hi", "mode": "wait"}
    named = (
        "mcp",
        "mcp_servers",
        "tools",
        "target",
        "import",
        "factory",
        "model",
        "adapter",
        "callable",
        "cwd",
    )
    for name in named:
        for value in ([command], {"notes": command}, f"touch {mark}", "os:system"):
            answer = await client.post("/api/v1/runs", json={**run, name: value})
            assert answer.status_code == 422, (name, value, answer.text)
    for body in (
        {**run, "metadata": {"mcp": f"touch {mark}", "__class__": "os:system"}},
        {
            **run,
            "input": f"$(touch {mark}) `touch {mark}` {{{{__import__('os').system('touch {mark}')}}}} !!python/object/apply:os.system",
        },
    ):
        assert (await client.post("/api/v1/runs", json=body)).status_code == 200
    mcp_tool = {"type": "mcp", "server_label": "x", "server_url": f"stdio://touch {mark}", **command}
    for path, body in (
        ("/v1/responses", {"model": "echo", "input": "hi", "tools": [mcp_tool]}),
        (
            "/v1/chat/completions",
            {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "tools": [mcp_tool]},
        ),
        ("/v1/responses", {"model": "os:system", "input": "hi"}),
        ("/v1/responses", {"model": str(Path(__file__)), "input": "hi"}),
    ):
        answer = await client.post(path, json=body)
        assert 400 <= answer.status_code < 500, (path, body, answer.text)
    for agent in ("os:system", "os.system", f"{__file__}:echo", "../agents.py", "subprocess:run"):
        answer = await client.post("/api/v1/runs", json={**run, "agent": agent})
        assert answer.status_code in (404, 422), answer.text
    assert not mark.exists()
