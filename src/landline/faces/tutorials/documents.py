"""What the OpenAPI document says of these routes' answers."""

from typing import Any, Final

from landline.faces.tutorials.wire import ErrorBody

__all__ = ["answer", "problems", "stream"]

_WHEN: Final = {
    400: "A guard blocked the request, or the body is not acceptable JSON.",
    401: "No credential, or one that does not hold.",
    403: "The caller may not do this.",
    404: "No such thing among the caller's own: `Session not found`, `Thread not found`.",
    408: "The run took longer than it may: `Request timed out after N seconds`.",
    409: "Another run is active, the run waits for an answer, or it was cancelled.",
    413: "Over a size limit.",
    415: "The body is not JSON.",
    421: "The Host header names another server.",
    422: "The request does not fit, or the agent cannot do it.",
    429: "Too many sign-ins failed.",
    502: "The agent failed.",
    503: "Not now: the server is stopping, or what the agent calls is not available.",
    504: "What the agent calls did not answer in time.",
    507: "The store cannot write.",
}
_ALWAYS: Final = (400, 401, 403, 413, 421, 422, 503, 507)


def answer(example: Any, description: str) -> dict[str, Any]:
    """Return the document of a JSON answer."""
    return {"description": description, "content": {"application/json": {"example": example}}}


def stream(example: str) -> dict[str, Any]:
    """Return the document of an event stream."""
    return {"description": "The frames.", "content": {"text/event-stream": {"example": example}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the document of these errors, and of those that every route has."""
    return {
        status: {"model": ErrorBody, "description": _WHEN[status]} for status in sorted({*statuses, *_ALWAYS})
    }
