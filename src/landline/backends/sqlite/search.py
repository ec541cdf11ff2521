"""Listing threads, with full text. What was said is indexed when somebody searches, not when it is said.

A turn stays as cheap as it was (THR-3): a full-text index merges its parts now and then, and would do so in somebody's
turn. A search first indexes what is new, in pieces so small that no turn waits long behind one.
"""

# ruff: noqa: S608 - statements are put together from our own text only; values are always bound

import re
import sqlite3
from typing import Any

from landline.backends.sql.pages import bound_limit, pack, pair_cursor
from landline.backends.sql.rows import thread_of
from landline.backends.sql.statements import owned
from landline.backends.sql.statements import threads as sql
from landline.backends.sqlite.caller import who
from landline.model.callers import Caller
from landline.model.threads import Page, Thread
from landline.ports.store import ThreadQuery

__all__ = ["index_some", "list_threads", "unindexed", "words_of"]

PIECE = 500
MOST_WORDS = 16
LAST = ("~", "~")
"""Sorts after every time and id."""

_WORD = re.compile(r"[^\W_]+")

_MARK = "coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'indexed'), 0)"

_UNINDEXED = f"SELECT EXISTS (SELECT 1 FROM messages WHERE n > {_MARK})"

_INDEX = f"""
INSERT INTO search (rowid, content) SELECT n, content FROM messages WHERE n > {_MARK} ORDER BY n LIMIT :piece
"""

_RAISE_MARK = f"""
INSERT INTO meta (key, value)
VALUES ('indexed', (SELECT max(n) FROM (SELECT n FROM messages WHERE n > {_MARK} ORDER BY n LIMIT :piece)))
ON CONFLICT (key) DO UPDATE SET value = coalesce(excluded.value, value)
"""

_SAID = """t.id IN (SELECT m.thread_id FROM search s CROSS JOIN messages m ON m.n = s.rowid
    WHERE s.content MATCH :match AND (:system OR (m.tenant = :tenant AND m.user_id = :user)))"""

# json_each compares keys as data; a path would have to be put together from the caller's text.
_METADATA = """EXISTS (SELECT 1 FROM json_each(t.metadata) j WHERE j.key = :{name}_key
    AND j.type NOT IN ('object', 'array')
    AND CASE j.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' WHEN 'null' THEN 'null'
        ELSE CAST(j.value AS TEXT) END = :{name}_value)"""


def words_of(text: str) -> list[str]:
    """Return the words to look for; whatever else is in a query is no operator here."""
    return _WORD.findall(text)[:MOST_WORDS]


def unindexed(connection: sqlite3.Connection) -> bool:
    """Tell whether anything was said since the last search."""
    return bool(connection.execute(_UNINDEXED).fetchone()[0])


def index_some(connection: sqlite3.Connection) -> bool:
    """Index the next messages, and tell whether more are left."""
    if connection.execute(_INDEX, {"piece": PIECE}).rowcount == 0:
        return False
    connection.execute(_RAISE_MARK, {"piece": PIECE})
    return unindexed(connection)


def list_threads(connection: sqlite3.Connection, caller: Caller, query: ThreadQuery) -> Page[Thread]:
    """Return a page of the caller's threads, newest change first."""
    limit = bound_limit(query.limit)
    changed, last_id = pair_cursor(query.cursor, LAST)
    parameters: dict[str, Any] = {**who(caller), "limit": limit + 1, "changed": changed, "last_id": last_id}
    conditions = [
        owned("t") if caller.system else "t.tenant = :tenant AND t.user_id = :user",
        "(t.updated_at, t.id) < (:changed, :last_id)",
    ]
    if query.agent is not None:
        conditions.append("t.agent = :agent")
        parameters["agent"] = query.agent
    if query.archived is not None:
        conditions.append("t.archived = :archived")
        parameters["archived"] = query.archived
    for number, (key, value) in enumerate(query.metadata.items()):
        name = f"metadata_{number}"
        conditions.append(_METADATA.format(name=name))
        parameters |= {f"{name}_key": key, f"{name}_value": value}
    if query.q is not None and query.q.strip():
        conditions.append(_matching(query.q, parameters))
    where = " AND ".join(conditions)
    order = "ORDER BY t.updated_at DESC, t.id DESC LIMIT :limit"
    statement = f"SELECT {sql.COLUMNS} FROM threads t WHERE {where} {order}"
    rows = connection.execute(statement, parameters).fetchall()
    items = [thread_of(row) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(items=items, next_cursor=pack(items[-1].updated_at, items[-1].id) if more else None)


def _matching(text: str, parameters: dict[str, Any]) -> str:
    """Return the condition that all words are in one message, or all in the title."""
    words = words_of(text)
    if not words:
        return "FALSE"
    parameters["match"] = " ".join(f'"{word}"*' for word in words)
    in_title: list[str] = []
    for number, word in enumerate(words):
        # Not LIKE, which ends a text at its first NUL.
        in_title.append(f"instr(lower(t.title), lower(:word_{number}))")
        parameters[f"word_{number}"] = word
    return f"({_SAID} OR ({' AND '.join(in_title)}))"
