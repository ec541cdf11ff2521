"""Errors in the tutorials' words: `{error, detail}` for every status, and how a run's end becomes a status."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from landline.model.errors import ErrorInfo, NotFound
from landline.web.problems import Problem, request_id, told

__all__ = [
    "WAITING",
    "Failure",
    "Gone",
    "RunEnded",
    "failure_of",
    "not_found",
    "of_error",
    "of_run",
    "tell",
    "waiting",
]

_TITLE_IS_DETAIL: Final = frozenset(
    {"session_not_found", "thread_not_found", "insufficient_permissions", "guard_blocked"}
)
"""Texts that the tutorials' clients compare: told in both fields."""

_STATUS_OF_ENDING: Final = {
    "rate_limited": 503,
    "unavailable": 503,
    "unreachable": 503,
    "busy": 503,
    "timeout": 504,
}
"""What a failure of something that the agent called is, by the end of its code: `model_unavailable`."""
_RETRY_AFTER_S: Final = 5
WAITING: Final = "run_waiting"
"""The code of a run that asks something."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why there is no answer: a status, what it is, and what to know about it."""

    status: int
    error: str
    detail: str | list[dict[str, Any]]
    code: str

    @property
    def body(self) -> dict[str, Any]:
        """The error as every JSON of these wires carries it."""
        return {"error": self.error, "detail": self.detail}


class RunEnded(Exception):
    """A run that was accepted ended without an answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class Gone(Exception):
    """The client left before its answer was there: nobody reads what is told."""


def not_found(what: str, *, code: str) -> NotFound:
    """Return the error for an id that names nothing of the caller's: `Session not found`, `Thread not found`."""
    return NotFound(f"{what} not found", code=code)


def of_run(error: ErrorInfo, *, spent_s: float, blocked_by: str | None) -> Failure:
    """Return what a failed run is on these wires.

    Args:
        spent_s: How long it ran, waiting not counted.
        blocked_by: What a guard said, where one stopped the run.
    """
    if error.code == "timed_out":
        shown = round(spent_s) if spent_s >= 1 else round(spent_s, 1)
        said = f"Request timed out after {shown:g} seconds"
        return Failure(status=408, error=said, detail=error.message, code=error.code)
    if error.code == "guard_blocked":
        return Failure(status=400, error=error.message, detail=error.message, code=error.code)
    if error.code == "guard_tripped":
        said = f"Request blocked: {blocked_by}" if blocked_by else "Request blocked"
        return Failure(status=400, error=said, detail=said, code=error.code)
    status = next(
        (status for end, status in _STATUS_OF_ENDING.items() if error.code.endswith(f"_{end}")), 502
    )
    said = "The agent failed" if status == 502 else HTTPStatus(status).phrase
    return Failure(status=status, error=said, detail=error.message, code=error.code)


def waiting(run_id: str, prompts: list[str]) -> Failure:
    """Return what a run is that asks something: no tutorial has a way to answer."""
    asked = " ".join(prompts)
    detail = (
        f"{asked} Answer with POST /api/v1/runs/{run_id}/answers, or give it up with "
        f"POST /api/v1/runs/{run_id}/cancel."
    )
    return Failure(
        status=409, error="The agent waits for an answer", detail=detail.strip(), code="run_waiting"
    )


def of_error(error: Exception, scope: Scope) -> tuple[Failure, dict[str, str]]:
    """Return any exception as a failure, and headers."""
    if isinstance(error, RunEnded):
        return error.failure, {"retry-after": str(_RETRY_AFTER_S)} if error.failure.status == 503 else {}
    problem, headers = told(error, request_id(scope))
    return failure_of(problem), headers


def failure_of(problem: Problem) -> Failure:
    """Return a problem in these words; faults of a body are listed as FastAPI lists them."""
    title: str = problem.title
    detail: str | list[dict[str, Any]] = problem.detail
    if problem.code in _TITLE_IS_DETAIL:
        title = problem.detail
    elif problem.errors:
        title = "Validation error"
        detail = [{"loc": fault.loc, "msg": fault.message, "type": problem.code} for fault in problem.errors]
    return Failure(status=problem.status, error=title, detail=detail, code=problem.code)


def tell(error: Exception, connection: HTTPConnection) -> Response:
    """Return the response that tells `error`."""
    if isinstance(error, Gone):
        return Response(status_code=499)
    failure, headers = of_error(error, connection.scope)
    headers = {**headers, "cache-control": "no-store"}
    return Response(msgspec.json.encode(failure.body), failure.status, headers, media_type="application/json")
