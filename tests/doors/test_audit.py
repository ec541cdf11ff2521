"""Whatever the door, what is done through it is noted: with the caller, the request's id and the address (TRU-18)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from landline.app.settings import load_settings
from landline.app.upkeep import KeyOrder
from landline.model.callers import ALL_SCOPES
from tests.doors.table import DOORS
from tests.doors.world import World, world_of
from tests.keys import add_key

pytestmark = pytest.mark.contract("TRU-18")

REQUEST_ID_CHARS = 36


@pytest.fixture
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    made = await world_of(tmp_path_factory.mktemp("audit"))
    yield made
    made.process.kill()


async def acts(world: World, key: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=world.url, headers={"X-API-Key": key}) as admin:
        answer = await admin.get("/api/v1/admin/audit?limit=200")
        assert answer.status_code == 200, answer.text
    return [
        entry
        for entry in answer.json()["items"][::-1]
        if not entry["action"].startswith(("sign_in", "admin", "key", "access"))
    ]


async def test_every_face_is_noted(world: World) -> None:
    settings = load_settings(data=world.process.data)
    key, _ = await add_key(settings, KeyOrder(user="root", tenant="acme", scopes=[*ALL_SCOPES, "admin"]))
    ids = world.ids
    before = len(await acts(world, key))

    async def asked() -> dict[str, Any]:
        run = await alice.post(
            "/api/v1/runs", json={"agent": "asks", "input": "secret-of-alice", "mode": "wait"}
        )
        return dict(run.json())

    async def through(door: str, place: int = 0, **more: str) -> httpx.Response:
        path, body = DOORS[door][place].with_ids({**ids, **more})
        return await alice.request(
            door.split(" ", maxsplit=1)[0], path, json=body, headers=dict(DOORS[door][place].headers)
        )

    async with world.client("alice") as alice:
        runs = [await asked() for _ in range(4)]
        await through("POST /api/v1/runs/{run_id}/cancel", waiting=runs[0]["id"])
        await through("POST /mcp", 3, waiting=runs[1]["id"])
        await through("POST /v1/responses", 2)
        await through("POST /a2a/{agent}", 1)
        await through("POST /ag-ui/{agent}/cancel")
        await through("POST /ai/{agent}/{chat_id:path}/stop")
        await through("DELETE /v1/conversations/{conversation_id}")
        await through("DELETE /sessions/{session_id}")
        url = world.url.replace("http", "ws") + "/api/v1/ws"
        async with connect(url, additional_headers={"X-API-Key": world.keys["alice"]}) as socket:
            answer = {
                "question_id": runs[2]["questions"][0]["question_id"],
                "approve": False,
                "reason": "secret-of-alice",
            }
            await socket.send(
                json.dumps({"op": "answer", "ref": 1, "run_id": runs[2]["id"], "answers": [answer]})
            )
            await asyncio.wait_for(socket.recv(), 10)
            await socket.send(json.dumps({"op": "cancel", "ref": 2, "run_id": runs[3]["id"]}))
            await asyncio.wait_for(socket.recv(), 10)
            await asyncio.sleep(0.3)
        found = (await acts(world, key))[before:]
    told = [(entry["action"], entry["outcome"]) for entry in found]
    assert told == [
        ("run.cancel", "ok"),  # native
        ("run.cancel", "ok"),  # MCP
        ("question.answer", "ok"),  # OpenAI Responses
        ("run.cancel", "ok"),  # A2A
        ("run.cancel", "ok"),  # AG-UI
        ("run.cancel", "ok"),  # AI SDK
        ("thread.delete", "ok"),  # OpenAI conversations
        ("thread.delete", "ok"),  # the tutorials
        ("question.answer", "ok"),  # native socket
        ("run.cancel", "ok"),
    ], told
    targets = [entry["target"] for entry in found]
    assert targets[:2] == [runs[0]["id"], runs[1]["id"]]
    assert targets[8:] == [answer["question_id"], runs[3]["id"]]
    assert found[8]["details"]["decided"] == "denied"
    for entry in found:
        assert (entry["tenant"], entry["user"], entry["remote"]) == ("acme", "alice", "127.0.0.1")
        assert entry["key_id"]
        assert len(entry["request_id"]) == REQUEST_ID_CHARS
    assert len({entry["request_id"] for entry in found}) == len(found) - 1  # a socket is one request
    assert "secret-of-alice" not in json.dumps(found)


async def test_what_a_socket_refuses_and_what_an_admin_starts_is_noted(world: World) -> None:
    settings = load_settings(data=world.process.data)
    key, _ = await add_key(settings, KeyOrder(user="root", tenant="acme", scopes=[*ALL_SCOPES, "admin"]))
    body = {"agent": "talk", "input": "secret-of-alice", "mode": "wait"}
    async with httpx.AsyncClient(base_url=world.url, headers={"X-API-Key": key}) as admin:
        started = (await admin.post("/api/v1/runs", json=body)).json()
        async with world.client("alice") as alice:
            assert (await alice.post("/api/v1/runs", json=body)).status_code == 200
        url = world.url.replace("http", "ws") + "/api/v1/ws"
        async with connect(url, additional_headers={"X-API-Key": world.keys["reader"]}) as socket:
            await socket.send(json.dumps({"op": "cancel", "ref": 1, "run_id": world.ids["waiting"]}))
            assert json.loads(await asyncio.wait_for(socket.recv(), 10))["code"] == "missing_scope"
        items = (await admin.get("/api/v1/admin/audit?limit=200")).json()["items"]
    starts = [entry for entry in items if entry["action"] == "run.start"]
    assert [(entry["user"], entry["target"]) for entry in starts] == [("root", started["id"])]
    refused = [entry for entry in items if entry["action"] == "access.denied"]
    assert [(entry["user"], entry["outcome"]) for entry in refused] == [("alice", "missing_scope")]
    assert "secret-of-alice" not in json.dumps(items)
