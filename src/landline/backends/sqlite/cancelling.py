"""Cancelling: a queued run is ended here, one that waits is claimed to be ended, a running one has a driver (RUN-5)."""

import sqlite3

from landline.backends.sql.rows import Row, decode_input
from landline.backends.sql.statements import questions as question_sql
from landline.backends.sql.statements import runs as sql
from landline.backends.sql.statements import threads as thread_sql
from landline.backends.sqlite.caller import missing, named
from landline.backends.sqlite.claims import claim, take
from landline.backends.sqlite.connection import first
from landline.backends.sqlite.messages import append_rows
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
    if run["status"] == "waiting":
        take(connection, run, expected="waiting", owner=owner)
        connection.execute(sql.ASK_TO_CANCEL, {"n": run["n"], "by": by})
        connection.execute(question_sql.CLOSE, {"run_n": run["n"]})
        return Cancelled(
            run=get_run(connection, caller, run_id), settled=False, claim=claim(connection, run_id)
        )
    events = write_events(connection, run, [RunCancelled(by=by)], at=at)
    connection.execute(sql.END, {"n": run["n"], "at": at, "by": by})
    _keep_input(connection, run, at=at)
    return Cancelled(run=get_run(connection, caller, run_id), settled=True, events=events)


def _keep_input(connection: sqlite3.Connection, run: Row, *, at: str) -> None:
    """Append the message of a run that never began: accepted is never lost. The branch that is spoken on stays."""
    if run["input"] is None:
        return
    message = decode_input(run["input"])
    thread = first(connection, thread_sql.HEAD, {"id": run["thread_id"]})
    parent_id = thread["head_id"] if run["parent_id"] is None else run["parent_id"] or None
    append_rows(
        connection, thread_id=run["thread_id"], run_id=run["id"], parent_id=parent_id, rows=(message,)
    )
    kept = {"id": run["thread_id"], "head_id": thread["head_id"], "added": 1, "at": at}
    connection.execute(thread_sql.MOVE_HEAD, kept)
