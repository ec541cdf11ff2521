"""Accepting runs and reading them."""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

import sqlite3
from dataclasses import replace
from typing import Any

from landline.backends.sql.pages import bound_limit, id_cursor, pack
from landline.backends.sql.rows import Row, decode_question, json, optional_json, parent_of, run_of
from landline.backends.sql.statements import owned
from landline.backends.sql.statements import questions as question_sql
from landline.backends.sql.statements import runs as sql
from landline.backends.sql.statements import threads as thread_sql
from landline.backends.sqlite.caller import missing, named, who
from landline.backends.sqlite.connection import first
from landline.backends.sqlite.idempotency import keep_key, replayed
from landline.backends.sqlite.messages import append_input, in_tree
from landline.backends.sqlite.threads import insert
from landline.model.callers import Caller
from landline.model.errors import Busy, Invalid
from landline.model.events import RunCreated, stamp
from landline.model.ids import is_id
from landline.model.runs import Run
from landline.model.threads import Page
from landline.ports.store import Accepted, AcceptRun, Claim, IdempotencyKey, RunQuery

__all__ = ["accept", "get_run", "list_runs", "made_run", "queue_first"]

NEWEST = "~"
"""Sorts after every id."""


def accept(connection: sqlite3.Connection, caller: Caller, new: AcceptRun) -> Accepted:
    """Make a run durable with its message, its first event and its key; see the port."""
    known = made_run(connection, caller, new.idempotency)
    if known is not None:
        return Accepted(run=known, replayed=True)
    thread = _thread(connection, caller, new)
    active_id: str | None = thread["active_id"] or thread["queued_id"]
    if active_id is not None and new.queue is None:
        raise Busy(active_id, waits=bool(thread["waits"]))
    if new.parent_id and in_tree(connection, caller, thread, new.parent_id) is None:
        raise Invalid("The message to answer below is not one of this thread's.", code="unknown_parent")
    return _insert(connection, caller, new, thread, active_id)


def made_run(connection: sqlite3.Connection, caller: Caller, key: IdempotencyKey | None) -> Run | None:
    """Return the run that a key made; see the port."""
    known = replayed(connection, caller, key)
    row = None if known is None else first(connection, sql.GET, {"id": known, **who(caller)})
    # Without a row its thread was deleted meanwhile, and the key is free again.
    return None if row is None else _with_questions(connection, row)


def _thread(connection: sqlite3.Connection, caller: Caller, new: AcceptRun) -> Row:
    parameters = named(caller, "thread", new.thread_id)
    if new.new_thread is not None:
        insert(connection, caller, new.new_thread)
    thread: Row | None = first(connection, thread_sql.STATE, parameters)
    if thread is None:
        raise missing("thread", new.thread_id)
    return thread


def queue_first(connection: sqlite3.Connection, caller: Caller, new: AcceptRun) -> None:
    """Put a run at the head of the queue of its thread, whose active run is just ending."""
    thread = first(connection, thread_sql.STATE, named(caller, "thread", new.thread_id))
    if thread is None:
        raise missing("thread", new.thread_id)
    _insert(connection, caller, replace(new, queue="first"), thread, new.run_id)


