"""The tutorials' faces beside the native one: switched on by name, one health, and all in one document."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

import landline
from landline.adapters.plain import PlainRun
from landline.app.build import Landline


async def echo(run: PlainRun) -> str:
    return run.input


LESSON = {"/chat", "/chat/stream", "/sessions", "/sessions/{session_id}", "/health", "/api/v1/agent/query", "/api/v1/agent/stream"}  # fmt: skip
MORE = {"/multi-agent", "/multi-agent/chat", "/auto-route/chat", "/stream-chat", "/stream"}


@pytest.mark.contract("FACE-2", "FACE-3", "FACE-4", "FACE-14")
@pytest.mark.parametrize(
    ("faces", "wanted", "absent"),
    [
        (("native", "tutorials"), LESSON, MORE),
        (("tutorials",), LESSON, MORE | {"/api/v1/threads"}),
        (("tutorials_more", "native"), MORE, LESSON - {"/health"}),
        (("native", "tutorials", "tutorials_more"), LESSON | MORE, set[str]()),
        (("native",), {"/health"}, MORE | (LESSON - {"/health"})),
    ],
)
async def test_the_document_has_the_routes_of_the_faces_that_are_on(
    tmp_path: Path, faces: tuple[str, ...], wanted: set[str], absent: set[str]
) -> None:
    server = Landline([landline.agent(echo, name="echo")], open=True, data=tmp_path, faces=faces)
    transport = httpx.ASGITransport(app=server.app)
    async with (
        server.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        document = (await client.get("/openapi.json")).json()
        paths = set(document["paths"])
        assert wanted <= paths
        assert not absent & paths
        for path in wanted - {"/health"}:
            for operation in document["paths"][path].values():
                assert "ErrorBody" in str(operation["responses"]["422"])
        assert set((await client.get("/health")).json()) == {"status", "sessions_active", "version"}


@pytest.mark.contract("FACE-2", "AGT-1")
async def test_the_only_agent_needs_no_name(tmp_path: Path) -> None:
    server = Landline([landline.agent(echo, name="echo")], open=True, data=tmp_path, faces=("tutorials",))
    transport = httpx.ASGITransport(app=server.app)
    async with (
        server.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        for body in ({"message": "Hi"}, {"message": "Hi", "temperature": 0.7}):
            answer = await client.post("/chat", json=body)
            assert (answer.status_code, answer.json()["response"]) == (200, "Hi")
