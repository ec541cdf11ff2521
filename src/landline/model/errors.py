"""Every error a caller can meet: a stable code and a kind, no HTTP status (each face owns its map from kind).

LandlineError
├── Invalid            the request itself is wrong
├── Unsupported        understood, but this agent or build cannot do it
├── Unauthenticated    who are you
├── Forbidden          you may not
├── NotFound           no such thing among the caller's own
├── Conflict           not in this state
│   └── Busy           another run is active on the thread
├── Gone               the cursor cannot be served any more
├── TooLarge           over a limit
├── RateLimited        too often, or too much at once
├── BudgetExceeded     what the caller may use is used up
├── Unavailable        cannot now, try again
│   ├── StorageFailed  the store cannot write
│   └── Draining       the server is stopping
└── AgentFailed        the agent or what it calls failed
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec
from msgspec.structs import force_setattr

from landline.model.limits import LimitState
from landline.model.redaction import redacted

__all__ = [
    "AgentFailed",
    "BudgetExceeded",
    "Busy",
    "Conflict",
    "Draining",
    "ErrorInfo",
    "FieldError",
    "Forbidden",
    "Gone",
    "Invalid",
    "Kind",
    "LandlineError",
    "NotFound",
    "RateLimited",
    "StorageFailed",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
]

Kind = Literal[
    "invalid",
    "unsupported",
    "unauthenticated",
    "forbidden",
    "not_found",
    "conflict",
    "gone",
    "too_large",
    "limited",
    "unavailable",
    "storage",
    "agent",
]


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A failure as events and runs carry it: `code` is stable, `message` is safe to show."""

    code: str
    message: str

    def __post_init__(self) -> None:
        """Cut what looks like a credential: an adapter or a tool may have put another program's words here (TRU-17)."""
        safe = redacted(self.message)
        if safe != self.message:
            force_setattr(self, "message", safe)


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a request: where it is (path of keys and indexes) and what is wrong there."""

    loc: Sequence[str | int]
    message: str

    def __post_init__(self) -> None:
        """Cut credentials that a client sent in the wrong place: its own words come back in these (TRU-17)."""
        loc = [redacted(part) if isinstance(part, str) else part for part in self.loc]
        message = redacted(self.message)
        if loc != list(self.loc) or message != self.message:
            force_setattr(self, "loc", loc)
            force_setattr(self, "message", message)


class LandlineError(Exception):
    """Base of all domain errors; `detail` is written for the person who made the request."""

    kind: ClassVar[Kind] = "invalid"
    code: str = "invalid"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        retry_after_s: int | None = None,
    ) -> None:
        detail = redacted(detail)
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s

    @property
    def info(self) -> ErrorInfo:
        """The error as an event carries it."""
        return ErrorInfo(code=self.code, message=self.detail)


class Invalid(LandlineError):
    """The request itself is wrong, and the same request will be wrong again."""


class Unsupported(LandlineError):
    """The request is understood, but this agent or this build cannot do it."""

    kind = "unsupported"
    code = "unsupported"


class Unauthenticated(LandlineError):
    """Nobody is signed in, or the credential does not hold."""

    kind = "unauthenticated"
    code = "unauthenticated"


class Forbidden(LandlineError):
    """The caller is known and may not do this."""

    kind = "forbidden"
    code = "forbidden"


class NotFound(LandlineError):
    """No such thing among the caller's own; says the same whether it never existed or is somebody else's."""

    kind = "not_found"
    code = "not_found"


class Conflict(LandlineError):
    """The thing is not in a state that allows this."""

    kind = "conflict"
    code = "conflict"


class Busy(Conflict):
    """Another run is active on the thread; `active_run_id` names it, `waits` tells that it needs an answer to go on."""

    code = "thread_busy"

    def __init__(self, active_run_id: str, *, waits: bool = False) -> None:
        said = " and waits for an answer; answer it or cancel it" if waits else ""
        super().__init__(f"Run {active_run_id} is active on this thread{said}.")
        self.active_run_id = active_run_id


class Gone(LandlineError):
    """The cursor names a part of the log that cannot be served any more."""

    kind = "gone"
    code = "cursor_gone"


class TooLarge(LandlineError):
    """Over a configured size limit."""

    kind = "too_large"
    code = "too_large"


class RateLimited(LandlineError):
    """Too often, or too much at once; `states` are the limits that were looked at, `retry_after_s` when to come back."""

    kind = "limited"
    code = "rate_limited"

    def __init__(
        self, detail: str, *, retry_after_s: int, states: Sequence[LimitState] = (), code: str | None = None
    ) -> None:
        super().__init__(detail, code=code, retry_after_s=max(1, retry_after_s))
        self.states = tuple(states)


class BudgetExceeded(LandlineError):
    """What the caller may use is used up; `code` names the limit, and it is soon enough again after `retry_after_s`."""

    kind = "limited"
    code = "budget_exceeded"


class Unavailable(LandlineError):
    """It cannot be done now; the same request may succeed later."""

    kind = "unavailable"
    code = "unavailable"


class Draining(Unavailable):
    """The server is stopping and takes no new runs."""

    code = "draining"

    def __init__(self) -> None:
        super().__init__("The server is stopping; try again in a moment.", retry_after_s=2)


class StorageFailed(Unavailable):
    """The store cannot write now (disk full, input/output error)."""

    kind = "storage"
    code = "storage_failed"


class AgentFailed(LandlineError):
    """The agent, or a model or tool it calls, failed; `detail` never holds the exception's own text."""

    kind = "agent"
    code = "agent_failed"
