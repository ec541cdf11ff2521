"""The patterns' routes over HTTP: listening, what was taken back, and what is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from landline.model.events import MessageRetracted, MessageStarted, TextDelta
from landline.testing.faces.tutorials import (
    check_indexed,
)
from tests.faces.fakes import World
from tests.faces.tutorials_app import LESSON, open_session, reached


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with reached(world) as found:
        yield found


@pytest.mark.contract("FACE-4", "EVT-4")
async def test_listening_starts_nothing_and_comes_back_where_it_was(
    client: httpx.AsyncClient, world: World
) -> None:
    session_id = await open_session(client)
    nothing = await client.get(f"/stream?session_id={session_id}")
    assert (nothing.status_code, nothing.json()["error"]) == (404, "Not Found")
    await client.post("/chat", json={**LESSON, "session_id": session_id})
    heard = await client.get(f"/stream?session_id={session_id}")
    assert check_indexed(heard.text, heard.headers["content-type"]).text == "Hello"
    assert heard.headers["connection"] == "keep-alive"
    (run_id,) = world.run_rows
    rest = await client.get(f"/stream?session_id={session_id}", headers={"Last-Event-ID": f"{run_id}:0:0"})
    assert check_indexed(rest.text, after=0).text == ""
    end = await client.get(f"/stream?session_id={session_id}", headers={"Last-Event-ID": f"{run_id}:0:1"})
    assert (end.status_code, end.content) == (204, b"")
    assert len(world.run_rows) == 1
    other = await open_session(client)
    elsewhere = await client.get(f"/stream?session_id={other}", headers={"Last-Event-ID": f"{run_id}:0:0"})
    assert elsewhere.status_code == 404
    for name in ("prompt", "message", "q"):
        assert (await client.get(f"/stream?session_id={session_id}&{name}=hi")).status_code == 422
    assert (await client.get("/stream?session_id=x", headers={"Last-Event-ID": "5"})).status_code == 422
    assert len(world.run_rows) == 1


@pytest.mark.contract("FACE-2", "FACE-4", "EVT-4")
async def test_what_was_taken_back_is_in_no_answer_and_in_no_new_reading(
    client: httpx.AsyncClient, world: World
) -> None:
    world.finish = False
    session_id = await open_session(client)
    blocking = asyncio.create_task(client.post("/chat", json={**LESSON, "session_id": session_id}))
    await world.until(lambda: world.following)
    (run_id,) = world.run_rows
    first = asyncio.create_task(client.get(f"/stream?session_id={session_id}"))
    await world.until(lambda: world.following == 2)
    world.write(
        run_id, MessageStarted(message_id="m1", role="assistant"), TextDelta(message_id="m1", delta="Hel")
    )
    world.write(run_id, MessageRetracted(message_id="m1", reason="rejected"))
    heard = check_indexed((await first).text)
    assert (heard.text, (heard.error or {})["error"]) == ("Hel", "The answer was taken back")
    world.complete(run_id, "Hello")
    assert (await blocking).json()["response"] == "Hello"
    # A browser comes back with the id of the error, and reads from the first.
    again = await client.get(f"/stream?session_id={session_id}", headers={"Last-Event-ID": f"{run_id}:0:1"})
    assert check_indexed(again.text).text == "Hello"
    end = await client.get(f"/stream?session_id={session_id}", headers={"Last-Event-ID": f"{run_id}:1:1"})
    assert end.status_code == 204


PLANNED = [
    ("POST", "/chat/cached"), ("POST", "/chat/reliable"), ("POST", "/chat/resilient"), ]  # fmt: skip

MORE = [
    ("POST", "/multi-agent"),
    ("POST", "/multi-agent/chat"),
    ("POST", "/auto-route/chat"),
    ("POST", "/stream-chat"),
    ("GET", "/stream"),
    ("POST", "/token"),
    ("POST", "/chat/protected"),
    ("POST", "/chat/premium"),
    ("POST", "/chat/api-key"),
    ("POST", "/chat/user"),
    ("POST", "/admin/agents"),
]


@pytest.mark.contract("FACE-4", "FACE-14")
async def test_what_is_planned_is_not_there_and_the_rest_only_when_switched_on(world: World) -> None:
    async with reached(world) as client:
        for method, path in PLANNED:
            assert (await client.request(method, path, json={})).status_code == 404, path
    async with reached(world, with_more=False) as client:
        for method, path in MORE:
            assert (await client.request(method, path, json={})).status_code == 404, path
