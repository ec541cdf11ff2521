"""Steering over HTTP and the WebSocket's run: every way to read the answer, and the op `steer` (RUN-6, WIRE-5)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline

THERE, GO = "there", "go"


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[tuple[httpx.AsyncClient, dict[str, asyncio.Event]]]:
    gates = {THERE: asyncio.Event(), GO: asyncio.Event()}

    async def listens(run: Any) -> str:
        gates[THERE].set()
        await gates[GO].wait()
        return f"{run.input} + {await run.inputs()}"

    async def deaf(run: Any) -> str:
        gates[THERE].set()
        await gates[GO].wait()
        return str(run.input)

    agents = [landline.agent(listens, name="listens"), landline.agent(deaf, name="deaf")]
    server = Landline(agents, open=True, data=folder)
    async with server.started():
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client, gates


async def begun(client: httpx.AsyncClient, gates: dict[str, asyncio.Event], agent: str) -> dict[str, Any]:
    body = {"agent": agent, "input": "one", "mode": "background"}
    run = (await client.post("/api/v1/runs", json=body)).json()
    await asyncio.wait_for(gates[THERE].wait(), 5)
    return run


@pytest.mark.contract("RUN-6", "RUN-1", "RUN-7")
async def test_every_mode_follows_the_active_run(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, gates):
        run = await begun(client, gates, "listens")
        path = f"/api/v1/threads/{run['thread_id']}/runs"
        body = {"input": "two", "on_busy": "steer", "mode": "background"}
        first = await client.post(path, json=body, headers={"Idempotency-Key": "k"})
        assert (first.status_code, first.headers["location"]) == (202, f"/api/v1/runs/{run['id']}")
        repeat = await client.post(path, json=body, headers={"Idempotency-Key": "k"})
        assert (repeat.json()["id"], repeat.headers["idempotency-replayed"]) == (run["id"], "true")
        waits = asyncio.create_task(client.post(path, json={"input": "three", "on_busy": "steer"}))
        streams = asyncio.create_task(client.post(path, json={**body, "input": "four", "mode": "stream"}))
        page = {"accept": "application/json"}
        async with asyncio.timeout(5):
            while True:
                events = (await client.get(f"/api/v1/runs/{run['id']}/events", headers=page)).json()["items"]
                given = [e["input"][0]["text"] for e in events if e["type"] == "input.received"]
                if len(given) == 3:
                    break
                await asyncio.sleep(0.005)  # the page comes from memory: nothing else here waits
        gates[GO].set()
        answer = (await waits).json()
        assert (answer["id"], answer["status"]) == (run["id"], "completed")
        assert answer["output"] == f"one + {given}"
        assert sorted(given) == ["four", "three", "two"]
        stream = (await streams).text
        assert stream.startswith("id: 1\n")
        assert "event: input.received" in stream
        assert "event: run.completed" in stream
        messages = (await client.get(f"/api/v1/threads/{run['thread_id']}/messages")).json()["items"]
        assert [m["content"] for m in messages] == ["one", *given, answer["output"]]


@pytest.mark.contract("RUN-6")
async def test_an_agent_that_never_looks_is_422(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, gates):
        run = await begun(client, gates, "deaf")
        path = f"/api/v1/threads/{run['thread_id']}/runs"
        for agent in (None, "deaf"):
            refused = await client.post(path, json={"agent": agent, "input": "two", "on_busy": "steer"})
            assert (refused.status_code, refused.json()["code"]) == (422, "steer_unsupported")
        # Also when the request names one that could: it would not be the one that is running.
        other = await client.post(path, json={"agent": "listens", "input": "two", "on_busy": "steer"})
        assert (other.status_code, other.json()["code"]) == (422, "steer_other_agent")
        gates[GO].set()
