"""A key that is revoked by another process: all it has open is closed within 5 seconds, on every wire (TRU-1)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from landline.testing.kill import ServedProcess
from tests.e2e.mcp_line import ACCEPT, message, routing

pytestmark = pytest.mark.contract("TRU-1")

AGENTS = Path(__file__).with_name("agents.py")
BOUND_S = 5.0

AI_SDK: dict[str, Any] = {
    "id": "chat",
    "messages": [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "x"}]}],
}
AG_UI: dict[str, Any] = {
    "threadId": "t", "runId": "r", "protocolVersion": "1.0", "state": {}, "tools": [], "context": [],
    "messages": [{"id": "m", "role": "user", "content": "x"}], "forwardedProps": {},
}  # fmt: skip
A2A = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}}
OPENAI = {"model": "hold", "messages": [{"role": "user", "content": "x"}]}
HOLD = {"name": "hold", "arguments": {"message": "x"}}


@dataclass(frozen=True)
class Line:
    """A request that stays open, and what it says last."""

    path: str
    body: dict[str, Any]
    streams: bool
    headers: dict[str, str] = field(default_factory=dict[str, str])


LINES = {
    "native stream": Line("/api/v1/runs", {"agent": "hold", "input": "x", "mode": "stream"}, True),
    "native wait": Line("/api/v1/runs", {"agent": "hold", "input": "x"}, False),
    "native fan-out": Line("/api/v1/fanout", {"agents": ["hold"], "input": "x"}, False),
    "chat stream": Line("/v1/chat/completions", {**OPENAI, "stream": True}, True),
    "chat wait": Line("/v1/chat/completions", OPENAI, False),
    "responses stream": Line("/v1/responses", {"model": "hold", "input": "x", "stream": True}, True),
    "responses wait": Line("/v1/responses", {"model": "hold", "input": "x"}, False),
    "ag-ui": Line("/ag-ui/hold", AG_UI, True),
    "ai sdk": Line("/ai/hold", AI_SDK, True),
    "a2a stream": Line("/a2a/hold/message:stream", A2A, True, {"a2a-version": "1.0"}),
    "a2a wait": Line("/a2a/hold/message:send", A2A, False, {"a2a-version": "1.0"}),
    "mcp": Line(
        "/mcp",
        message("tools/call", HOLD, progress="p"),
        True,
        {**ACCEPT, **routing("tools/call", HOLD)},
    ),
    "tutorials stream": Line("/chat/stream", {"message": "x", "agent": "hold"}, True),
    "tutorials wait": Line("/chat", {"message": "x", "agent": "hold"}, False),
}


WITHOUT_CODES = ("ai sdk", "tutorials stream", "tutorials wait")
"""Wires whose errors are a sentence and nothing else."""


def owner(data: Path, *words: str) -> str:
    """Run the command line as the owner does: a process of its own, on the server's data."""
    done = subprocess.run(
        [sys.executable, "-m", "landline.cli.main", *words, "--data", str(data)],
        capture_output=True, text=True, check=True, cwd=data.parent,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServedProcess]:
    options = ("--grace", "0", "--faces", "all")
    process = ServedProcess(AGENTS, data=tmp_path / "data", options=options, warm=())
    yield process
    process.kill()


@dataclass
class Told:
    """What one open line got, and when it ended."""

    status: int = 0
    text: str = ""
    ended_s: float = 0.0


async def held(client: httpx.AsyncClient, line: Line, told: Told) -> None:
    async with client.stream("POST", line.path, json=line.body, headers=line.headers) as answer:
        told.status = answer.status_code
        async for piece in answer.aiter_text():
            told.text += piece
    told.ended_s = time.monotonic()


async def socket(url: str, path: str, key: str, first: Any, told: Told) -> None:
    address = url.replace("http", "ws") + path
    async with connect(address, additional_headers={"x-api-key": key}) as line:
        await line.send(json.dumps(first))
        with suppress(ConnectionClosed):
            async for heard in line:
                told.text += str(heard)
        told.status, told.text = line.close_code or 0, f"{told.text}{line.close_reason}"
    told.ended_s = time.monotonic()


