"""The audit log: adding, listing by tenant, and the one removal that the triggers let through."""

import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from landline.backends.sql.pages import bound_limit, number_cursor, pack
from landline.backends.sql.rows import audit_columns, audit_of
from landline.backends.sql.statements import audit as sql
from landline.backends.sqlite.caller import missing
from landline.model.audit import AuditEntry
from landline.model.callers import Caller
from landline.model.threads import Page
from landline.ports.audit import AuditQuery

__all__ = ["add", "listed", "prune"]

LAST = 2**62
"""A place behind every row."""


def add(connection: sqlite3.Connection, entries: Sequence[AuditEntry]) -> None:
    """Keep entries; one that is there already stays as it is."""
    connection.executemany(sql.INSERT, map(audit_columns, entries))


def listed(connection: sqlite3.Connection, caller: Caller, query: AuditQuery) -> Page[AuditEntry]:
    """Return a page of the caller's tenant; the system's are all."""
    limit = bound_limit(query.limit)
    if query.oldest_first:
        statement = sql.LIST_ALL_OLDEST if caller.system else sql.LIST_OLDEST
    else:
        statement = sql.LIST_ALL if caller.system else sql.LIST
    place = number_cursor(query.cursor) if query.cursor or query.oldest_first else LAST
    parameters = {
        "tenant": caller.tenant,
        "action": query.action,
        "user": query.user,
        "target": query.target,
        "after": query.after,
        "before": query.before,
        "place": place,
        "limit": limit + 1,
    }
    rows = connection.execute(statement, parameters).fetchall()
    more = pack(rows[limit - 1]["n"]) if len(rows) > limit else None
    return Page(items=[audit_of(row) for row in rows[:limit]], next_cursor=more)


def prune(connection: sqlite3.Connection, caller: Caller, before: str, entry: AuditEntry) -> int:
    """Remove what is older than `before`, and keep an entry that says so."""
    if not caller.system:
        raise missing("audit", entry.id)
    connection.execute(sql.BEGIN_PRUNING, {"before": before})
    count = connection.execute(sql.PRUNE, {"before": before}).rowcount
    connection.execute(sql.END_PRUNING)
    add(connection, [replace(entry, details={**entry.details, "count": count})])
    return count
