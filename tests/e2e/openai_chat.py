"""What end-to-end tests of Chat Completions share: a server of the fixture's agents, and raw requests to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from landline.testing.faces.openai_chat import Transcript, check_chat, check_completion
from landline.testing.kill import ServedProcess

AGENTS = (
    "fixture_plain",
    "fixture_pydantic_ai",
    "fixture_openai_agents",
    "fixture_langgraph",
    "fixture_ag2",
)
CHAT = "/v1/chat/completions"

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def fixture_server(folder: Path, agent: str = "agents") -> ServedProcess:
    """Return a server of the fixture's agents, or of one of them, not started."""
    environ = {"LANDLINE_FACES": "native,openai"}
    options = ("--grace", "0")
    target = f"landline.testing.fixture:{agent}"
    return ServedProcess(target, data=folder / "data", environ=environ, options=options)


class Raw:
    """Chat Completions by hand, every answer strictly checked."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.headers = httpx.Headers()

    async def ask(
        self, model: str, messages: list[Any] | str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> Transcript:
        """Return what one request is answered, whichever way it is read."""
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        body = {"model": model, "messages": messages, **more}
        answer = await self.client.post(CHAT, json=body, headers=headers)
        self.headers = answer.headers
        if answer.status_code != 200:
            return Transcript(error={**answer.json()["error"], "status": answer.status_code})
        if not more.get("stream"):
            return check_completion(answer.json())
        usage = bool(more.get("stream_options", {}).get("include_usage"))
        return check_chat(answer.content, content_type=answer.headers["content-type"], include_usage=usage)

    async def log(self, run_id: str) -> list[dict[str, Any]]:
        """Return the events of a run, as the native wire tells them."""
        path = f"/api/v1/runs/{run_id}/events"
        answer = await self.client.get(path, headers={"Accept": "application/json"}, params={"limit": 200})
        return answer.json()["items"]

    async def run(self, run_id: str) -> dict[str, Any]:
        """Return a run."""
        return (await self.client.get(f"/api/v1/runs/{run_id}")).json()


def call_message(told: Transcript) -> dict[str, Any]:
    """Return an answer with calls as a client sends it back."""
    made = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in told.calls
    ]
    return {"role": "assistant", "content": told.content or None, "tool_calls": made}


def result_messages(told: Transcript, *results: str) -> list[dict[str, Any]]:
    """Return the results of an answer's calls."""
    return [
        {"role": "tool", "tool_call_id": call.id, "content": content}
        for call, content in zip(told.calls, results, strict=True)
    ]


async def raw(url: str) -> AsyncIterator[Raw]:
    """Open a raw client of a server."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        yield Raw(client)
