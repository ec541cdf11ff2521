"""The log: appending batches of many runs in one transaction, and reading events, records and late results.

Every insert of an event carries the run's epoch, state and owner in the statement itself (REL-2). Batches of nothing but
events, the tokens of all streaming runs, go through one statement together; so a commit costs a handful of steps,
however many runs stream.
"""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from landline.backends.sql.pages import bound_limit
from landline.backends.sql.rows import Row, json, optional_json
from landline.backends.sql.statements import owned
from landline.backends.sql.statements import questions as question_sql
from landline.backends.sql.statements import runs as sql
from landline.backends.sql.statements import threads as thread_sql
from landline.backends.sql.statements import usage as usage_sql
from landline.backends.sql.usage import usage_columns
from landline.backends.sqlite.caller import missing, named, who
from landline.backends.sqlite.claims import promote
from landline.backends.sqlite.connection import first
from landline.backends.sqlite.idempotency import keep_key
from landline.backends.sqlite.messages import append_rows
from landline.backends.sqlite.runs import queue_first
from landline.model.callers import Caller
from landline.model.events import Stamped
from landline.model.runs import TERMINAL, Question
from landline.ports.store import Append, Appended, Claim

__all__ = ["append_all", "append_each", "events", "late_result", "records"]

_SIZES = (1, 4, 16, 64, 256)
"""Rows per insert: few sizes, so that all stay prepared; the rest of the last one is filled with rows of no run."""

_WIDTH = 8
_FILLER = (None,) * _WIDTH
_FARTHEST = 2**62

PAGE_BYTES = 32 * 1024
"""A page of events ends with the one that reaches this: what a stalled reader holds is bounded (REL-10)."""


@cache
def _insert_statement(rows: int) -> str:
    values = ", ".join([f"({', '.join('?' * _WIDTH)})"] * rows)
    return f"""
    INSERT INTO events (run_n, seq, at, type, body)
    SELECT r.n, v.column5, v.column6, v.column7, v.column8 FROM (VALUES {values}) v CROSS JOIN runs r
    WHERE r.id = v.column1 AND r.epoch = v.column2 AND r.status = 'running'
        AND r.tenant = v.column3 AND r.user_id = v.column4
    """


def _insert_events(connection: sqlite3.Connection, batches: Sequence[Append]) -> int:
    """Insert the events of runs that may be written, and return how many there were."""
    rows = [
        (
            batch.run_id,
            batch.epoch,
            batch.caller.tenant,
            batch.caller.user,
            event.seq,
            event.at,
            event.type,
            event.body,
        )
        for batch in batches
        for event in batch.events
    ]
    inserted = 0
    for start in range(0, len(rows), _SIZES[-1]):
        chunk = rows[start : start + _SIZES[-1]]
        size = next(size for size in _SIZES if size >= len(chunk))
        parameters: list[Any] = []
        for row in chunk:
            parameters += row
        for _ in range(size - len(chunk)):
            parameters += _FILLER
        inserted += connection.execute(_insert_statement(size), parameters).rowcount
    return inserted


def append_all(connection: sqlite3.Connection, batches: Sequence[Append]) -> list[Appended]:
    """Write the batches; one that is fenced leaves nothing behind, the others stand."""
    if len({batch.run_id for batch in batches}) < len(batches):
        return [_append_one(connection, batch) for batch in batches]  # of one run they must go in order
    plain = [batch for batch in batches if _is_plain(batch)]
    fenced: set[int] = set()
    if plain and _insert_events(connection, plain) != sum(len(batch.events) for batch in plain):
        # The guard is the same for all events of a batch, so each went in whole or not at all.
        fenced = {id(batch) for batch in plain if _state(connection, batch) is None}
    return [
        Appended(fenced=id(batch) in fenced) if _is_plain(batch) else _append_one(connection, batch)
        for batch in batches
    ]


def append_each(connection: sqlite3.Connection, batches: Sequence[Append]) -> list[Appended]:
    """Write the batches one by one; a place in the log that is taken fences its own batch only.

    Raises:
        sqlite3.IntegrityError: A run's own data cannot be stored, such as a message id that is in use. Nothing of any
            batch may stay then; the caller finds out whose it is by trying each alone.
    """
    results: list[Appended] = []
    for batch in batches:
        connection.execute("SAVEPOINT batch")
        try:
            results.append(_append_one(connection, batch))
        except sqlite3.IntegrityError:
            connection.execute("ROLLBACK TO batch")
            if not _is_fenced(connection, batch):
                raise
            results.append(Appended(fenced=True))
        connection.execute("RELEASE batch")
    return results


