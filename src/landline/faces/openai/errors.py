"""Errors in OpenAI's envelope: one total map from a problem to its type (rule 8 of the architecture)."""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from landline.web.problems import Problem, request_id, told

__all__ = ["envelope", "tell", "tell_in_stream"]

_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES: Final = {429: "rate_limit_exceeded"}
"""Codes that OpenAI's clients know by name, in the place of our own."""


def envelope(problem: Problem) -> dict[str, Any]:
    """Return the body that tells `problem`: `{"error": {message, type, param, code}}`."""
    server = problem.status >= 500 and problem.status != 501
    kind = "server_error" if server else _TYPES.get(problem.status, "invalid_request_error")
    message, param = problem.detail, None
    if problem.errors:
        first = problem.errors[0]
        param = ".".join(str(place) for place in first.loc if place != "body") or None
        message = f"{param}: {first.message}" if param else first.message
    return {
        "error": {
            "message": message,
            "type": kind,
            "param": param,
            "code": _CODES.get(problem.status, problem.code),
        }
    }


def tell(error: Exception, request: Request) -> Response:
    """Return the response that tells any error; what does not fit is 400 here, as OpenAI's clients expect."""
    problem, headers = told(error, request_id(request.scope))
    status = 400 if problem.status == 422 else problem.status
    return Response(
        msgspec.json.encode(envelope(problem)),
        status,
        {**headers, "cache-control": "no-store"},
        "application/json",
    )


def tell_in_stream(error: Exception, scope: Scope) -> dict[str, Any]:
    """Return the body that tells an error after the stream began."""
    return envelope(told(error, request_id(scope))[0])
