"""ListTasks: a page of tasks, the one whose status changed last first.

The store has runs by the time they were made, and the protocol wants them by the time of their status with their number:
so the newest runs are looked through, up to a bound that is far above what a client pages through.
"""

import base64
import binascii
from datetime import datetime
from typing import Any, Final

import msgspec

from landline.faces.a2a import wire
from landline.faces.a2a.status import changed_at, state_of
from landline.faces.a2a.tasks import Tasks
from landline.model.callers import Caller
from landline.model.errors import FieldError, Invalid
from landline.model.runs import Run
from landline.model.times import iso
from landline.ports.store import RunQuery

__all__ = ["MOST", "list_tasks"]

MOST: Final = 5000
"""Tasks that are looked through; older ones are not listed."""

_PAGE: Final = 200
_DEFAULT: Final = 50


async def list_tasks(tasks: Tasks, caller: Caller, agent: str, body: wire.ListTasksRequest) -> dict[str, Any]:
    """Return the ListTasksResponse."""
    tasks.agent(caller, agent)
    runs = await _runs(tasks, caller, agent, body)
    since = _moment(body.status_timestamp_after)
    keyed = sorted(
        ((changed_at(run), run.id, run) for run in runs if changed_at(run) >= since),
        key=lambda entry: entry[:2],
        reverse=True,
    )
    total = len(keyed)
    if body.page_token:
        before = _place(body.page_token)
        keyed = [entry for entry in keyed if entry[:2] < before]
    size = body.page_size or _DEFAULT
    page, more = keyed[:size], len(keyed) > size
    shown = [await tasks.shown(caller, run, body) for _, _, run in page]
    return {
        "tasks": shown,
        "nextPageToken": _token(page[-1][:2]) if more else "",
        "pageSize": size,
        "totalSize": total,
    }


async def _runs(tasks: Tasks, caller: Caller, agent: str, body: wire.ListTasksRequest) -> list[Run]:
    thread_id: str | None = None
    if body.context_id:
        thread = await tasks.context(caller, agent, body.context_id)
        if thread is None:
            return []
        thread_id = thread.id
    wanted = None if body.status in (None, "TASK_STATE_UNSPECIFIED") else body.status
    found: list[Run] = []
    cursor: str | None = None
    for _ in range(MOST // _PAGE):
        query = RunQuery(limit=_PAGE, cursor=cursor, thread_id=thread_id, agent=agent)
        page = await tasks.ports.runs.history(caller, query)
        found += [run for run in page.items if wanted is None or state_of(run) == wanted]
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _moment(text: str | None) -> str:
    if text is None:
        return ""
    try:
        moment = datetime.fromisoformat(text)
        known = iso(moment) if moment.tzinfo is not None else ""
    except (ValueError, OverflowError):
        known = ""
    if not known:
        raise _fault("statusTimestampAfter", "this is no date and time with a zone")
    return known


def _token(place: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def _place(token: str) -> tuple[str, str]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token), type=tuple[str, str])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise _fault("pageToken", "this is no token of a page before") from None


def _fault(field: str, message: str) -> Invalid:
    return Invalid(
        "The request does not fit; see the details.",
        code="invalid_request",
        errors=[FieldError(loc=[field], message=message)],
    )
