"""Errors in A2A's words: its own codes where it has one, on JSON-RPC and on HTTP+JSON (AIP-193)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from landline.model.errors import Conflict, Invalid, NotFound, Unsupported
from landline.web.problems import Problem, request_id, told

__all__ = [
    "ID",
    "agent_not_found",
    "bad_content",
    "no_such_method",
    "not_cancelable",
    "not_supported",
    "push_not_supported",
    "rest_frame",
    "rpc_frame",
    "task_not_found",
    "tell_rest",
    "tell_rpc",
    "unusable_request",
    "version_not_supported",
]

ID: Final = "a2a_id"
"""Where the id of a JSON-RPC call is kept in the request's state, for whoever tells its error."""

_TYPE: Final = "type.googleapis.com/google.rpc."
_DOMAIN: Final = "a2a-protocol.org"
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class _Fault:
    """One error of the protocol: its JSON-RPC code, and on HTTP its status, the status' name, and the reason."""

    rpc: int
    http: int
    status: str
    reason: str = ""


_OF_CODE: Final[dict[str, _Fault]] = {
    "task_not_found": _Fault(-32001, 404, "NOT_FOUND", "TASK_NOT_FOUND"),
    "task_not_cancelable": _Fault(-32002, 409, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE"),
    "push_not_supported": _Fault(-32003, 400, "UNIMPLEMENTED", "PUSH_NOTIFICATION_NOT_SUPPORTED"),
    "unsupported_operation": _Fault(-32004, 400, "UNIMPLEMENTED", "UNSUPPORTED_OPERATION"),
    "unsupported_media_type": _Fault(-32005, 415, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"),
    "file_type_refused": _Fault(-32005, 415, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"),
    "version_not_supported": _Fault(-32009, 400, "UNIMPLEMENTED", "VERSION_NOT_SUPPORTED"),
    "invalid_json": _Fault(-32700, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
    "invalid_rpc": _Fault(-32600, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
    "unknown_method": _Fault(-32601, 404, "NOT_FOUND", "METHOD_NOT_FOUND"),
}
_OF_STATUS: Final[dict[int, _Fault]] = {
    400: _Fault(-32600, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
    401: _Fault(-32000, 401, "UNAUTHENTICATED"),
    403: _Fault(-32000, 403, "PERMISSION_DENIED"),
    404: _Fault(-32600, 404, "NOT_FOUND"),
    409: _Fault(-32004, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
    413: _Fault(-32000, 413, "OUT_OF_RANGE"),
    422: _Fault(-32602, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
    429: _Fault(-32000, 429, "RESOURCE_EXHAUSTED", "RATE_LIMITED"),
    500: _Fault(-32603, 500, "INTERNAL", "INTERNAL_ERROR"),
    502: _Fault(-32603, 502, "INTERNAL"),
    503: _Fault(-32000, 503, "UNAVAILABLE"),
    507: _Fault(-32000, 507, "RESOURCE_EXHAUSTED"),
}
_ON_HTTP: Final = frozenset({401, 403, 413, 421, 429, 431, 500, 502, 503, 507})
"""What is told as an HTTP status on JSON-RPC too, because what stands between must understand it."""


def task_not_found(task_id: str) -> NotFound:
    """Return the error for a task that is not among the caller's own, whether or not it exists."""
    return NotFound(f"There is no task {task_id[:64]!r}.", code="task_not_found")


def agent_not_found(detail: str) -> NotFound:
    """Return the error for an address behind which the caller has no agent."""
    return NotFound(detail, code="agent_not_found")


def not_cancelable() -> Conflict:
    """Return the error for a cancel that comes too late."""
    return Conflict("The task has ended and cannot be canceled.", code="task_not_cancelable")


def not_supported(detail: str) -> Unsupported:
    """Return the error for what the protocol allows and this task or server cannot do."""
    return Unsupported(detail, code="unsupported_operation")


def push_not_supported() -> Unsupported:
    """Return the error for push notifications, which the card says are not there."""
    return Unsupported("Push notifications are not supported.", code="push_not_supported")


def bad_content(detail: str) -> Invalid:
    """Return the error for a media type the agent does not take."""
    return Invalid(detail, code="unsupported_media_type")


def version_not_supported(version: str) -> Invalid:
    """Return the error for a request in another version of the protocol."""
    said = f"{version[:32]!r}" if version else "none, which means 0.3,"
    return Invalid(
        f"This interface speaks A2A 1.0; the request says {said} in the header A2A-Version.",
        code="version_not_supported",
    )


def unusable_request(detail: str) -> Invalid:
    """Return the error for what is no JSON-RPC 2.0 call."""
    return Invalid(detail, code="invalid_rpc")


def no_such_method(method: str) -> Invalid:
    """Return the error for a method that A2A 1.0 does not have."""
    return Invalid(f"A2A 1.0 has no method {method[:64]!r}.", code="unknown_method")


def tell_rpc(error: Exception, request: Request) -> Response:
    """Return the JSON-RPC response that tells `error`."""
    problem, fault, headers = _seen(error, request.scope)
    status = fault.http if fault.http in _ON_HTTP or problem.code == "agent_not_found" else 200
    return _response(_encode(_rpc(problem, fault, request.scope)), status, headers)


def tell_rest(error: Exception, request: Request) -> Response:
    """Return the HTTP response that tells `error`."""
    problem, fault, headers = _seen(error, request.scope)
    return _response(_encode(_rest(problem, fault)), fault.http, headers)


def rpc_frame(error: Exception, scope: Scope) -> bytes:
    """Return the last frame of a JSON-RPC stream that failed."""
    problem, fault, _ = _seen(error, scope)
    return b"data: %s\n\n" % _encode(_rpc(problem, fault, scope))


def rest_frame(error: Exception, scope: Scope) -> bytes:
    """Return the last frame of an HTTP+JSON stream that failed; the name of its event says so."""
    problem, fault, _ = _seen(error, scope)
    return b"event: error\ndata: %s\n\n" % _encode(_rest(problem, fault))


def _seen(error: Exception, scope: Scope) -> tuple[Problem, _Fault, dict[str, str]]:
    problem, headers = told(error, request_id(scope))
    fault = _OF_CODE.get(problem.code) or _OF_STATUS.get(problem.status)
    if fault is None:
        name, code = ("INTERNAL", -32603) if problem.status >= 500 else ("INVALID_ARGUMENT", -32600)
        fault = _Fault(code, problem.status, name)
    return problem, fault, headers


def _rpc(problem: Problem, fault: _Fault, scope: Scope) -> dict[str, Any]:
    error = {"code": fault.rpc, "message": problem.detail, "data": _details(problem, fault)}
    return {"jsonrpc": "2.0", "id": scope.get("state", {}).get(ID), "error": error}


def _rest(problem: Problem, fault: _Fault) -> dict[str, Any]:
    error = {"code": fault.http, "status": fault.status, "message": problem.detail}
    return {"error": {**error, "details": _details(problem, fault)}}


def _details(problem: Problem, fault: _Fault) -> list[dict[str, Any]]:
    info: dict[str, Any] = {
        "@type": f"{_TYPE}ErrorInfo",
        "reason": fault.reason or problem.code.upper(),
        "domain": _DOMAIN if fault.reason else "landline",
        "metadata": {"code": problem.code, "requestId": problem.request_id},
    }
    if not problem.errors:
        return [info]
    places = [
        {"field": ".".join(map(str, entry.loc)), "description": entry.message} for entry in problem.errors
    ]
    return [info, {"@type": f"{_TYPE}BadRequest", "fieldViolations": places}]


def _response(body: bytes, status: int, headers: Mapping[str, str]) -> Response:
    return Response(body, status, {**headers, "cache-control": "no-store"}, "application/json")
