"""Telegrams over HTTP, on Landline's own engine."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from landline_telegraph.encode import telegram

import landline


async def echo(run: Any) -> str:
    return f"You said: {run.input}."


async def ask(run: Any) -> str:
    return str(await run.ask("Really?"))


async def fail(run: Any) -> None:
    raise ValueError("canary")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    agents = [landline.agent(fn, name=fn.__name__) for fn in (echo, ask, fail)]
    server = landline.Landline(
        agents, open=True, faces=("telegraph",), data=tmp_path, allowed_hosts=("testserver",)
    )
    async with (
        server.started(),
        httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url="http://testserver") as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Good morning, all. Send money!", "GOOD MORNING ALL STOP\nSEND MONEY STOP\n"),
        ("...", ""),
        ("naïve\nlines", "NAÏVE STOP\nLINES STOP\n"),
    ],
)
def test_a_telegram_has_capitals_and_stops(text: str, sent: str) -> None:
    assert telegram(text) == sent


async def test_an_agent_answers_by_telegram(client: httpx.AsyncClient) -> None:
    answer = await client.post("/telegraph/echo", json={"text": "good morning"})
    assert (answer.status_code, answer.text) == (200, "YOU SAID GOOD MORNING STOP\n")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("agent", "body", "code"),
    [
        ("nobody", {"text": "hi"}, "agent_not_found"),
        ("ask", {"text": "hi"}, "telegraph_cannot_answer"),
        ("fail", {"text": "hi"}, "agent_failed"),
        ("echo", {"txt": "hi"}, "invalid_request"),
    ],
)
async def test_what_fails_is_a_problem(client: httpx.AsyncClient, agent: str, body: Any, code: str) -> None:
    answer = await client.post(f"/telegraph/{agent}", json=body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert "canary" not in answer.text
