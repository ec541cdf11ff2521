"""Files and API keys."""

import sqlite3

from landline.backends.sql.rows import file_of, json, key_of
from landline.backends.sql.statements import people as sql
from landline.backends.sqlite.caller import missing, named, who
from landline.backends.sqlite.connection import first
from landline.backends.sqlite.idempotency import keep_key, replayed
from landline.model.callers import Caller
from landline.model.files import FileInfo
from landline.ports.keys import KeyRow, NewKey
from landline.ports.store import NewFile

__all__ = ["add_file", "add_key", "find_key", "get_file", "list_keys", "revoke_key"]


def add_file(connection: sqlite3.Connection, caller: Caller, new: NewFile) -> tuple[FileInfo, bool]:
    """Keep a file's row; returns the first one for a repeated key."""
    known = replayed(connection, caller, new.idempotency)
    if known is not None:
        row = first(connection, sql.GET_FILE, {"id": known, **who(caller)})
        if row is not None:
            return file_of(row), True
    info = new.info
    columns = {
        "id": info.id,
        "name": info.name,
        "media_type": info.media_type,
        "size": info.size,
        "sha256": info.sha256,
        "created_at": info.created_at,
    }
    connection.execute(sql.INSERT_FILE, {**who(caller), **columns})
    keep_key(connection, caller, new.idempotency, info.id, info.created_at)
    return info, False


def get_file(connection: sqlite3.Connection, caller: Caller, file_id: str) -> FileInfo:
    """Return what is known of a file."""
    row = first(connection, sql.GET_FILE, named(caller, "file", file_id))
    if row is None:
        raise missing("file", file_id)
    return file_of(row)


def add_key(connection: sqlite3.Connection, caller: Caller, key: NewKey) -> None:
    """Keep an API key for its own tenant and user; only the system makes keys for others."""
    if not caller.owns(key.tenant, key.user):
        raise missing("user", key.user)
    columns = {
        "id": key.id,
        "tenant": key.tenant,
        "user": key.user,
        "prefix": key.prefix,
        "hash": key.hash,
        "scopes": json(list(key.scopes)),
        "name": key.name,
        "at": key.at,
        "expires_at": key.expires_at,
    }
    connection.execute(sql.INSERT_API_KEY, columns)


def find_key(connection: sqlite3.Connection, prefix: str) -> list[KeyRow]:
    """Return the keys with this prefix, revoked and expired ones included."""
    return [key_of(row) for row in connection.execute(sql.FIND_API_KEYS, {"prefix": prefix})]


def list_keys(connection: sqlite3.Connection, caller: Caller) -> list[KeyRow]:
    """Return the caller's keys."""
    return [key_of(row) for row in connection.execute(sql.LIST_API_KEYS, who(caller))]


def revoke_key(connection: sqlite3.Connection, caller: Caller, key_id: str, *, at: str) -> None:
    """Revoke a key; a second time changes nothing."""
    if connection.execute(sql.REVOKE_API_KEY, {**named(caller, "key", key_id), "at": at}).rowcount == 0:
        raise missing("key", key_id)