def _is_plain(batch: Append) -> bool:
    """Tell whether the batch holds events alone, all of a caller who is not the system."""
    return bool(batch.events) and not (
        batch.caller.system
        or batch.settle
        or batch.records
        or batch.messages
        or batch.questions
        or batch.progress
        or batch.keys
        or batch.spent
        or batch.usage is not None
        or batch.model is not None
        or batch.spent_s is not None
        or batch.started_at is not None
    )


def _state(connection: sqlite3.Connection, batch: Append) -> Row | None:
    return first(connection, sql.STATE, {"id": batch.run_id, "epoch": batch.epoch, **who(batch.caller)})


def _is_fenced(connection: sqlite3.Connection, batch: Append) -> bool:
    """Tell whether somebody else owns the run, it has ended, or somebody wrote at the batch's places."""
    state = _state(connection, batch)
    if state is None:
        return True
    if not batch.events:
        return False
    places = {"n": state["n"], "first": batch.events[0].seq, "last": batch.events[-1].seq}
    return first(connection, sql.TAKEN, places) is not None


def _append_one(connection: sqlite3.Connection, batch: Append) -> Appended:
    state = _state(connection, batch)
    if state is None:
        return Appended(fenced=True)
    n: int = state["n"]
    if batch.events:
        _insert_own_events(connection, batch)
    for key, value in batch.records:
        connection.execute(sql.UPSERT_RECORD, {"n": n, "key": key, "value": value})
    _spend(connection, batch, state)
    _ask(connection, batch, state)
    tail_id = _say(connection, batch, state)
    settle = batch.settle
    _update(connection, batch, state, tail_id)
    for key in batch.keys:
        keep_key(connection, batch.caller, key, batch.run_id, batch.events[-1].at)
    if settle is None or settle.status not in TERMINAL:
        return Appended()
    if state["asking"] or batch.questions:
        connection.execute(question_sql.CLOSE, {"run_n": n})
    for new in reversed(batch.queued):
        queue_first(connection, batch.caller, new)
    promoted: Claim | None = None
    if state["followed"] or batch.queued:
        promoted = promote(connection, state["thread_id"], owner=state["owner"], at=settle.at)
    return Appended(promoted=promoted)


def _insert_own_events(connection: sqlite3.Connection, batch: Append) -> None:
    if not batch.caller.system:
        inserted = _insert_events(connection, (batch,))
    else:
        guard = {"id": batch.run_id, "epoch": batch.epoch, "expected": "running", **who(batch.caller)}
        rows = [{**guard, "seq": e.seq, "at": e.at, "type": e.type, "body": e.body} for e in batch.events]
        inserted = connection.executemany(sql.INSERT_EVENT, rows).rowcount
    if inserted != len(batch.events):
        raise sqlite3.IntegrityError("the run changed inside a transaction")


def _spend(connection: sqlite3.Connection, batch: Append, state: Row) -> None:
    """Add what was used to the sums of the day."""
    for spent in batch.spent:
        connection.execute(usage_sql.ADD, usage_columns(spent, batch, state))


def _ask(connection: sqlite3.Connection, batch: Append, state: Row) -> None:
    for new in batch.questions:
        named_ids = {"id": new.question.question_id, "run_n": state["n"], "key": new.key}
        body = _as_asked(new.question, batch, state["agent"])
        connection.execute(question_sql.SUPERSEDE, named_ids)
        connection.execute(
            question_sql.INSERT, {**named_ids, "body": body, "expires_at": new.question.expires_at}
        )


def _as_asked(question: Question, batch: Append, agent: str) -> bytes:
    """Return the question with what an inbox shows of its run."""
    at = batch.events[-1].at if batch.events else batch.settle.at if batch.settle else None
    place = {"run_id": batch.run_id, "thread_id": batch.thread_id, "agent": agent, "asked_at": at}
    return json(msgspec.structs.replace(question, **place))


