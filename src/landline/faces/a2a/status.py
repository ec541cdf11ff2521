"""The state of a run, and since when, in A2A's words: from its row alone, as lists need it."""

from typing import Final

from landline.faces.a2a import wire
from landline.faces.a2a.encode import REFUSALS
from landline.model.runs import Run

__all__ = ["changed_at", "state_of"]

_STATES: Final[dict[str, str]] = {
    "queued": wire.SUBMITTED,
    "running": wire.WORKING,
    "waiting": wire.INPUT_REQUIRED,
    "completed": wire.COMPLETED,
    "failed": wire.FAILED,
    "cancelled": wire.CANCELED,
}


def changed_at(run: Run) -> str:
    """Return when a run came to its status."""
    if run.ended_at is not None:
        return run.ended_at
    asked = [question.asked_at for question in run.questions if question.asked_at is not None]
    return max([run.created_at, run.started_at or "", *asked])


def state_of(run: Run) -> str:
    """Return the state of a run as the log's fold tells it."""
    refused = run.status == "failed" and run.error is not None and run.error.code in REFUSALS
    return wire.REJECTED if refused else _STATES[run.status]
