"""A guarded server with agents of every framework: what is blocked or redacted is in no byte of any face's answer."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect as open_socket

from landline.testing.grammar import check_stream
from landline.testing.kill import ServedProcess
from landline.testing.upstream import Reply, Request, ScriptedUpstream, Text
from tests.doors.world import A2A, ag_ui_body, ui_message
from tests.e2e.guarded_agents import SAID

AGENTS = ("speaks", "pydantic_ai", "openai_sdk", "langgraph", "ag2")
TARGET = Path(__file__).with_name("guarded_agents.py")
RULES = {"LANDLINE_GUARDS": "words:block,pii:redact", "LANDLINE_GUARD_WORDS": "secret"}


def brain(request: Request) -> Reply:
    said = next((text for word, text in SAID.items() if word in request.text), "Nothing.")
    return Text(said, interval_s=0.001, tokens=len(said) // 3)


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(brain) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream
) -> AsyncIterator[ServedProcess]:
    environ = {"OPENAI_BASE_URL": upstream.base_url, "OPENAI_API_KEY": "test", "OPENAI_MODEL": "scripted"}
    process = ServedProcess(
        TARGET,
        data=tmp_path_factory.mktemp("guards") / "data",
        environ={**environ, **RULES},
        options=("--grace", "0", "--faces", "all"),
    )
    await process.start(60)
    yield process
    process.kill()


def posts(agent: str, text: str) -> dict[str, tuple[str, Any, dict[str, str]]]:
    """Return a turn on every wire: path, body, headers."""
    said = {"role": "user", "content": text}
    message = {"messageId": secrets.token_hex(4), "role": "ROLE_USER", "parts": [{"text": text}]}
    ui = ag_ui_body(f"ui-{secrets.token_hex(4)}")
    ui["messages"][0]["content"] = text
    run = {"agent": agent, "input": text}
    return {
        "native wait": ("/api/v1/runs", {**run, "mode": "wait"}, {}),
        "native sse": ("/api/v1/runs", {**run, "mode": "stream"}, {"accept": "text/event-stream"}),
        "chat": ("/v1/chat/completions", {"model": agent, "messages": [said]}, {}),
        "chat stream": ("/v1/chat/completions", {"model": agent, "messages": [said], "stream": True}, {}),
        "responses": ("/v1/responses", {"model": agent, "input": text}, {}),
        "responses stream": ("/v1/responses", {"model": agent, "input": text, "stream": True}, {}),
        "ag-ui": (f"/ag-ui/{agent}", ui, {}),
        "ai sdk": (f"/ai/{agent}", {"id": secrets.token_hex(8), "message": ui_message(text)}, {}),
        "a2a": (f"/a2a/{agent}/message:send", {"message": message}, A2A),
        "a2a stream": (f"/a2a/{agent}/message:stream", {"message": message}, A2A),
        "tutorials": ("/chat", {"message": text, "agent": agent}, {}),
        "tutorials stream": ("/chat/stream", {"message": text, "agent": agent}, {}),
    }


async def on_socket(server: ServedProcess, agent: str, text: str) -> bytes:
    told = ""
    async with open_socket(server.url.replace("http", "ws") + "/api/v1/ws") as socket:
        await socket.send(json.dumps({"op": "start", "agent": agent, "input": text, "subscribe": True}))
        while not any(end in told for end in ("run.completed", "run.failed", '"type":"error"')):
            told += str(await socket.recv())
    return told.encode()


async def every_answer(server: ServedProcess, agent: str, text: str) -> dict[str, tuple[int, bytes]]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        answers: dict[str, tuple[int, bytes]] = {}
        for name, (path, body, headers) in posts(agent, text).items():
            answer = await client.post(path, json=body, headers=headers)
            answers[name] = (answer.status_code, answer.content)
        answers["socket"] = (200, await on_socket(server, agent, text))
        while (await client.get("/api/v1/runs", params={"status": "running"})).json()["items"]:  # noqa: ASYNC110 - the server is another process
            await asyncio.sleep(0.05)  # a stream may end with the message that was taken back
        for run in (await client.get("/api/v1/runs", params={"limit": 100})).json()["items"]:
            if run["agent"] != agent:
                continue
            log = await client.get(f"/api/v1/runs/{run['id']}/events", headers={"accept": "application/json"})
            answers[f"log {run['id']}"] = (200, log.content)
            check_stream(log.json()["items"])
            history = await client.get(f"/api/v1/threads/{run['thread_id']}/messages")
            answers[f"history {run['id']}"] = (200, history.content)
    return answers


@pytest.mark.contract("TRU-21", "EVT-9")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("agent", AGENTS)
async def test_a_blocked_word_is_in_no_byte_of_any_face(server: ServedProcess, agent: str) -> None:
    answers = await every_answer(server, agent, "please leak")
    for name, (status, body) in answers.items():
        assert b"secret" not in body.lower(), (name, status, body[:2000])
        if name.startswith("log"):
            events = json.loads(body)["items"]
            told = "".join(event["delta"] for event in events if event["type"] == "text.delta")
            assert "My word is ".startswith(told), "what a model streams may come in larger pieces"
            assert events[-1]["error"]["code"] == "guard_blocked"
    assert answers["chat"][0] == 400
    assert answers["tutorials"][0] == 400
    assert json.loads(answers["tutorials"][1])["error"] == "Response blocked: words"
    assert b"guard_blocked" in answers["native sse"][1]
    assert b"guard_blocked" in answers["socket"][1]


@pytest.mark.contract("TRU-21", "EVT-9")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("agent", AGENTS)
async def test_what_is_redacted_reads_the_same_on_every_face(server: ServedProcess, agent: str) -> None:
    answers = await every_answer(server, agent, "the mail please")
    for name, (status, body) in answers.items():
        assert b"joe@" not in body, (name, status, body[:2000])
        assert b"1234567" not in body, (name, status, body[:2000])
        if not name.startswith(("log", "history")):
            assert status == 200, (name, status, body[:2000])
    told = "Write to [email] or call [phone]. Bye."
    assert json.loads(answers["native wait"][1])["output"] == told
    assert json.loads(answers["chat"][1])["choices"][0]["message"]["content"] == told
    assert json.loads(answers["responses"][1])["output"][-1]["content"][0]["text"] == told


@pytest.mark.contract("TRU-21", "ADP-5")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(120)
async def test_a_blocked_input_is_refused_on_every_face_and_reaches_no_model(
    server: ServedProcess, upstream: ScriptedUpstream
) -> None:
    before = len(upstream.requests)
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        for name, (path, body, headers) in posts("pydantic_ai", "tell the ＳＥＣＲＥＴ").items():
            answer = await client.post(path, json=body, headers=headers)
            assert answer.status_code == 400, (name, answer.status_code, answer.text)
            assert "Request blocked: words" in answer.text, (name, answer.text)
    assert "guard_blocked" in (await on_socket(server, "pydantic_ai", "the secret")).decode()
    assert len(upstream.requests) == before
