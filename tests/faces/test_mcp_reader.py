"""The strict reader of the MCP face's answers believes nothing (FACE-17)."""

import json
from typing import Any

import pytest

from landline.testing.faces.mcp import check_answer


def frames_of(*parts: dict[str, Any]) -> bytes:
    whole = [json.dumps({"jsonrpc": "2.0", **part}).encode() for part in parts]
    return b"".join(b"event: message\ndata: %s\n\n" % data for data in whole)


def progress(token: str, done: int) -> dict[str, Any]:
    return {"method": "notifications/progress", "params": {"progressToken": token, "progress": done}}


OK: dict[str, Any] = {"id": 1, "result": {"resultType": "complete"}}
FAILED_AND_DONE: dict[str, Any] = {
    "id": 1,
    "result": {
        "resultType": "complete",
        "isError": True,
        "content": [],
        "_meta": {"landline/run_id": "r", "landline/thread_id": "t"},
        "structuredContent": {"run_id": "r", "thread_id": "t", "status": "completed"},
    },
}


@pytest.mark.contract("FACE-17")
@pytest.mark.parametrize(
    "broken",
    [
        b"",
        frames_of(OK)[:-2],
        frames_of({**OK, "id": 2}),
        frames_of({"id": 1, "result": {}}),
        frames_of(progress("p", 1)),
        frames_of(OK, OK),
        frames_of({"id": 5, "method": "elicitation/create"}, OK),
        frames_of(progress("p", 2), progress("p", 2), OK),
        frames_of(progress("q", 2), OK),
        frames_of({"id": 1, "result": {}, "error": {"code": 1, "message": "x"}}),
        frames_of(FAILED_AND_DONE),
        frames_of(OK).replace(b"event: message", b"event: other"),
    ],
)
def test_the_strict_reader_believes_nothing(broken: bytes) -> None:
    with pytest.raises(AssertionError):
        check_answer("text/event-stream", broken, message_id=1, progress_token="p")


def test_the_strict_reader_takes_what_is_right() -> None:
    read = check_answer(
        "text/event-stream",
        frames_of(progress("p", 1), progress("p", 3), OK),
        message_id=1,
        progress_token="p",
    )
    assert (len(read.notifications), read.result) == (2, OK["result"])
