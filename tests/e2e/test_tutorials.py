"""The tutorials' wires on a real server: each curl recipe as curl sends it, agents of four frameworks, and whose is what."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect as open_socket

from landline.testing.faces.tutorials import (
    check_deltas,
    check_indexed,
    check_lesson,
    check_queries,
    check_socket,
    check_tokens,
)
from landline.testing.kill import ServedProcess
from tests.e2e import http
from tests.e2e.http import Answer

AGENTS = Path(__file__).with_name("tutorials_agents.py")
CURL = {"User-Agent": "curl/8.14.1"}
JSON = {**CURL, "Content-Type": "application/json"}
FORM = {**CURL, "Content-Type": "application/x-www-form-urlencoded"}
"""What curl says of a body that was given with -d alone."""
USER = "123e4567-e89b-12d3-a456-426614174000"
ADVICE = {
    "support_advice": "Block it now.",
    "block_card": True,
    "risk_level": 7,
    "follow_up_actions": ["call"],
}
FACES = {"LANDLINE_FACES": "native,tutorials,tutorials_more"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


def served(folder: Path) -> ServedProcess:
    return ServedProcess(AGENTS, data=folder / "data", environ=FACES, options=("--grace", "0"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedProcess]:
    """An open server, as the lesson's is."""
    process = served(tmp_path_factory.mktemp("tutorials"))
    await process.start(60)
    yield process
    process.kill()


