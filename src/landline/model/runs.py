"""Runs: one turn of an agent on a thread, its questions and its answers."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from landline.model.errors import ErrorInfo

__all__ = [
    "ACTIVE",
    "TERMINAL",
    "Answer",
    "OnBusy",
    "OnDisconnect",
    "Outcome",
    "Question",
    "QuestionKind",
    "Run",
    "Status",
    "Usage",
]

Status = Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]
OnBusy = Literal["reject", "queue", "interrupt", "steer"]
OnDisconnect = Literal["continue", "cancel"]
QuestionKind = Literal["approval", "input", "choice"]
Outcome = Literal["approved", "denied", "answered", "expired"]

TERMINAL: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
"""States after which nothing is written (RUN-3)."""

ACTIVE: frozenset[str] = frozenset({"running", "waiting"})
"""States that hold the thread: at most one such run per thread (REL-5)."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a run, summed over its model calls and attempts; money in US dollars when it is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cost_usd: float | None = None

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum of both."""
        costs = [u.cost_usd for u in (self, other) if u.cost_usd is not None]
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            cost_usd=sum(costs) if costs else None,
        )


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a waiting run needs. An approval binds to exactly these `arguments` (RUN-8).

    `needed` is how many different callers must approve; `votes` are the ones who have. `client`: a call of a tool that the
    client carries out, whose answer's value is the call's result.
    """

    question_id: str
    kind: QuestionKind
    prompt: str
    tool: str | None = None
    call_id: str | None = None
    arguments: Any = None
    choices: Sequence[str] | None = None
    expires_at: str | None = None
    needed: int = 1
    run_id: str | None = None
    thread_id: str | None = None
    agent: str | None = None
    asked_at: str | None = None
    outcome: Outcome | None = None
    client: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer: `approve` for an approval (with `reason` for a denial, `arguments` to edit), else `value`."""

    question_id: str
    approve: bool | None = None
    value: Any = None
    reason: str | None = None
    arguments: dict[str, Any] | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its owner sees it (WIRE-1); `routed_to` is set when a router chose its agent (RUN-11)."""

    id: str
    thread_id: str
    agent: str
    status: Status
    created_at: str
    output: Any = None
    message_id: str | None = None
    model: str | None = None
    usage: Usage = Usage()
    error: ErrorInfo | None = None
    questions: Sequence[Question] = ()
    attempt: int = 1
    started_at: str | None = None
    ended_at: str | None = None
    metadata: dict[str, Any] = {}
    routed_to: str | None = None
