"""Documents: reading, listing, and writing several at once under conditions."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from landline.backends.sql.rows import document_of
from landline.backends.sql.statements import documents as sql
from landline.backends.sqlite.connection import first
from landline.model.callers import Caller
from landline.model.errors import Conflict
from landline.ports.documents import Document, DocumentWrite

__all__ = ["listed", "read", "write"]

ALL = 2**62
"""A limit that nothing reaches."""


def _own(caller: Caller, collection: str) -> dict[str, Any]:
    return {"tenant": caller.tenant, "user": caller.user, "collection": collection}


def read(
    connection: sqlite3.Connection, caller: Caller, collection: str, keys: Sequence[str]
) -> list[Document]:
    """Return those of `keys` that exist."""
    own = _own(caller, collection)
    rows = (first(connection, sql.GET, {**own, "key": key}) for key in keys)
    return [document_of(row) for row in rows if row is not None]


def listed(
    connection: sqlite3.Connection, caller: Caller, collection: str, label: str | None, limit: int | None
) -> list[Document]:
    """Return documents, last written first."""
    statement = sql.LIST if label is None else sql.LIST_LABELLED
    count = ALL if limit is None else max(0, min(limit, ALL))
    parameters = {**_own(caller, collection), "label": label, "limit": count}
    return [document_of(row) for row in connection.execute(statement, parameters).fetchall()]


def write(
    connection: sqlite3.Connection,
    caller: Caller,
    writes: Sequence[DocumentWrite],
    needs: Sequence[tuple[str, str]],
) -> None:
    """Do all writes, once all their conditions hold."""
    for change in writes:
        if change.expected is None:
            continue
        kept = first(connection, sql.VERSION, {**_own(caller, change.collection), "key": change.key})
        if (kept["version"] if kept else None) != (change.expected or None):
            raise Conflict("The document was changed meanwhile.", code="document_changed")
    for collection, key in needs:
        if first(connection, sql.VERSION, {**_own(caller, collection), "key": key}) is None:
            raise Conflict("A document that is needed is gone.", code="document_gone")
    for change in writes:
        row = {**_own(caller, change.collection), "key": change.key}
        connection.execute(sql.DELETE, row)
        if change.body is not None:
            columns = {"label": change.label, "version": change.version, "body": change.body}
            connection.execute(sql.INSERT, {**row, **columns})
