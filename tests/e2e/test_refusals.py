"""What does not fit is refused in one shape (WIRE-4, TRU-11)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.calls import Server
from tests.e2e.http import Answer, ask

NOBODY = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"


def is_problem(answer: Answer, status: int) -> None:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json")
    body = answer.json
    assert {"type", "title", "status", "code", "detail", "request_id"} <= body.keys()
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.contract("RUN-1", "WIRE-4")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/runs", {"agent": "echo", "input": "hi", "surprise": 1}),
        ("/runs", {"agent": "echo", "input": [{"type": "text", "text": "hi", "surprise": 1}]}),
        ("/runs", {"agent": "echo", "input": "hi", "settings": {"surprise": 1}}),
        ("/threads", {"agent": "echo", "surprise": 1}),
        (f"/threads/{NOBODY}/runs", {"input": "hi", "surprise": 1}),
        (f"/runs/{NOBODY}/answers", {"answers": [{"question_id": "q", "surprise": 1}]}),
    ],
)
async def test_an_unknown_field_is_refused_with_422(shared: Server, path: str, body: Any) -> None:
    answer = await shared.ask("POST", path, body=body)
    is_problem(answer, 422)
    assert "surprise" in str(answer.json["errors"])


@pytest.mark.contract("WIRE-4")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/nothing/at/all", 404),
        ("GET", "/api/v1/runs/not-an-id", 404),
        ("GET", f"/api/v1/runs/{NOBODY}", 404),
        ("GET", f"/api/v1/runs/{NOBODY}/events", 404),
        ("POST", f"/api/v1/runs/{NOBODY}/cancel", 404),
        ("GET", f"/api/v1/threads/{NOBODY}", 404),
        ("DELETE", f"/api/v1/threads/{NOBODY}", 404),
        ("PUT", "/api/v1/runs", 405),
        ("DELETE", "/api/v1/agents", 405),
        ("PATCH", "/api/v1/approvals", 405),
    ],
)
async def test_an_unknown_route_verb_or_id_is_a_problem(
    shared: Server, method: str, path: str, status: int
) -> None:
    answer = await ask(shared.port, method, path)
    is_problem(answer, status)
    if status == 405:
        assert answer.headers.get("allow")


@pytest.mark.contract("TRU-11")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b'{"agent":"echo","input":"x","metadata":{"a":NaN}}', 400, id="NaN"),
        pytest.param(b'{"agent":"echo","input":"x","metadata":{"a":1e999}}', 400, id="infinite"),
        pytest.param(b'{"agent":"echo","agent":"echo","input":"x"}', 400, id="key twice"),
        pytest.param(b'{"agent":"echo","input":"\\ud800"}', 400, id="lone surrogate"),
        pytest.param(b'{"agent":"echo","input":"\\u0000"}', 400, id="NUL"),
        pytest.param(b'{"agent":"echo","input":"\xff"}', 400, id="not UTF-8"),
        pytest.param(b'{"a":' * 70 + b"1" + b"}" * 70, 400, id="deep"),
        pytest.param(
            b'{"agent":"echo","input":"x","deadline_s":' + b"9" * 5000 + b"}", 400, id="5000 digits"
        ),
        pytest.param(b'{"agent":"echo","input":"x"', 400, id="cut"),
        pytest.param(b"", 422, id="empty"),
        pytest.param(b"[]", 422, id="a list"),
        pytest.param(b"null", 422, id="null"),
    ],
)
async def test_json_that_is_not_strict_is_refused(shared: Server, body: bytes, status: int) -> None:
    answer = await shared.ask("POST", "/runs", body=body)
    assert answer.status in (status, 400, 422), answer.body
    is_problem(answer, answer.status)


@pytest.mark.contract("TRU-11")
async def test_a_body_or_headers_over_the_limit_are_refused(shared: Server) -> None:
    big = await shared.ask("POST", "/runs", body=b'{"agent":"echo","input":"' + b"x" * 5_000_000 + b'"}')
    assert big.status == 413
    fat = await shared.ask("GET", "/runs", headers={"X-Fat": "y" * 40_000})
    assert fat.status == 431