def _insert(
    connection: sqlite3.Connection, caller: Caller, new: AcceptRun, thread: Row, active_id: str | None
) -> Accepted:
    queued = active_id is not None
    # A queued run follows the head of the moment it starts at, unless it says where it belongs.
    parent_id = new.parent_id if queued else parent_of(new.parent_id, thread["head_id"])
    owner = Caller(tenant=thread["tenant"], user=thread["user_id"])
    tail_id = None if queued else (new.message.id if new.message else parent_id)
    run = Run(
        id=new.run_id,
        thread_id=new.thread_id,
        agent=new.agent,
        status="queued" if queued else "running",
        created_at=new.at,
        metadata=new.metadata,
        routed_to=new.routed_to,
    )
    rank = (min(0, thread["first_rank"] or 0) - 1) if queued and new.queue == "first" else 0
    row = {
        "id": run.id,
        "thread_id": run.thread_id,
        "agent": run.agent,
        "status": run.status,
        "at": new.at,
        "tenant": owner.tenant,
        "user": owner.user,
        "epoch": 0 if queued else 1,
        "owner": new.owner,
        "rank": rank,
        "parent_id": parent_id,
        "tail_id": tail_id,
        "needs_context": new.needs_context,
        "input": optional_json(new.message),
        "metadata": json(new.metadata),
        "settings": json(new.settings),
        "deadline_s": new.deadline_s,
        "routed_to": new.routed_to,
        "carried": optional_json(new.carried),
        "key_id": new.key_id,
    }
    connection.execute(sql.INSERT, row)
    parts = new.message.parts if new.message else ()
    message_id = new.message.id if new.message else None
    created = RunCreated(status=run.status, message_id=message_id, input=parts)
    event = stamp(created, seq=1, run_id=run.id, thread_id=run.thread_id, at=new.at)
    guard = {"id": run.id, "epoch": row["epoch"], "expected": run.status, **who(owner)}
    connection.execute(
        sql.INSERT_EVENT, {**guard, "seq": 1, "at": event.at, "type": event.type, "body": event.body}
    )
    keep_key(connection, caller, new.idempotency, run.id, new.at)
    if queued:
        return Accepted(run=run, events=(event,), active_run_id=active_id)
    append_input(
        connection,
        thread_id=new.thread_id,
        run_id=run.id,
        parent_id=parent_id,
        message=new.message,
        at=new.at,
    )
    claim = Claim(
        run=run,
        caller=replace(owner, key_id=new.key_id),
        epoch=1,
        last_seq=1,
        input=parts,
        input_message_id=message_id,
        parent_id=parent_id,
        settings=new.settings,
        deadline_s=new.deadline_s,
        spent_s=0.0,
        needs_context=new.needs_context,
        cancel_by=None,
        attempts_without_progress=0,
        carried=new.carried,
    )
    return Accepted(run=run, claim=claim, events=(event,))


def get_run(connection: sqlite3.Connection, caller: Caller, run_id: str) -> Run:
    """Return the run with its open questions."""
    row = first(connection, sql.GET, named(caller, "run", run_id))
    if row is None:
        raise missing("run", run_id)
    return _with_questions(connection, row)


def _with_questions(connection: sqlite3.Connection, row: Row) -> Run:
    if row["status"] not in ("running", "waiting"):
        return run_of(row)
    asked = connection.execute(question_sql.OPEN_OF_RUN, {"run_n": row["n"]}).fetchall()
    return run_of(row, [decode_question(one["body"]) for one in asked])


def list_runs(connection: sqlite3.Connection, caller: Caller, query: RunQuery) -> Page[Run]:
    """Return a page, newest first. Ids are made in time order, so the id is the place."""
    limit = bound_limit(query.limit)
    parameters: dict[str, Any] = {
        **who(caller),
        "limit": limit + 1,
        "cursor": id_cursor(query.cursor, NEWEST),
    }
    conditions = [
        owned("r") if caller.system else "r.tenant = :tenant AND r.user_id = :user",
        "r.id < :cursor",
    ]
    filters = {
        "thread_id": ("r.thread_id = :thread_id", query.thread_id),
        "agent": ("r.agent = :agent", query.agent),
        "status": ("r.status = :status", query.status),
        "after": ("r.created_at >= :after", query.after),
        "before": ("r.created_at < :before", query.before),
    }
    for name, (condition, value) in filters.items():
        if value is not None:
            conditions.append(condition)
            parameters[name] = value
    if query.thread_id is not None and not is_id(query.thread_id):
        return Page(items=[])
    where = " AND ".join(conditions)
    statement = f"SELECT {sql.COLUMNS} FROM runs r WHERE {where} ORDER BY r.id DESC LIMIT :limit"
    rows = connection.execute(statement, parameters).fetchall()
    items = [_with_questions(connection, row) for row in rows[:limit]]
    return Page(items=items, next_cursor=pack(items[-1].id) if len(rows) > limit else None)
