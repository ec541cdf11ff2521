"""Cancelling: a queued or waiting run is ended here, a running one is told to its driver (RUN-5)."""

import sqlite3

from landline.backends.sql.statements import questions as question_sql
from landline.backends.sql.statements import runs as sql
from landline.backends.sqlite.caller import missing, named
from landline.backends.sqlite.claims import promote
from landline.backends.sqlite.connection import first
from landline.backends.sqlite.questions import write_events
from landline.backends.sqlite.runs import get_run
from landline.model.callers import Caller
from landline.model.events import RunCancelled
from landline.model.runs import TERMINAL
from landline.ports.store import Cancelled

__all__ = ["cancel"]


def cancel(
    connection: sqlite3.Connection, caller: Caller, run_id: str, *, by: str, at: str, owner: str
) -> Cancelled:
    """Ask for the run's end; see the port."""
    run = first(connection, sql.CLAIM, named(caller, "run", run_id))
    if run is None:
        raise missing("run", run_id)
    if run["status"] in TERMINAL:
        return Cancelled(run=get_run(connection, caller, run_id), settled=True)
    if run["status"] == "running":
        connection.execute(sql.ASK_TO_CANCEL, {"n": run["n"], "by": by})
        return Cancelled(run=get_run(connection, caller, run_id), settled=False)
    spoken = first(connection, sql.LAST_SPOKEN, {"id": run["tail_id"], "run_id": run_id})
    message_id: str | None = spoken["id"] if spoken else None
    events = write_events(connection, run, [RunCancelled(by=by, message_id=message_id)], at=at)
    ending = {"n": run["n"], "at": at, "by": by, "message_id": message_id, "expected": run["status"]}
    connection.execute(sql.END, ending)
    connection.execute(question_sql.CLOSE, {"run_n": run["n"]})
    # A queued run held nothing; the end of a waiting one frees its thread.
    promoted = (
        promote(connection, run["thread_id"], owner=owner, at=at) if run["status"] == "waiting" else None
    )
    return Cancelled(run=get_run(connection, caller, run_id), settled=True, events=events, promoted=promoted)
