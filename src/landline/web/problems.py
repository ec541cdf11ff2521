"""Errors as `application/problem+json` (RFC 9457, WIRE-4): one total map from kind to status.

Nothing of an exception leaves but what a domain error was given for the caller; the rest goes to the log, under the
request's id.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from landline.model.errors import Busy, FieldError, Invalid, Kind, LandlineError, RateLimited, TooLarge
from landline.model.ids import new_id
from landline.web.faults import faults_of
from landline.web.limit_headers import limit_headers

__all__ = [
    "MEDIA_TYPE",
    "Problem",
    "install",
    "problem_body",
    "problem_of",
    "request_id",
    "respond",
    "root_of",
    "status_of",
    "told",
    "too_large",
]

MEDIA_TYPE: Final = "application/problem+json"

_STATUS: Final[dict[Kind, int]] = {
    "invalid": 422,
    "unsupported": 422,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "gone": 410,
    "too_large": 413,
    "limited": 429,
    "unavailable": 503,
    "storage": 507,
    "agent": 502,
}
_STATUS_OF_CODE: Final[dict[str, int]] = {
    "invalid_json": 400,
    "malformed_body": 400,
    "two_credentials": 400,
    "credential_in_url": 400,
    "forwarded_in_open_mode": 403,
    "guard_blocked": 400,
    "headers_too_large": 431,
    "url_too_long": 414,
    "stored_data_unreadable": 500,
    "unknown_host": 421,
    "unsupported_media_type": 415,
}
_TITLES: Final[dict[int, str]] = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
_CODES: Final[dict[int, str]] = {
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}
_RETRY_AFTER_S: Final = 5
_MOST_ERRORS: Final = 50

_logger = logging.getLogger("landline.web")


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every error."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: Sequence[FieldError] = ()
    active_run_id: str | None = None


def status_of(error: LandlineError) -> int:
    """Return the HTTP status of a domain error; its code decides where one kind has several."""
    return _STATUS_OF_CODE.get(error.code) or _STATUS[error.kind]


def problem_of(error: LandlineError, request_id: str) -> Problem:
    """Return the problem that tells `error`."""
    status = status_of(error)
    return Problem(
        type=f"urn:landline:problem:{error.code}",
        title=_TITLES.get(status) or HTTPStatus(status).phrase,
        status=status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
        errors=error.errors,
        active_run_id=error.active_run_id if isinstance(error, Busy) else None,
    )


def told(error: Exception, request_id: str) -> tuple[Problem, dict[str, str]]:
    """Return any exception as problem and headers, for faces to say in their own language.

    One that is no domain error is logged and told as `internal`.
    """
    error = root_of(error)
    if isinstance(error, StarletteHTTPException):
        return _http_error(error, request_id)
    if isinstance(error, RequestValidationError):
        error = _validation_error(error)
    if not isinstance(error, LandlineError):
        _logger.error("request %s failed", request_id, exc_info=error)
        problem = Problem(
            type="urn:landline:problem:internal",
            title="Internal Server Error",
            status=500,
            code="internal",
            detail="The server met an error it did not expect; it is in the log under this request id.",
            request_id=request_id,
        )
        return problem, {}
    problem = problem_of(error, request_id)
    headers: dict[str, str] = {}
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, RateLimited):
        headers |= limit_headers(error.states)
    if error.retry_after_s is not None or problem.status == 503:
        headers["retry-after"] = str(error.retry_after_s or _RETRY_AFTER_S)
    return problem, headers


def problem_body(error: Exception, request_id: str) -> tuple[bytes, int, dict[str, str]]:
    """Return any exception as body, status and headers."""
    problem, headers = told(error, request_id)
    return msgspec.json.encode(problem), problem.status, headers


def respond(error: Exception, connection: HTTPConnection) -> Response:
    """Return the response that tells `error`."""
    body, status, headers = problem_body(error, request_id(connection.scope))
    return Response(body, status, {**headers, "cache-control": "no-store"}, MEDIA_TYPE)


def request_id(scope: Any) -> str:
    """Return the id of this request, making it when the guard of the edge has not; a client never chooses it."""
    state: dict[str, Any] = scope.setdefault("state", {})
    found = state.get("request_id")
    if not isinstance(found, str):
        found = state["request_id"] = new_id()
    return found


def root_of(error: Exception) -> Exception:
    """Return the domain error that a framework wrapped on its way out, or `error`."""
    here: BaseException | None = error
    while here is not None:
        if isinstance(here, LandlineError):
            return here
        here = here.__cause__
    return error


def install(app: FastAPI) -> None:
    """Make the errors of a standalone app's own router (no such path, no such method) problems too."""

    async def told(request: Request, error: Exception) -> Response:
        if isinstance(error, StarletteHTTPException) and error.status_code == 405:
            error = StarletteHTTPException(405, headers={"Allow": _methods_of(app, request)})
        return respond(error, request)

    for kind in (StarletteHTTPException, HTTPException, RequestValidationError, LandlineError, Exception):
        app.add_exception_handler(kind, told)


def _methods_of(app: FastAPI, request: Request) -> str:
    """Return every method of a path: the router knows only those of the first route that has it (RFC 9110, 15.5.6)."""
    found: set[str] = set()
    for context in iter_route_contexts(app.routes):
        pattern = getattr(context, "path_regex", None)
        if pattern is not None and pattern.match(request.scope["path"]):
            found |= context.methods or set()
    return ", ".join(sorted(found))


def _http_error(error: StarletteHTTPException, request_id: str) -> tuple[Problem, dict[str, str]]:
    status = error.status_code
    phrase = _TITLES.get(status) or HTTPStatus(status).phrase
    code = _CODES.get(status, phrase.lower().replace(" ", "_"))
    if status == 400:
        code = "malformed_body"
    problem = Problem(
        type=f"urn:landline:problem:{code}",
        title=phrase,
        status=status,
        code=code,
        detail="There is nothing here." if status == 404 else f"{phrase}.",
        request_id=request_id,
    )
    headers: Mapping[str, str] = error.headers or {}
    return problem, {name.lower(): value for name, value in headers.items()}


def _validation_error(error: RequestValidationError) -> LandlineError:
    """Say where and what."""
    found: list[FieldError] = []
    for fault in error.errors()[:_MOST_ERRORS]:
        # Of headers, path and query the framework hands over no values, and there are no unions in them.
        given = error.body if fault["loc"][:1] == ("body",) else dict.fromkeys(fault["loc"])
        found += faults_of([fault], given, under=1)
    return Invalid("The request does not fit; see errors.", code="invalid_request", errors=found)


def too_large(max_bytes: int) -> TooLarge:
    """Return the error for a body over `max_bytes`."""
    return TooLarge(f"The body is larger than {max_bytes} bytes.")
