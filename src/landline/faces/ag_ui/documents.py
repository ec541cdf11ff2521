"""The OpenAPI document of the face's answers."""

from typing import Any, Final

import msgspec
from starlette.responses import Response

__all__ = ["CANCEL", "CAPABILITIES", "FOLLOW", "RUN", "json_response"]

_EXAMPLE: Final = (
    'id: 1.0\ndata: {"type":"RUN_STARTED","threadId":"t1","runId":"r1","protocolVersion":"1.0"}\n\n'
    'id: 4.0\ndata: {"type":"TEXT_MESSAGE_START","messageId":"m1","role":"assistant"}\n\n'
)
_ERROR: Final = {"type": "RUN_ERROR", "message": "There is nothing here.", "code": "not_found"}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    said = {"application/json": {"schema": {"type": "object"}, "example": _ERROR}}
    return {
        status: {"description": "A RUN_ERROR event.", "content": said}
        for status in sorted({400, 401, 403, 422, *statuses})
    }


def _stream(description: str) -> dict[str, Any]:
    return {
        "description": f"{description} Each frame's `data` is an AG-UI event, its `id` its place in the run's log.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }


def _json(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": {"type": "object"}}}}


RUN: Final = {
    200: _stream("The run, to its end or to where it waits."),
    **_errors(404, 409, 413, 415, 503, 507),
}
FOLLOW: Final = {
    200: _stream("The run after the cursor; without a runId the thread's messages, and its last run."),
    204: {"description": "The run is over and nothing comes after the cursor."},
    **_errors(404, 410),
}
CANCEL: Final = {200: _json("How the run ended."), **_errors(404, 409, 413, 415, 507)}
CAPABILITIES: Final = {200: _json("AgentCapabilities of AG-UI 1.0."), **_errors(404)}


def json_response(value: object) -> Response:
    """Return `value` as a response."""
    return Response(msgspec.json.encode(value), media_type="application/json")
