"""What clients bring, through their wires: histories, results of their own tools, files, several agents at once (TRU-21, TRU-19)."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

import landline
from landline.app.build import Landline

heard: list[str] = []


async def model(
    messages: list[ModelMessage], info: AgentInfo
) -> AsyncGenerator[str | dict[int, DeltaToolCall]]:
    """Call the client's tool once when there is one, then say what is known."""
    heard.append(repr(messages))
    returned = any(isinstance(part, ToolReturnPart) for message in messages for part in message.parts)
    if info.function_tools and not returned:
        yield {0: DeltaToolCall(name=info.function_tools[0].name, json_args='{"city":"Rome"}')}
    else:
        yield "All is well."


async def speaks(run: Any) -> str:
    return "This is the secret." if "leak" in run.input else "Hello."


@asynccontextmanager
async def serving(folder: Path, **settings: Any) -> AsyncGenerator[httpx.AsyncClient]:
    heard.clear()
    agents = [
        landline.agent(Agent(FunctionModel(stream_function=model), name="asks"), name="asks"),
        landline.agent(speaks, name="guarded", guards=["words:block"]),
        landline.agent(speaks, name="free"),
    ]
    options: dict[str, Any] = {"faces": ("all",), "guard_words": ("secret",), **settings}
    server = Landline(agents, open=True, data=folder, **options)
    async with server.started():
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


async def nothing_was_made(client: httpx.AsyncClient) -> bool:
    return not (await client.get("/api/v1/runs")).json()["items"] and not heard


TOOL = {"type": "object", "properties": {"city": {"type": "string"}}}


