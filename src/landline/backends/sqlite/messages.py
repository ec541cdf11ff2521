"""Messages: appending at a place in the tree, and reading branches as ranges of lanes (see sql/statements/messages).

A branch is read in one step of one statement: the rows come back as one blob, fields apart by 0x1f and rows by 0x1e,
which JSON never contains. A row per step would hand the interpreter's lock around once per message, and on a busy
server each hand-over waits for the event loop.
"""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

import sqlite3
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from landline.backends.sql.pages import bound_limit, number_cursor, pack
from landline.backends.sql.rows import Row, decode_metadata, decode_native, decode_parts, message_columns
from landline.backends.sql.statements import messages as sql
from landline.backends.sql.statements import threads as thread_sql
from landline.backends.sqlite.caller import missing, named, who
from landline.backends.sqlite.connection import first
from landline.model.callers import Caller
from landline.model.messages import Message, Role
from landline.model.threads import Page
from landline.ports.store import MessageQuery, NewMessage

__all__ = ["append_input", "append_rows", "branch", "in_tree", "page"]

_PACKED = """CAST(group_concat(
    id || x'1f' || coalesce(run_id, '') || x'1f' || coalesce(parent_id, '') || x'1f' || seq || x'1f'
    || role || x'1f' || created_at || x'1f' || json_quote(content) || x'1f' || CAST(parts AS TEXT) || x'1f'
    || CAST(metadata AS TEXT) || x'1f' || coalesce(CAST(native AS TEXT), ''), x'1e') AS BLOB)"""

# A fork shows the rows it shares numbered by their depth, so that its numbers rise without a gap.
_COLUMNS = """m.id, m.run_id, m.parent_id, CASE WHEN m.thread_id = :thread_id THEN m.seq ELSE m.depth END AS seq,
    m.role, m.created_at, m.content, m.parts, m.metadata"""

_RANGE = f"""
WITH RECURSIVE {sql.PATH} SELECT {_PACKED} FROM (
    SELECT {_COLUMNS}, CASE WHEN :native THEN m.native END AS native
    FROM path JOIN messages m ON m.lane = path.lane AND m.depth <= path.hi
    WHERE m.depth >= :first AND m.depth < :first + :limit ORDER BY m.depth)
"""

_OWN = f"""
SELECT {_PACKED} FROM (SELECT {_COLUMNS}, NULL AS native FROM messages m
    WHERE m.thread_id = :thread_id AND m.seq > :after ORDER BY m.seq LIMIT :limit)
"""


def append_rows(
    connection: sqlite3.Connection,
    *,
    thread_id: str,
    run_id: str,
    parent_id: str | None,
    rows: Sequence[NewMessage],
) -> str | None:
    """Append `rows` below `parent_id`, each below the one before, and return the last one's id."""
    for nth, message in enumerate(rows, 1):
        place = {"thread_id": thread_id, "run_id": run_id, "parent_id": parent_id, "nth": nth}
        connection.execute(sql.INSERT, {**message_columns(message), **place})
        parent_id = message.id
    return parent_id


def append_input(
    connection: sqlite3.Connection,
    *,
    thread_id: str,
    run_id: str,
    parent_id: str | None,
    message: NewMessage | None,
    at: str,
) -> str | None:
    """Append a run's user message and choose its branch; returns where the answer goes.

    A run without a message answers again below `parent_id`: the branch is chosen up to there.
    """
    rows = () if message is None else (message,)
    tail_id = append_rows(connection, thread_id=thread_id, run_id=run_id, parent_id=parent_id, rows=rows)
    moved = {"id": thread_id, "head_id": tail_id, "added": len(rows), "at": at}
    connection.execute(thread_sql.MOVE_HEAD, moved)
    return tail_id


def in_tree(connection: sqlite3.Connection, caller: Caller, thread: Row, message_id: str) -> Row | None:
    """Return the place of a message of the thread's tree, rows shared by a fork included; None for any other."""
    place = first(connection, sql.PLACE, {"id": message_id, **who(caller)})
    if place is None or place["thread_id"] == thread["id"]:
        return place
    if thread["base_id"] is None:
        return None
    shared = {
        "head_id": thread["base_id"],
        "first": place["depth"],
        "lane": place["lane"],
        "depth": place["depth"],
    }
    return place if first(connection, sql.ON_PATH, shared) else None