Keyed = tuple[ServedProcess, dict[str, str], dict[str, str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Keyed]:
    """A server with keys: those of the bank's user, and of another one."""
    folder = tmp_path_factory.mktemp("bank")
    mine, theirs = (made_key(folder / "data", user) for user in (USER, "other"))
    process = served(folder)
    await process.start(60)
    yield process, {"X-API-Key": mine, "X-User-ID": USER}, {"X-API-Key": theirs}
    process.kill()


def made_key(data: Path, user: str) -> str:
    words = [sys.executable, "-m", "landline.cli", "keys", "create", "--user", user, "--data", str(data)]
    told = subprocess.run(words, capture_output=True, text=True, check=True)
    return next(word for word in told.stdout.split() if word.startswith("ll_"))


async def curl(
    process: ServedProcess, method: str, path: str, data: Any = None, headers: dict[str, str] = JSON
) -> Answer:
    """Send what `curl -X METHOD -H … -d DATA` sends."""
    body = None if data is None else json.dumps(data).encode()
    sent = dict(headers) if data is not None else {k: v for k, v in headers.items() if k != "Content-Type"}
    return await http.ask(process.port, method, path, body=body, headers=sent)


async def session(process: ServedProcess, agent: str) -> str:
    opened = await curl(process, "POST", "/sessions", {"agent": agent})
    assert opened.status == 201, opened.body
    return str(opened.json["session_id"])


@pytest.mark.contract("FACE-2")
async def test_the_lessons_recipes(server: ServedProcess) -> None:
    health = await curl(server, "GET", "/health")
    assert (health.status, set(health.json)) == (200, {"status", "sessions_active", "version"})
    opened = await curl(server, "POST", "/sessions", {"agent": "echo"})
    assert opened.status == 201
    session_id = opened.json["session_id"]
    chat = await curl(
        server, "POST", "/chat", {"message": "Hello!", "session_id": session_id, "temperature": 0.7}
    )
    assert chat.json == {
        "response": "You said: Hello!",
        "session_id": session_id,
        "tokens_used": 0,
        "model": "echo",
    }
    stream = await curl(server, "POST", "/chat/stream", {"message": "Tell\nme", "session_id": session_id})
    said = check_lesson(stream.body.decode(), stream.headers["content-type"])
    assert (said.text, said.session_id) == ("You said: Tell\nme", session_id)
    found = await curl(server, "GET", f"/sessions/{session_id}")
    assert found.json["message_count"] == 4
    assert [(one["role"], one["content"]) for one in found.json["messages"]] == [
        ("user", "Hello!"),
        ("assistant", "You said: Hello!"),
        ("user", "Tell\nme"),
        ("assistant", "You said: Tell\nme"),
    ]
    assert (await curl(server, "DELETE", f"/sessions/{session_id}")).status == 204
    for method in ("GET", "DELETE"):
        gone = await curl(server, method, f"/sessions/{session_id}")
        assert (gone.status, gone.json["error"]) == (404, "Session not found")
    again = await curl(server, "POST", "/chat", {"message": "Hi", "session_id": session_id})
    assert (again.status, again.json["error"]) == (404, "Session not found")


@pytest.mark.contract("FACE-2")
async def test_tokens_are_told_by_turn_and_summed_by_session(server: ServedProcess) -> None:
    session_id = await session(server, "chatty")
    used: list[int] = []
    for _ in range(2):
        chat = await curl(
            server, "POST", "/chat", {"message": "Hello", "session_id": session_id, "temperature": 0.2}
        )
        assert chat.status == 200, chat.body
        used.append(chat.json["tokens_used"])
        assert chat.json["model"] == "function::_chat"
    assert min(used) > 0
    found = await curl(server, "GET", f"/sessions/{session_id}?limit=2")
    assert found.json["tokens_used"] == sum(used)
    assert found.json["message_count"] == 4
    more = await curl(server, "GET", f"/sessions/{session_id}?cursor={found.json['next_cursor']}")
    contents = [one["content"] for one in found.json["messages"] + more.json["messages"]]
    assert contents == ["Hello", "I heard you 1.", "Hello", "I heard you 3."]


SPOKEN = {
    "echo": "You said: Hi",
    "chatty": "I heard you 1.",
    "sdk": "From the SDK.",
    "graph": "Graph: Hi",
    "bank_support": json.dumps(ADVICE, separators=(",", ":")),
}


@pytest.mark.contract("FACE-2", "FACE-3", "FACE-4", "FACE-17", "EVT-9")
@pytest.mark.parametrize("agent", SPOKEN)
async def test_every_framework_speaks_every_style(server: ServedProcess, agent: str) -> None:
    wanted, body = SPOKEN[agent], {"message": "Hi", "agent": agent}
    chat = await curl(server, "POST", "/chat", body)
    assert chat.json["response"] == wanted
    lesson = await curl(server, "POST", "/chat/stream", body)
    assert check_lesson(lesson.body.decode()).text == wanted
    deltas = await curl(server, "POST", "/chat/stream?style=delta", body)
    assert check_deltas(deltas.body.decode()).text == wanted
    tokens = await curl(server, "POST", "/stream-chat", body)
    assert check_tokens(tokens.body.decode()).text == wanted
    indexed = await curl(server, "GET", f"/stream?session_id={chat.json['session_id']}")
    assert check_indexed(indexed.body.decode()).text == wanted
    thread = (await curl(server, "POST", "/api/v1/threads", {"agent_type": agent})).json["id"]
    asked = await curl(server, "POST", "/api/v1/agent/query", {"query": "Hi", "thread_id": thread})
    assert asked.json["response"] == wanted
    thread = (await curl(server, "POST", "/api/v1/threads", {"agent_type": agent})).json["id"]
    streamed = await curl(server, "POST", "/api/v1/agent/stream", {"query": "Hi", "thread_id": thread})
    structured = agent == "bank_support"
    (told,) = check_queries(streamed.body.decode(), structured=structured).messages.values()
    assert (told[-1] if structured else "".join(told)) == wanted
    async with open_socket(f"ws://127.0.0.1:{server.port}/ws/{agent}?agent={agent}") as socket:
        await socket.send(json.dumps({"message": "Hi"}))
        assert await turn(socket) == wanted


async def turn(socket: Any) -> str:
    heard: list[str] = []
    async with asyncio.timeout(10):
        while not heard or json.loads(heard[-1])["type"] == "token":
            heard.append(await socket.recv())
    said = check_socket(heard)
    assert said.error is None
    return said.text


@pytest.mark.contract("FACE-3", "FACE-17")
async def test_the_banks_recipes_with_a_structured_agent(keyed: Keyed) -> None:
    server, mine, _ = keyed
    made = await curl(server, "POST", "/api/v1/threads", {"agent_type": "bank_support"}, {**JSON, **mine})
    assert (made.status, made.json["user_id"], made.json["agent"]) == (201, USER, "bank_support")
    body = {"query": "What is my account balance?", "thread_id": made.json["id"]}
    # Both samples say nothing of the body's type.
    asked = await curl(server, "POST", "/api/v1/agent/query", body, {**FORM, **mine})
    assert asked.status == 200, asked.body
    assert set(asked.json) == {"thread_id", "message_id", "response"}
    assert json.loads(asked.json["response"]) == ADVICE
    streamed = await curl(server, "POST", "/api/v1/agent/stream", body, {**FORM, **mine})
    said = check_queries(streamed.body.decode(), streamed.headers["content-type"], structured=True)
    ((message_id, tokens),) = said.messages.items()
    snapshots = [json.loads(token) for token in tokens]
    assert len(snapshots) > 3
    assert snapshots[-1] == ADVICE
    advice = [snapshot.get("support_advice", "") for snapshot in snapshots]
    assert all(after.startswith(before) for before, after in pairwise(advice))
    # The ids that were told are those of the thread (E19).
    detail = await curl(server, "GET", f"/api/v1/threads/{made.json['id']}", None, {**CURL, **mine})
    ids = [message["id"] for message in detail.json["messages"]["items"]]
    assert ids[1] == asked.json["message_id"]
    assert ids[2:] == [said.user_message_id, message_id]


@pytest.mark.contract("FACE-3", "FACE-2", "THR-2")
async def test_another_user_sees_nothing_and_may_not_borrow_a_name(keyed: Keyed) -> None:
    server, mine, theirs = keyed
    thread = (await curl(server, "POST", "/api/v1/threads", {"agent_type": "echo"}, {**JSON, **mine})).json[
        "id"
    ]
    for id_ in (thread, "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"):
        body = {"query": "Hi", "thread_id": id_}
        for route in ("query", "stream"):
            answer = await curl(server, "POST", f"/api/v1/agent/{route}", body, {**FORM, **theirs})
            assert (answer.status, answer.json) == (
                404,
                {"error": "Thread not found", "detail": "Thread not found"},
            )
        for answer in (
            await curl(server, "POST", "/chat", {"message": "Hi", "session_id": id_}, {**JSON, **theirs}),
            await curl(server, "GET", f"/sessions/{id_}", None, {**CURL, **theirs}),
            await curl(server, "DELETE", f"/sessions/{id_}", None, {**CURL, **theirs}),
            await curl(server, "GET", f"/stream?session_id={id_}", None, {**CURL, **theirs}),
        ):
            assert (answer.status, answer.json["error"]) == (404, "Session not found")
    borrowed = {**FORM, **theirs, "X-User-ID": USER}
    answer = await curl(server, "POST", "/api/v1/agent/query", {"query": "Hi", "thread_id": thread}, borrowed)
    assert answer.status == 403
    assert (await curl(server, "POST", "/chat", {"message": "Hi", "agent": "echo"})).status == 401
    found = await curl(server, "GET", f"/sessions/{thread}", None, {**CURL, **mine})
    assert (found.status, found.json["message_count"]) == (200, 0)


@pytest.mark.contract("FACE-2", "FACE-4", "EVT-8")
async def test_failures_have_their_status_and_no_exceptions_text(server: ServedProcess) -> None:
    failed = await curl(server, "POST", "/chat", {"message": "Hi", "agent": "broken"})
    assert (failed.status, failed.json["error"]) == (502, "The agent failed")
    late = await curl(server, "POST", "/chat", {"message": "Hi", "agent": "late"})
    assert (late.status, late.json["error"]) == (408, "Request timed out after 1 seconds")
    stream = await curl(server, "POST", "/chat/stream", {"message": "Hi", "agent": "broken"})
    said = check_lesson(stream.body.decode())
    assert (said.text, (said.error or {})["error"]) == ("Let me ", "The agent failed")
    stopped = await curl(server, "POST", "/stream-chat", {"message": "Hi", "agent": "late"})
    assert check_tokens(stopped.body.decode()).error == {
        "error": "Request timed out after 1 seconds",
        "type": "timed_out",
    }
    hot = await curl(server, "POST", "/chat", {"message": "Hi", "agent": "echo", "temperature": 0.2})
    assert (hot.status, "temperature" in hot.json["detail"]) == (422, True)
    unnamed = await curl(server, "POST", "/chat", {"message": "Hi"})
    assert (unnamed.status, "bank_support" in unnamed.json["detail"]) == (422, True)
    assert not [one for one in (failed, late, stream, stopped) if b"canary" in one.body]


@pytest.mark.contract("FACE-2", "FACE-4", "RUN-8")
async def test_a_question_is_answered_natively_and_the_answer_heard_here(server: ServedProcess) -> None:
    session_id = await session(server, "asking")
    body = {"message": "Block my card", "session_id": session_id}
    waits = await curl(server, "POST", "/chat", body)
    assert (waits.status, waits.json["error"]) == (409, "The agent waits for an answer")
    busy = await curl(server, "POST", "/chat", body)
    assert (busy.status, busy.json["error"]) == (409, "Conflict")
    (run,) = (await curl(server, "GET", f"/api/v1/runs?thread_id={session_id}")).json["items"]
    question = (await curl(server, "GET", f"/api/v1/runs/{run['id']}")).json["questions"][0]
    answers = {"answers": [{"question_id": question["question_id"], "value": "the red one"}]}
    assert (await curl(server, "POST", f"/api/v1/runs/{run['id']}/answers", answers)).status == 200
    heard = await curl(server, "GET", f"/stream?session_id={session_id}")
    assert check_indexed(heard.body.decode()).text == "Card the red one."


@pytest.mark.contract("FACE-2")
@pytest.mark.parametrize("agent", ["hold", "asking"])
async def test_deleting_a_session_stops_what_runs_on_it(server: ServedProcess, agent: str) -> None:
    session_id = await session(server, agent)
    started = await curl(
        server, "POST", f"/api/v1/threads/{session_id}/runs", {"input": "Hi", "mode": "background"}
    )
    assert started.status == 202
    for on_busy in ("queue", "queue"):
        await curl(
            server,
            "POST",
            f"/api/v1/threads/{session_id}/runs",
            {"input": "Hi", "mode": "background", "on_busy": on_busy},
        )
    assert (await curl(server, "DELETE", f"/sessions/{session_id}")).status == 204
    assert (await curl(server, "GET", f"/sessions/{session_id}")).status == 404
    assert (await curl(server, "GET", f"/api/v1/runs/{started.json['id']}")).status == 404


@pytest.mark.contract("FACE-4", "RUN-11")
async def test_several_agents_one_by_name_and_one_by_content(server: ServedProcess) -> None:
    asked = await curl(
        server, "POST", "/multi-agent", {"message": "Hi", "agents": ["echo", "broken", "asking", "graph"]}
    )
    assert [(one["agent"], one.get("response"), one.get("error")) for one in asked.json["results"]] == [
        ("echo", "You said: Hi", None),
        ("broken", None, "The agent failed"),
        ("asking", None, "The agent waits for an answer"),
        ("graph", "Graph: Hi", None),
    ]
    refused = await curl(server, "POST", "/multi-agent", {"message": "Hi", "agents": ["echo", "nobody"]})
    assert refused.status == 404
    named = await curl(server, "POST", "/multi-agent/chat", {"message": "Hi", "agent_type": "chatty"})
    assert (named.json["response"], named.json["agent_type"]) == ("I heard you 1.", "chatty")
    assert named.json["metadata"]["usage"]["total_tokens"] > 0
    unknown = await curl(server, "POST", "/multi-agent/chat", {"message": "Hi", "agent_type": "nobody"})
    assert unknown.status == 404
    context = {"message": "Hi", "agent_type": "echo", "context": {"a": 1}}
    assert (await curl(server, "POST", "/multi-agent/chat", context)).status == 422
    routed = await curl(server, "POST", "/auto-route/chat", {"message": "My bank card balances"})
    assert routed.json["routed_to"] == "bank_support"
    assert json.loads(routed.json["response"]) == ADVICE
    nowhere = await curl(server, "POST", "/auto-route/chat", {"message": "xyzzy"})
    assert nowhere.status == 422


@pytest.mark.contract("FACE-2", "FACE-5", "REL-1")
async def test_sessions_and_clients_outlive_the_server(tmp_path: Path) -> None:
    server = served(tmp_path)
    try:
        await server.start(60)
        session_id = await session(server, "chatty")
        body = {"message": "Hello", "session_id": session_id}
        assert (await curl(server, "POST", "/chat", body)).json["response"] == "I heard you 1."
        async with open_socket(f"ws://127.0.0.1:{server.port}/ws/7?agent=chatty") as socket:
            await socket.send(json.dumps({"message": "Hello"}))
            assert await turn(socket) == "I heard you 1."
        server.kill()
        await server.start(60)
        assert (await curl(server, "POST", "/chat", body)).json["response"] == "I heard you 3."
        async with open_socket(f"ws://127.0.0.1:{server.port}/ws/7") as socket:
            await socket.send(json.dumps({"message": "Hello"}))
            assert await turn(socket) == "I heard you 3."
    finally:
        server.kill()