@pytest.mark.timeout(120)
async def test_all_that_a_revoked_key_has_open_is_closed_within_five_seconds(server: ServedProcess) -> None:
    made = json.loads(owner(server.data, "keys", "create", "--user", "ann", "--json"))
    other = json.loads(owner(server.data, "keys", "create", "--user", "ann", "--json"))
    await server.start(60)
    key, told = (
        made["key"],
        {name: Told() for name in (*LINES, "ws", "ws responses", "ws fastagency", "ws tutorials")},
    )
    apart = Told()
    headers = {"x-api-key": key}
    async with (
        httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60, limits=httpx.Limits()) as client,
        httpx.AsyncClient(base_url=server.url, headers={"x-api-key": other["key"]}, timeout=60) as spared,
        asyncio.TaskGroup() as tasks,
    ):
        open_: list[Coroutine[Any, Any, None]] = [
            *(held(client, line, told[name]) for name, line in LINES.items()),
            socket(server.url, "/api/v1/ws", key, {"op": "ping"}, told["ws"]),
            socket(
                server.url, "/v1/responses", key,
                {"type": "response.create", "model": "hold", "input": "x"}, told["ws responses"],
            ),
            socket(
                server.url, "/fastagency/ws", key,
                {"name": "hold", "workflow_uuid": str(uuid.uuid4()), "user_id": None, "params": {"message": "x"}},
                told["ws fastagency"],
            ),
            socket(server.url, "/ws/c1?agent=hold", key, {"message": "x"}, told["ws tutorials"]),
        ]  # fmt: skip
        for one in open_:
            tasks.create_task(one)
        kept = tasks.create_task(held(spared, LINES["native stream"], apart))
        streams = [name for name, line in LINES.items() if line.streams]
        await until(lambda: all(told[name].text for name in streams) and bool(apart.text), told)
        await asyncio.sleep(0.5)
        assert not any(one.ended_s for one in told.values()), told
        runs = (await client.get("/api/v1/runs", params={"status": "running"})).json()["items"]
        assert len(runs) >= len(LINES)

        await asyncio.to_thread(owner, server.data, "keys", "revoke", made["id"])
        began = time.monotonic()
        await until(lambda: all(one.ended_s for one in told.values()), told)
        took = {name: one.ended_s - began for name, one in told.items()}
        assert max(took.values()) < BOUND_S, took

        assert (await client.get("/api/v1/runs")).status_code == 401
        again = await client.post(LINES["native stream"].path, json=LINES["native stream"].body)
        assert again.status_code == 401
        # Only the doors closed: the runs go on, and another key's stream is as it was.
        after = (await spared.get("/api/v1/runs", params={"status": "running"})).json()["items"]
        assert {run["id"] for run in runs} <= {run["id"] for run in after}
        assert not apart.ended_s
        kept.cancel()

    for name, line in LINES.items():
        assert "does not hold any more" in told[name].text, (name, told[name])
        assert ("credential_revoked" in told[name].text) == (name not in WITHOUT_CODES), (name, told[name])
        assert told[name].status == (200 if line.streams else 401), (name, told[name])
    for name in ("ws", "ws responses", "ws fastagency", "ws tutorials"):
        assert told[name].status == 4401, (name, told[name])
        assert told[name].text.endswith("revoked"), (name, told[name])


@pytest.mark.timeout(120)
@pytest.mark.contract("TRU-1", "TRU-4", "TRU-5")
async def test_what_expires_or_is_kept_out_is_closed_as_well(server: ServedProcess) -> None:
    """A key at its end, a user who is disabled, one whom a gateway acts for; and readers who only follow."""

    def key(*words: str) -> dict[str, Any]:
        return json.loads(owner(server.data, "keys", "create", "--json", "--user", *words))

    scopes = "agents:read,runs:read,runs:write,threads:read,threads:write,delegate"
    gateway, bob = key("gateway", "--scopes", scopes), key("bob")
    for name in ("ann", "bob"):
        owner(server.data, "users", "add", name)
    await server.start(60)
    short = await asyncio.to_thread(key, "carol", "--expires", soon(8))
    lines = {
        "acted for": ({"x-api-key": gateway["key"], "x-user-id": "ann"}, Told()),
        "also acted for": ({"x-api-key": gateway["key"], "x-user-id": "dora"}, Told()),
        "gateway": ({"x-api-key": gateway["key"]}, Told()),
        "disabled": ({"authorization": f"Bearer {bob['key']}"}, Told()),
        "expired": ({"x-api-key": short["key"]}, Told()),
    }
    told = {name: told for name, (_, told) in lines.items()}
    follower = Told()
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60) as client,
        asyncio.TaskGroup() as tasks,
    ):
        body = LINES["native stream"].body
        open_ = [
            tasks.create_task(held(client, Line("/api/v1/runs", body, True, headers), one))
            for headers, one in lines.values()
        ]
        await until(lambda: all(one.text for one in told.values()), told)
        mine = (await client.get("/api/v1/runs", headers=lines["disabled"][0])).json()["items"]
        assert len(mine) == 1

        async def follow() -> None:
            path = f"/api/v1/runs/{mine[0]['id']}/events"
            async with client.stream("GET", path, headers=lines["disabled"][0]) as answer:
                async for piece in answer.aiter_text():
                    follower.text += piece
            follower.ended_s = time.monotonic()

        tasks.create_task(follow())
        await until(lambda: bool(follower.text), told)
        began = time.monotonic()
        await asyncio.to_thread(owner, server.data, "users", "disable", "ann")
        await asyncio.to_thread(owner, server.data, "users", "disable", "bob")
        closed = ("acted for", "disabled", "expired")
        await until(lambda: all(told[name].ended_s for name in closed) and bool(follower.ended_s), told)
        assert (
            max(told["acted for"].ended_s, told["disabled"].ended_s, follower.ended_s) - began < 2 * BOUND_S
        )
        for name in closed:
            assert "credential_revoked" in told[name].text, (name, told[name])
        assert "credential_revoked" in follower.text
        await asyncio.sleep(2.5)
        assert not told["gateway"].ended_s
        assert not told["also acted for"].ended_s
        refused = await client.get("/api/v1/runs", headers=lines["acted for"][0])
        assert (refused.status_code, refused.json()["code"]) == (403, "user_disabled")
        for name in ("disabled", "expired"):
            assert (await client.get("/api/v1/runs", headers=lines[name][0])).status_code == 401
        for task in open_:
            task.cancel()


def soon(seconds: float) -> str:
    """Return the time in so many seconds, as an option takes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def until(holds: Callable[[], bool], told: dict[str, Told]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, told
        await asyncio.sleep(0.02)