def branch(
    connection: sqlite3.Connection, caller: Caller, thread_id: str, head_id: str | None, limit: int | None
) -> list[Message]:
    """Return the last `limit` messages of the branch that ends at `head_id`; the thread's own head for None."""
    end = _end(connection, caller, thread_id, head_id)
    if end["head_id"] is None:
        return []
    depth: int = end["depth"]
    count = depth if limit is None else max(0, min(limit, depth))
    return _range(connection, end, depth - count + 1, count, native=True) if count else []


def page(connection: sqlite3.Connection, caller: Caller, query: MessageQuery) -> Page[Message]:
    """Return a page, oldest first, without reading what lies before or after it (THR-6)."""
    limit, after = bound_limit(query.limit), number_cursor(query.cursor)
    end = _end(connection, caller, query.thread_id, None)
    items: list[Message] = []
    if query.branch == "head":
        # On a branch the depth is the place: it rises by one from the root, so a page is a range of it.
        if end["head_id"] is not None and end["depth"] > after:
            items = _range(connection, end, after + 1, limit, native=False)
        more = bool(items) and after + len(items) < end["depth"]
        return Page(items=items, next_cursor=pack(after + len(items)) if more else None)
    shared: int = end["base_depth"] or 0
    if after < shared:
        base = {"id": query.thread_id, "head_id": end["base_id"]}
        items = _range(connection, base, after + 1, min(limit, shared - after), native=False)
    if len(items) < limit:
        rest = {"thread_id": query.thread_id, "after": max(after, shared), "limit": limit - len(items)}
        items += _packed(connection, _OWN, rest)
    last = items[-1].seq if items else after
    return Page(items=items, next_cursor=pack(last) if last < end["message_count"] and items else None)


def _end(connection: sqlite3.Connection, caller: Caller, thread_id: str, head_id: str | None) -> Row:
    """Return the thread and the place of `head_id` in it. Raises NotFound for either."""
    parameters = {**named(caller, "thread", thread_id), "thread_id": thread_id, "head_id": head_id}
    end: Row | None = first(connection, sql.END, parameters)
    if end is None:
        raise missing("thread", thread_id)
    if head_id is not None and end["head_id"] is None:
        raise missing("message", head_id)
    # The thread's own head is in its tree by construction; a named one is looked up.
    elsewhere = head_id is not None and end["head_thread"] != thread_id
    if elsewhere and in_tree(connection, caller, end, str(head_id)) is None:
        raise missing("message", str(head_id))
    return end


def _range(
    connection: sqlite3.Connection, end: Row, lowest: int, count: int, *, native: bool
) -> list[Message]:
    parameters = {
        "thread_id": end["id"],
        "head_id": end["head_id"],
        "first": lowest,
        "limit": count,
        "native": native,
    }
    return _packed(connection, _RANGE, parameters)


def _packed(connection: sqlite3.Connection, statement: str, parameters: dict[str, Any]) -> list[Message]:
    blob: bytes | None = first(connection, statement, parameters)[0]
    thread_id: str = parameters["thread_id"]
    return [_message(record.split(b"\x1f"), thread_id) for record in blob.split(b"\x1e")] if blob else []


def _message(fields: list[bytes], thread_id: str) -> Message:
    """Return the message as `thread_id` shows it: under its own id, so nothing points at a thread that may be gone."""
    id_, run_id, parent_id, seq, role, created_at, content, parts, metadata, native = fields
    return Message(
        id=id_.decode(),
        thread_id=thread_id,
        run_id=run_id.decode() or None,
        parent_id=parent_id.decode() or None,
        seq=int(seq),
        role=cast("Role", role.decode()),
        content=msgspec.json.decode(content, type=str),
        parts=decode_parts(parts),
        created_at=created_at.decode(),
        metadata=decode_metadata(metadata),
        native=decode_native(native) if native else None,
    )