def _say(connection: sqlite3.Connection, batch: Append, state: Row) -> str | None:
    """Append the run's messages below its last one; the thread's head follows unless somebody moved it away."""
    if not batch.messages:
        return None
    thread_id: str = state["thread_id"]
    tail_id = append_rows(
        connection,
        thread_id=thread_id,
        run_id=batch.run_id,
        parent_id=state["tail_id"],
        rows=batch.messages,
    )
    moved = {"id": thread_id, "added": len(batch.messages), "at": batch.messages[-1].at}
    connection.execute(thread_sql.FOLLOW_HEAD, {**moved, "tail_id": state["tail_id"], "head_id": tail_id})
    return tail_id


def _update(connection: sqlite3.Connection, batch: Append, state: Row, tail_id: str | None) -> None:
    settle = batch.settle
    # Progress counts as -1: an attempt that got further is no lost attempt when it is taken over (REL-3).
    progress = batch.progress and state["attempts_without_progress"] >= 0
    columns = (batch.started_at, batch.usage, batch.model, batch.spent_s, settle, tail_id)
    if not progress and all(column is None for column in columns):
        return
    row: dict[str, Any] = {
        "n": state["n"],
        "epoch": batch.epoch,
        "progress": progress,
        "tail_id": tail_id,
        "started_at": batch.started_at,
        "usage": optional_json(batch.usage),
        "model": batch.model,
        "spent_s": batch.spent_s,
    }
    if settle is None:
        connection.execute(sql.GO_ON, row)
        return
    row |= {
        "status": settle.status,
        "ended_at": settle.at if settle.status in TERMINAL else None,
        "output": optional_json(settle.output),
        "message_id": settle.message_id,
        "error": optional_json(settle.error),
    }
    connection.execute(sql.SETTLE, row)


_EVENTS = f"""
SELECT r.thread_id, (SELECT CAST(group_concat(
        e.seq || x'1f' || e.at || x'1f' || e.type || x'1f' || CAST(e.body AS TEXT), x'1e') AS BLOB)
    FROM (SELECT seq, at, type, body FROM events WHERE run_n = r.n AND seq > :after AND seq <= (
            WITH RECURSIVE page(seq, size, count) AS (
                SELECT seq, LENGTH(body), 1
                FROM (SELECT seq, body FROM events WHERE run_n = r.n AND seq > :after ORDER BY seq LIMIT 1)
                UNION ALL
                SELECT e.seq, p.size + LENGTH(e.body), p.count + 1
                FROM page p JOIN events e ON e.run_n = r.n AND e.seq = p.seq + 1
                WHERE p.size < {PAGE_BYTES} AND p.count < :limit)
            SELECT MAX(seq) FROM page)
        ORDER BY seq) e) AS packed
FROM runs r WHERE r.id = :id AND {owned("r")}
"""
"""One row for a whole page, for the reason given in `sqlite.messages`; it looks at no event behind the page's last."""


def events(
    connection: sqlite3.Connection, caller: Caller, run_id: str, after: int, limit: int
) -> list[Stamped]:
    """Return events after `after`; fewer than `limit` when they are too large for one piece."""
    parameters = {
        **named(caller, "run", run_id),
        "after": max(-1, min(after, _FARTHEST)),
        "limit": bound_limit(limit),
    }
    try:
        row = first(connection, _EVENTS, parameters)
    except sqlite3.DataError:
        if parameters["limit"] == 1:
            raise
        return events(connection, caller, run_id, after, parameters["limit"] // 2)
    if row is None:
        raise missing("run", run_id)
    packed: bytes | None = row["packed"]
    if not packed:
        return []
    thread_id: str = row["thread_id"]
    page: list[Stamped] = []
    for record in packed.split(b"\x1e"):
        seq, at, type_, body = record.split(b"\x1f", 3)
        page.append(Stamped(int(seq), run_id, thread_id, at.decode(), type_.decode(), body))
    return page


def records(connection: sqlite3.Connection, caller: Caller, run_id: str) -> dict[str, bytes]:
    """Return the run's journal."""
    rows = connection.execute(sql.RECORDS, named(caller, "run", run_id)).fetchall()
    if not rows:
        raise missing("run", run_id)
    return {row["key"]: row["value"] for row in rows if row["key"] is not None}


def late_result(
    connection: sqlite3.Connection, caller: Caller, run_id: str, call_id: str, *, ok: bool, at: str
) -> None:
    """Note the end of a call that outlived its run."""
    parameters = {**named(caller, "run", run_id), "call_id": call_id, "ok": ok, "at": at}
    if connection.execute(sql.LATE_RESULT, parameters).rowcount == 0:
        raise missing("run", run_id)
