"""Ids of the Responses wire: each is made from where the thing is in the logs, so that any worker finds it again.

A response is the part of a run between two waits: `resp_<run>` is the first, `resp_<run>_<seq>` begins after the
`run.waiting` at that place. Calls and approvals are named by the place of their question, also where two runs of a
scripted model use the same call id.
"""

import re
from typing import Final, Literal
from uuid import UUID

__all__ = [
    "approval_id",
    "call_id",
    "item_id",
    "message_id_of",
    "place_of",
    "response_id",
    "response_place",
    "thread_id_of",
]

_RESPONSE: Final = re.compile(r"resp_([0-9a-f-]{36})(?:_([1-9][0-9]{0,17}))?")
_PLACE: Final = re.compile(r"(call|mcpr)_([0-9a-f]{32})_([1-9][0-9]{0,17})")


def response_id(run_id: str, after: int) -> str:
    """Return the id of the response that a run's events after `after` tell."""
    return f"resp_{run_id}_{after}" if after else f"resp_{run_id}"


def response_place(response: str) -> tuple[str, int] | None:
    """Return the run and the place that a response's id names, or None for what is no such id."""
    found = _RESPONSE.fullmatch(response)
    return (found[1], int(found[2] or 0)) if found else None


def call_id(run_id: str, seq: int) -> str:
    """Return the id of a call that the client carries out, asked at `seq`; within the wire's 64 characters."""
    return f"call_{_short(run_id)}_{seq}"


def approval_id(run_id: str, seq: int) -> str:
    """Return the id of a request for approval, asked at `seq`."""
    return f"mcpr_{_short(run_id)}_{seq}"


def place_of(given: str, kind: Literal["call", "mcpr"]) -> tuple[str, int] | None:
    """Return the run and the place of a question that `given` names, or None for an id this server never made."""
    found = _PLACE.fullmatch(given)
    return (str(UUID(found[2])), int(found[3])) if found and found[1] == kind else None


def item_id(prefix: str, run_id: str, seq: int) -> str:
    """Return the id of an item that is no message of the thread."""
    return f"{prefix}_{_short(run_id)}_{seq}"


def message_id_of(item: str) -> str | None:
    """Return the message that an item's id names."""
    return item.removeprefix("msg_") if item.startswith("msg_") else None


def thread_id_of(conversation: str) -> str | None:
    """Return the thread that is this conversation on the wire."""
    return conversation.removeprefix("conv_") if conversation.startswith("conv_") else None


def _short(run_id: str) -> str:
    return run_id.replace("-", "")