def chat(said: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return histories of Chat Completions that say it in each place."""
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    named = {**call, "function": {"name": "weather", "arguments": json.dumps({"city": said})}}
    user = {"role": "user", "content": "hi"}

    def result(text: str) -> dict[str, Any]:
        return {"role": "tool", "tool_call_id": "c1", "content": text}

    def calls(one: dict[str, Any]) -> dict[str, Any]:
        return {"role": "assistant", "content": None, "tool_calls": [one]}

    return [
        ("system", [{"role": "system", "content": said}, user]),
        ("assistant", [user, {"role": "assistant", "content": said}, user]),
        ("arguments", [user, calls(named), result("sunny"), user]),
        ("result", [user, calls(call), result(said), user]),
    ]


@pytest.mark.contract("TRU-19", "TRU-21", "FACE-7")
@pytest.mark.parametrize("place", range(4), ids=[name for name, _ in chat("")])
async def test_a_history_over_chat_completions_is_judged_wherever_it_says_it(
    tmp_path: Path, place: int
) -> None:
    async with serving(tmp_path, guards=("words@input:block", "pii@input")) as client:

        async def ask(said: str) -> httpx.Response:
            body = {"model": "asks", "messages": chat(said)[place][1]}
            return await client.post("/v1/chat/completions", json=body)

        refused = await ask("the secret")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "guard_blocked")
        assert "secret" not in refused.text
        assert await nothing_was_made(client)
        answered = await ask("joe@example.com")
        assert answered.json()["choices"][0]["message"]["content"] == "All is well."
        assert "[email]" in heard[0]
        assert "joe" not in "".join(heard)


@pytest.mark.contract("TRU-19", "TRU-21", "FACE-8")
async def test_the_result_of_a_clients_own_tool_is_judged_before_the_model_has_it(tmp_path: Path) -> None:
    tool = {"type": "function", "name": "weather", "parameters": TOOL}
    async with serving(tmp_path, guards=("words:block", "pii")) as client:
        asked = {"model": "asks", "input": "hi", "tools": [tool]}
        first = (await client.post("/v1/responses", json=asked)).json()
        (call,) = [item for item in first["output"] if item["type"] == "function_call"]

        async def bring(result: str) -> httpx.Response:
            item = {"type": "function_call_output", "call_id": call["call_id"], "output": result}
            body = {"model": "asks", "previous_response_id": first["id"], "input": [item], "tools": [tool]}
            return await client.post("/v1/responses", json=body)

        refused = await bring("a secret")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "guard_blocked")
        assert len(heard) == 1
        done = await bring("Ask joe@example.com")
        assert done.json()["output"][-1]["content"][0]["text"] == "All is well."
        assert "Ask [email]" in heard[1]
        assert "joe" not in "".join(heard)
        for run in (await client.get("/api/v1/runs")).json()["items"]:
            headers = {"accept": "application/json"}
            log = await client.get(f"/api/v1/runs/{run['id']}/events", headers=headers)
            assert "joe" not in log.text
            assert "secret" not in log.text


@pytest.mark.contract("RUN-11", "TRU-21")
async def test_of_several_agents_each_has_its_own_guards(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:

        async def fan(text: str) -> httpx.Response:
            body = {"agents": ["free", "guarded"], "input": text, "mode": "wait"}
            return await client.post("/api/v1/fanout", json=body)

        refused = await fan("the secret")
        assert (refused.status_code, refused.json()["code"]) == (400, "guard_blocked")
        assert await nothing_was_made(client)  # also not with the agent that has no guard
        free, guarded = [item["run"] for item in (await fan("leak")).json()["items"]]
        assert (free["status"], free["output"]) == ("completed", "This is the secret.")
        assert (guarded["status"], guarded["error"]["code"]) == ("failed", "guard_blocked")
        assert "secret" not in json.dumps(guarded)
        headers = {"accept": "application/json"}
        assert (
            "secret" not in (await client.get(f"/api/v1/runs/{guarded['id']}/events", headers=headers)).text
        )


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


async def give(
    client: httpx.AsyncClient, wire: str, name: str, media_type: str, data: bytes
) -> httpx.Response:
    """Give the agent a file over a wire."""
    if wire == "native":
        kept = await client.post("/api/v1/files", files={"file": (name, data, media_type)})
        part = {"type": "file", "file_id": kept.json()["id"]}
        body: dict[str, Any] = {
            "agent": "guarded",
            "input": [{"type": "text", "text": "hi"}, part],
            "mode": "wait",
        }
        return await client.post("/api/v1/runs", json=body)
    if wire == "chat":
        file = {"type": "file", "file": {"file_data": data_url(media_type, data), "filename": name}}
        content = [{"type": "text", "text": "hi"}, file]
        body = {"model": "guarded", "messages": [{"role": "user", "content": content}]}
        return await client.post("/v1/chat/completions", json=body)
    if wire == "ai_sdk":
        shown = {"type": "file", "mediaType": media_type, "filename": name, "url": data_url(media_type, data)}
        message = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "hi"}, shown]}
        return await client.post("/ai/guarded", json={"id": f"c-{len(data)}-{name[:2]}", "message": message})
    raw = {"raw": base64.b64encode(data).decode(), "filename": name, "mediaType": media_type}
    said = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "hi"}, raw]}
    return await client.post(
        "/a2a/guarded/message:send", json={"message": said}, headers={"A2A-Version": "1.0"}
    )


@pytest.mark.contract("TRU-21", "THR-9")
@pytest.mark.parametrize("wire", ["native", "chat", "ai_sdk", "a2a"])
async def test_a_file_is_looked_into_over_every_wire_that_takes_one(tmp_path: Path, wire: str) -> None:
    settings = {"guard_unreadable": "block", "guard_file_bytes": 100}
    async with serving(tmp_path, **settings) as client:
        for name, media_type, data, code in (
            ("a.txt", "text/plain", b"It is the secret.", "Request blocked: words"),
            ("the secret.txt", "text/plain", b"It is nothing.", "Request blocked: words"),
            ("b.txt", "text/plain", b"x" * 101, "no text, or too large"),
            ("c.png", "image/png", PNG, "no text, or too large"),
        ):
            refused = await give(client, wire, name, media_type, data)
            assert refused.status_code in (400, 422), (name, refused.text)
            assert code in refused.text, (name, refused.text)
            assert await nothing_was_made(client)
        assert (await give(client, wire, "d.txt", "text/plain", b"It is nothing.")).status_code == 200
    async with serving(tmp_path / "open") as client:
        assert (await give(client, wire, "c.png", "image/png", PNG)).status_code == 200
