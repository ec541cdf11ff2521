"""Errors in AG-UI's own words: the body is a RUN_ERROR event, before a stream as JSON, in a stream as its last frame."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from landline.web.problems import Problem, request_id, told

__all__ = ["CLOSING", "run_error", "tell", "tell_in_stream"]

CLOSING = (
    b'retry: 1000\ndata: {"type":"RUN_ERROR","message":"The server is stopping; the run goes on. '
    b'Follow it again.","code":"stream_closing"}\n\n'
)
"""Said on drain. A client of this protocol takes a stream without an end for a run that is done, so it is told."""


def run_error(problem: Problem) -> dict[str, Any]:
    """Return the event that tells `problem`; what the protocol has no field for is under `metadata.landline`."""
    more: dict[str, Any] = {"requestId": problem.request_id}
    if problem.errors:
        more["errors"] = problem.errors
    if problem.active_run_id is not None:
        more["activeRunId"] = problem.active_run_id
    message = problem.detail
    if problem.errors:
        first = problem.errors[0]
        place = ".".join(str(part) for part in first.loc if part != "body")
        message = f"{place}: {first.message}" if place else first.message
    return {"type": "RUN_ERROR", "message": message, "code": problem.code, "metadata": {"landline": more}}


def tell(error: Exception, request: Request) -> Response:
    """Return the response that tells any error of a request that started no run."""
    problem, headers = told(error, request_id(request.scope))
    return Response(
        msgspec.json.encode(run_error(problem)),
        problem.status,
        {**headers, "cache-control": "no-store"},
        "application/json",
    )


def tell_in_stream(error: Exception, scope: Scope) -> bytes:
    """Return the last frame of a stream that failed; it has no id, so that the reader may come back to where it was."""
    problem, _ = told(error, request_id(scope))
    return b"data: %s\n\n" % msgspec.json.encode(run_error(problem))
