"""Errors as the AI SDK shows them: the body of a refusal is the text of the client's error, nothing else of it is shown.

The stable code is in the header `x-landline-error`, for programs.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from landline.web.problems import Problem, request_id, told

__all__ = ["CODE_HEADER", "tell", "tell_in_stream", "text_of"]

CODE_HEADER: Final = "x-landline-error"
_MOST_FAULTS: Final = 5


def text_of(problem: Problem) -> str:
    """Return what a person is shown of `problem`."""
    faults = [
        ": ".join(
            filter(None, (".".join(str(place) for place in fault.loc if place != "body"), fault.message))
        )
        for fault in problem.errors[:_MOST_FAULTS]
    ]
    return "\n".join([problem.detail, *faults])


def tell(error: Exception, request: Request) -> Response:
    """Return the response that tells any error."""
    problem, headers = told(error, request_id(request.scope))
    headers = {**headers, CODE_HEADER: problem.code, "cache-control": "no-store"}
    return Response(text_of(problem), problem.status, headers, "text/plain")


def tell_in_stream(error: Exception, scope: Scope) -> dict[str, Any]:
    """Return the chunk that tells an error after the stream began."""
    return {"type": "error", "errorText": text_of(told(error, request_id(scope))[0])}
