"""Threads: making, listing, changing, forking and deleting them."""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

import sqlite3
from typing import Any

from landline.backends.sql.rows import json_text, thread_of
from landline.backends.sql.statements import messages as message_sql
from landline.backends.sql.statements import threads as sql
from landline.backends.sqlite.caller import missing, named, who
from landline.backends.sqlite.connection import first
from landline.backends.sqlite.idempotency import keep_key, replayed
from landline.backends.sqlite.messages import in_tree
from landline.model.callers import Caller
from landline.model.errors import Busy, Invalid
from landline.model.threads import Thread
from landline.ports.store import NewThread, ThreadPatch

__all__ = ["create", "delete", "fork", "get", "insert", "patch"]


def insert(
    connection: sqlite3.Connection,
    caller: Caller,
    new: NewThread,
    *,
    base_id: str | None = None,
    message_count: int = 0,
) -> None:
    """Insert a thread; `base_id` is the last message it shares with the thread it is forked from."""
    row = {
        "id": new.id,
        "agent": new.agent,
        "title": new.title,
        "metadata": json_text(new.metadata),
        "at": new.at,
        "base_id": base_id,
        "message_count": message_count,
    }
    connection.execute(sql.INSERT, {**who(caller), **row})


def get(connection: sqlite3.Connection, caller: Caller, thread_id: str) -> Thread:
    """Return the thread."""
    row = first(connection, sql.GET, named(caller, "thread", thread_id))
    if row is None:
        raise missing("thread", thread_id)
    return thread_of(row)


def create(connection: sqlite3.Connection, caller: Caller, new: NewThread) -> tuple[Thread, bool]:
    """Make a thread, or return the one this key made before."""
    known = _known(connection, caller, new)
    if known is not None:
        return known, True
    insert(connection, caller, new)
    keep_key(connection, caller, new.idempotency, new.id, new.at)
    return get(connection, caller, new.id), False


def _known(connection: sqlite3.Connection, caller: Caller, new: NewThread) -> Thread | None:
    """Return what the key made; None also when that was deleted, and the key is free again."""
    known = replayed(connection, caller, new.idempotency)
    row = None if known is None else first(connection, sql.GET, {"id": known, **who(caller)})
    return None if row is None else thread_of(row)


def fork(
    connection: sqlite3.Connection, caller: Caller, thread_id: str, message_id: str | None, new: NewThread
) -> tuple[Thread, bool]:
    """Make a thread whose branch is the one that ends at `message_id`, without copying a row."""
    known = _known(connection, caller, new)
    if known is not None:
        return known, True
    state = first(connection, sql.STATE, named(caller, "thread", thread_id))
    if state is None:
        raise missing("thread", thread_id)
    base_id: str | None = message_id or state["head_id"]
    place = None if base_id is None else in_tree(connection, caller, state, base_id)
    if message_id is not None and place is None:
        raise missing("message", message_id)
    owner = Caller(tenant=state["tenant"], user=state["user_id"])
    insert(connection, owner, new, base_id=base_id, message_count=place["depth"] if place else 0)
    keep_key(connection, caller, new.idempotency, new.id, new.at)
    return get(connection, owner, new.id), False


def patch(connection: sqlite3.Connection, caller: Caller, thread_id: str, changes: ThreadPatch) -> Thread:
    """Change a thread; a new head must be a message of its tree."""
    parameters = named(caller, "thread", thread_id)
    state = first(connection, sql.STATE, parameters)
    if state is None:
        raise missing("thread", thread_id)
    if changes.head_id is not None and in_tree(connection, caller, state, changes.head_id) is None:
        raise Invalid("The head must be a message of this thread.", code="unknown_head")
    values: dict[str, Any] = {
        "title": changes.title,
        "clear_title": changes.clear_title,
        "pinned": changes.pinned,
        "archived": changes.archived,
        "head_id": changes.head_id,
        "at": changes.at,
        "metadata": None if changes.metadata is None else json_text(changes.metadata),
    }
    connection.execute(sql.PATCH, {**parameters, **values})
    return get(connection, caller, thread_id)


def delete(connection: sqlite3.Connection, caller: Caller, thread_id: str) -> None:
    """Remove a thread with its runs and logs; messages that a fork still shows stay for it."""
    parameters = named(caller, "thread", thread_id)
    state = first(connection, sql.STATE, parameters)
    if state is None:
        raise missing("thread", thread_id)
    busy: str | None = state["active_id"] or state["queued_id"]
    if busy is not None:
        raise Busy(busy)
    connection.execute(sql.DELETE, parameters)
    _sweep(connection, state["tenant"], state["user_id"], thread_id, state["base_id"])


def _sweep(
    connection: sqlite3.Connection, tenant: str, user: str, thread_id: str, base_id: str | None
) -> None:
    """Drop message rows that no thread shows any more.

    These are rows of the deleted thread, and of threads deleted before it whose rows it kept alive as a fork.
    """
    gone = [thread_id]
    if base_id is not None:
        gone += [row["thread_id"] for row in connection.execute(_GHOSTS, {"head_id": base_id, "first": 1})]
    for ghost in gone:
        doomed = {"thread_id": ghost, "tenant": tenant, "user": user}
        connection.execute(_UNINDEX, doomed)
        connection.execute(_DROP, doomed)
        connection.execute(_FORGET_RUN, doomed)
    connection.execute(_LOWER_MARK)


_GHOSTS = f"""
WITH RECURSIVE {message_sql.PATH} SELECT DISTINCT m.thread_id FROM path JOIN messages m ON m.id = path.lane
WHERE NOT EXISTS (SELECT 1 FROM threads t WHERE t.id = m.thread_id)
"""

_SHOWN = """
shown (lane, lo, hi, parent_id) AS (
    SELECT m.lane, f.depth, m.depth, f.parent_id FROM threads t JOIN messages m ON m.id = t.base_id
    JOIN messages f ON f.id = m.lane WHERE t.base_id IS NOT NULL AND t.tenant = :tenant AND t.user_id = :user
    UNION
    SELECT m.lane, f.depth, m.depth, f.parent_id
    FROM shown JOIN messages m ON m.id = shown.parent_id JOIN messages f ON f.id = m.lane
)
"""
"""What the forks of this user show of rows that are not their own."""

_DOOMED = """
SELECT m.n FROM messages m WHERE m.thread_id = :thread_id
    AND NOT EXISTS (SELECT 1 FROM shown s WHERE s.lane = m.lane AND s.hi >= m.depth)
"""

_UNINDEX = f"""
WITH RECURSIVE {_SHOWN}
INSERT INTO search (search, rowid, content) SELECT 'delete', m.n, m.content FROM messages m
WHERE m.n IN ({_DOOMED}) AND m.n <= (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'indexed')
"""

_DROP = f"WITH RECURSIVE {_SHOWN} DELETE FROM messages WHERE n IN ({_DOOMED})"

_FORGET_RUN = "UPDATE messages SET run_id = NULL WHERE thread_id = :thread_id AND run_id IS NOT NULL"

_LOWER_MARK = """
UPDATE meta SET value = CAST(min(CAST(value AS INTEGER), (SELECT coalesce(max(n), 0) FROM messages)) AS TEXT)
WHERE key = 'indexed'
"""
"""Row numbers above the largest are given out again, to messages that are not indexed yet."""
