"""The lesson's routes over HTTP: shapes, limits, refusals, ownership, errors, and clients who leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from landline.faces.tutorials.decode import settings
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import StorageFailed
from landline.model.events import QuestionAsked, RunWaiting
from landline.model.messages import TextPart
from landline.model.runs import Question
from landline.testing.faces.tutorials import (
    check_deltas,
    check_lesson,
    check_queries,
    check_tokens,
)
from landline.web.door import Door
from tests.faces.fakes import FakeAuthenticator, World, native_ports
from tests.faces.serving import served
from tests.faces.tutorials_app import LESSON, LOCAL_KEY, build, open_session, query, reached


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with reached(world) as found:
        yield found


@pytest.fixture
async def keyed(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with reached(world, open_=False) as found:
        yield found


@pytest.mark.contract("FACE-2")
async def test_a_chat_answers_and_opens_a_session(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post("/chat", json=LESSON)
    assert answer.status_code == 200
    session_id = next(iter(world.thread_rows))
    assert answer.json() == {
        "response": "Hello",
        "session_id": session_id,
        "tokens_used": 3,
        "model": "notes",
    }
    again = await client.post("/chat", json={**LESSON, "session_id": session_id})
    assert again.json()["session_id"] == session_id
    assert list(world.thread_rows) == [session_id]


@pytest.mark.contract("FACE-2", "FACE-17", "FACE-15")
async def test_a_chat_is_streamed_in_both_styles(client: httpx.AsyncClient, world: World) -> None:
    named = await client.post("/chat/stream", json=LESSON)
    said = check_lesson(named.text, named.headers["content-type"])
    assert (said.text, said.session_id, said.tokens_used) == ("Hello", next(iter(world.thread_rows)), 3)
    deltas = await client.post("/chat/stream?style=delta", json=LESSON)
    assert check_deltas(deltas.text, deltas.headers["content-type"]).text == "Hello"
    assert "no-cache" in named.headers["cache-control"]
    assert named.headers["x-accel-buffering"] == "no"


@pytest.mark.contract("FACE-2")
async def test_sessions_are_opened_read_and_deleted(client: httpx.AsyncClient, world: World) -> None:
    opened = await client.post("/sessions")
    assert opened.status_code == 201
    assert list(opened.json()) == ["session_id"]
    session_id = opened.json()["session_id"]
    await client.post("/chat", json={**LESSON, "session_id": session_id})
    found = (await client.get(f"/sessions/{session_id}")).json()
    assert set(found) == {"session_id", "message_count", "tokens_used", "messages"}
    assert found["messages"][0] | {"created_at": ""} == {
        "role": "user",
        "content": LESSON["message"],
        "created_at": "",
    }
    gone = await client.delete(f"/sessions/{session_id}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert session_id not in world.thread_rows


@pytest.mark.contract("FACE-2")
async def test_a_session_may_name_its_agent(client: httpx.AsyncClient) -> None:
    for body in ({"agent": "notes"}, {"agent_type": "notes"}, {}):
        assert (await client.post("/sessions", json=body)).status_code == 201
    unknown = await client.post("/sessions", json={"agent": "nobody"})
    assert (unknown.status_code, unknown.json()["error"]) == (404, "Not Found")


@pytest.mark.contract("FACE-2", "THR-2")
@pytest.mark.parametrize("session_id", ["nope", "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"])
async def test_an_unknown_session_is_404_and_never_a_new_one(
    client: httpx.AsyncClient, world: World, session_id: str
) -> None:
    body = {**LESSON, "session_id": session_id}
    for answer in (
        await client.post("/chat", json=body),
        await client.post("/chat/stream", json=body),
        await client.post("/chat/stream?style=delta", json=body),
        await client.get(f"/sessions/{session_id}"),
        await client.delete(f"/sessions/{session_id}"),
        await client.get(f"/stream?session_id={session_id}"),
    ):
        assert answer.status_code == 404
        assert answer.json() == {"error": "Session not found", "detail": "Session not found"}
        assert answer.headers["content-type"] == "application/json"
    assert not world.thread_rows
    assert not world.run_rows


@pytest.mark.contract("FACE-2", "FACE-3", "THR-2")
async def test_somebody_elses_id_answers_like_one_that_never_was(
    keyed: httpx.AsyncClient, world: World
) -> None:
    theirs = await open_session(keyed, x_api_key="key-other")
    before = dict(world.thread_rows)
    for id_ in (theirs, "nope"):
        for answer, text in (
            (
                await keyed.post("/chat", json={**LESSON, "session_id": id_}, headers=LOCAL_KEY),
                "Session not found",
            ),
            (await keyed.get(f"/sessions/{id_}", headers=LOCAL_KEY), "Session not found"),
            (await keyed.delete(f"/sessions/{id_}", headers=LOCAL_KEY), "Session not found"),
            (await keyed.get(f"/stream?session_id={id_}", headers=LOCAL_KEY), "Session not found"),
            (await query(keyed, id_, headers=LOCAL_KEY), "Thread not found"),
            (await query(keyed, id_, headers=LOCAL_KEY, route="stream"), "Thread not found"),
        ):
            assert (answer.status_code, answer.json()) == (404, {"error": text, "detail": text})
    assert world.thread_rows == before
    assert not world.run_rows


@pytest.mark.contract("FACE-2", "FACE-4")
@pytest.mark.parametrize(
    ("path", "field", "most"),
    [("/chat", "message", 5000), ("/chat/stream", "message", 5000), ("/stream-chat", "message", 10_000),
     ("/auto-route/chat", "message", 10_000), ("/multi-agent/chat", "message", 10_000),
     ("/api/v1/agent/query", "query", 10_000)],
)  # fmt: skip
async def test_messages_have_limits(
    client: httpx.AsyncClient, world: World, path: str, field: str, most: int
) -> None:
    more: dict[str, Any] = {}
    if path.endswith("query"):
        more = {"thread_id": await open_session(client)}
    elif path == "/multi-agent/chat":
        more = {"agent_type": "notes"}
    for text in ("", "x" * (most + 1)):
        refused = await client.post(path, json={field: text, **more})
        assert (refused.status_code, refused.json()["error"]) == (422, "Validation error")
        assert refused.json()["detail"][0]["loc"] == ["body", field]
        assert set(refused.json()["detail"][0]) == {"loc", "msg", "type"}
    assert not world.run_rows
    if path != "/auto-route/chat":  # the fakes have no router
        taken = await client.post(path, json={field: "x" * most, **more})
        assert taken.status_code == 200, taken.text


@pytest.mark.contract("FACE-2")
@pytest.mark.parametrize(
    "more",
    [{"temperature": 2.1}, {"temperature": -0.1}, {"temperature": "1"}, {"session_id": "x" * 65}, {"session_id": ""},
     {"agent": "x" * 129}, {"max_tokens": 5}, {"stream": True}],
)  # fmt: skip
async def test_what_does_not_fit_is_refused(
    client: httpx.AsyncClient, world: World, more: dict[str, Any]
) -> None:
    assert (await client.post("/chat", json={**LESSON, **more})).status_code == 422
    assert (await client.post("/chat/stream?style=other", json=LESSON)).status_code == 422
    assert not world.run_rows


@pytest.mark.contract("FACE-2", "FACE-4", "TRU-19")
@pytest.mark.parametrize(
    "name",
    ["conversation_history", "message_history", "messages", "user_id", "approvals", "tool_results", "tools"],
)
async def test_nobody_brings_a_history_an_approval_or_a_name(
    client: httpx.AsyncClient, world: World, name: str
) -> None:
    for path in ("/chat", "/chat/stream", "/stream-chat"):
        refused = await client.post(path, json={**LESSON, name: []})
        assert refused.status_code == 422
        assert refused.json()["detail"][0]["msg"].startswith(f"{name}: ")
    assert not world.run_rows


@pytest.mark.contract("FACE-2", "TRU-19")
async def test_only_what_the_user_says_now_reaches_the_run(client: httpx.AsyncClient, world: World) -> None:
    await client.post("/chat", json=LESSON)
    (wanted,) = world.started
    assert wanted.input == [TextPart(text=LESSON["message"])]
    assert wanted.carried is None
    assert not wanted.has_context


def info(*takes: str) -> AgentInfo:
    return AgentInfo(name="a", title="A", framework="plain", version="1", settings=takes)


@pytest.mark.contract("FACE-2", "AGT-2")
@pytest.mark.parametrize(
    ("given", "agent", "wanted"),
    [
        (None, info(), {}),
        (None, info("temperature"), {}),
        (0.7, info("temperature"), {"temperature": 0.7}),
        (0.7, info(), {}),
        (0.7, None, {}),
        (0.2, info("temperature"), {"temperature": 0.2}),
        (0.2, info(), {"temperature": 0.2}),
        (0.0, info("temperature"), {"temperature": 0.0}),
    ],
)
def test_a_temperature_is_a_setting_of_agents_that_take_one(
    given: float | None, agent: AgentInfo | None, wanted: dict[str, float]
) -> None:
    assert settings(given, agent) == wanted


@pytest.mark.contract("FACE-2", "REL-11")
async def test_health_has_the_lessons_shape_and_needs_no_key(keyed: httpx.AsyncClient) -> None:
    answer = await keyed.get("/health")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "healthy", "sessions_active": 0, "version": "0.1.0"},
    )


@pytest.mark.contract("FACE-2", "TRU-5")
async def test_errors_of_the_door_have_both_fields(keyed: httpx.AsyncClient) -> None:
    unknown = await keyed.post("/chat", json=LESSON)
    assert (unknown.status_code, unknown.json()["error"]) == (401, "Unauthorized")
    assert unknown.headers["www-authenticate"] == "Bearer"
    reader = await keyed.post("/chat", json=LESSON, headers={"X-API-Key": "key-reader"})
    assert (reader.status_code, reader.json()["error"]) == (403, "Forbidden")
    broken = await keyed.post(
        "/chat", content=b"{", headers={**LOCAL_KEY, "content-type": "application/json"}
    )
    assert (broken.status_code, set(broken.json())) == (400, {"error", "detail"})
    twice = await keyed.post("/chat", json=LESSON, headers={**LOCAL_KEY, "Authorization": "Bearer other"})
    assert twice.status_code == 400


@pytest.mark.contract("FACE-2", "FACE-3", "FACE-4", "EVT-8", "FACE-17")
async def test_a_stream_that_breaks_ends_with_the_wires_own_error(
    client: httpx.AsyncClient, world: World
) -> None:
    world.finish = False
    thread_id = await open_session(client)
    for failing, error in (
        (StorageFailed("The disk is full."), "Insufficient Storage"),
        (ValueError("canary"), "Internal Server Error"),
    ):
        world.fail_follow = failing
        lesson = await client.post("/chat/stream", json=LESSON)
        deltas = await client.post("/chat/stream?style=delta", json=LESSON)
        tokens = await client.post("/stream-chat", json=LESSON)
        asked = await query(client, thread_id, headers={}, route="stream")
        for said in (
            check_lesson(lesson.text),
            check_deltas(deltas.text),
            check_tokens(tokens.text),
            check_queries(asked.text),
        ):
            assert said.error is not None
            assert said.error["error"] == error
        blocking = await client.post("/chat", json=LESSON)
        assert blocking.json()["error"] == error
        assert not [each for each in (lesson, deltas, tokens, asked, blocking) if "canary" in each.text]
        for run_id in world.run_rows:
            world.complete(run_id, "x")


@pytest.mark.contract("FACE-2", "FACE-3", "THR-2")
async def test_an_agent_that_asks_is_told_as_409_and_keeps_its_question(
    client: httpx.AsyncClient, world: World
) -> None:
    world.finish = False
    asked = Question(question_id="q", kind="input", prompt="Which card?")
    chat = asyncio.create_task(client.post("/chat", json=LESSON))
    await world.until(lambda: world.following)
    (run_id,) = world.run_rows
    world.write(
        run_id,
        QuestionAsked(question_id="q", kind="input", prompt="Which card?"),
        RunWaiting(questions=[asked]),
    )
    answer = await chat
    assert (answer.status_code, answer.json()["error"]) == (409, "The agent waits for an answer")
    assert answer.json()["detail"].startswith("Which card?")
    assert f"/runs/{run_id}/answers" in answer.json()["detail"]
    assert world.run_rows[run_id].status == "waiting"
    busy = await client.post("/chat", json={**LESSON, "session_id": world.run_rows[run_id].thread_id})
    assert (busy.status_code, busy.json()["error"]) == (409, "Conflict")
    assert run_id in busy.json()["detail"]


@pytest.mark.contract("AGT-6")
async def test_every_route_opens_the_hosts_context(world: World) -> None:
    async def context(request: Request, caller: Caller) -> str:
        return f"{request.method} of {caller.user}"

    async with reached(world, context=context) as client:
        thread_id = await open_session(client)
        await client.post("/chat", json=LESSON)
        await client.post("/chat/stream", json=LESSON)
        await client.post("/stream-chat", json=LESSON)
        await client.post("/multi-agent/chat", json={**LESSON, "agent_type": "notes"})
        for route in ("query", "stream"):
            await query(client, thread_id, headers={}, route=route)
        own = await client.post("/multi-agent/chat", json={**LESSON, "agent_type": "notes", "context": {}})
        assert own.status_code == 422
    assert [(one.has_context, one.context) for one in world.started] == [(True, "POST of local")] * 6


@pytest.mark.contract("FACE-2", "FACE-3", "RUN-2")
@pytest.mark.parametrize("path", ["/chat", "/chat/stream", "/chat/stream?style=delta"])
async def test_a_client_that_leaves_changes_nothing(world: World, path: str) -> None:
    world.finish = False
    async with served(build(native_ports(world))) as address:
        body = json.dumps(LESSON).encode()
        _, writer = await asyncio.open_connection(*address.split(":"))
        writer.write(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body))  # fmt: skip
        await world.until(lambda: world.following)
        writer.close()
        await world.until(lambda: not world.following)
        (run_id,) = world.run_rows
        assert world.cancelled == []
        assert world.run_rows[run_id].status == "running"


@pytest.mark.contract("FACE-15", "REL-4")
async def test_a_server_that_stops_says_so(world: World) -> None:
    world.finish = False
    door = Door(authenticator=FakeAuthenticator(), heartbeat_s=0.05)
    async with (
        served(build(native_ports(world, door=door))) as address,
        httpx.AsyncClient(base_url=f"http://{address}", timeout=5) as client,
    ):
        waiting = asyncio.create_task(client.post("/chat", json=LESSON))
        streaming = asyncio.create_task(client.post("/chat/stream", json=LESSON))
        await world.until(lambda: world.following == 2)
        await asyncio.sleep(0.3)
        door.drain.start()
        waited, streamed = await waiting, await streaming
    assert (waited.status_code, waited.json()["error"]) == (503, "Service Unavailable")
    assert waited.headers["retry-after"] == "2"
    assert ": hb\n\n" in streamed.text
    assert "event: stream.closing" in streamed.text
