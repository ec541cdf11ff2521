"""Files, API keys and users."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from landline.backends.sql.rows import file_of, key_columns, key_of, optional_json, user_columns, user_of
from landline.backends.sql.statements import people as sql
from landline.backends.sqlite.caller import missing, named, who
from landline.backends.sqlite.connection import first
from landline.backends.sqlite.documents import ALL
from landline.backends.sqlite.idempotency import keep_key, replayed
from landline.model.callers import Caller
from landline.model.errors import Conflict
from landline.model.files import FileInfo
from landline.ports.keys import KeyRow, NewKey
from landline.ports.people import NewUser, UserPatch, UserRow
from landline.ports.store import NewFile

__all__ = [
    "add_file",
    "add_key",
    "add_user",
    "find_key",
    "find_user",
    "get_file",
    "get_key",
    "get_user",
    "list_keys",
    "list_users",
    "note_sign_in",
    "revoke_key",
    "update_user",
    "used_keys",
]


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


def _keeper(caller: Caller) -> dict[str, Any]:
    return {**who(caller), "admin": "admin" in caller.scopes}


def _kept(caller: Caller, what: str, id_: str) -> dict[str, Any]:
    return {**named(caller, what, id_), **_keeper(caller)}


def add_key(connection: sqlite3.Connection, caller: Caller, key: NewKey, *, retire_at: str | None) -> None:
    """Keep an API key, and have the one that it replaces end."""
    if not caller.governs(key.tenant, key.user):
        raise missing("user", key.user)
    if key.replaces is not None and retire_at is not None:
        old = get_key(connection, caller, key.replaces)
        retired = {**_kept(caller, "key", old.id), "until": retire_at}
        if connection.execute(sql.RETIRE_API_KEY, retired).rowcount == 0:
            raise Conflict(f"The key {old.id} is revoked.", code="key_ended")
    connection.execute(sql.INSERT_API_KEY, key_columns(key))


def find_key(connection: sqlite3.Connection, prefix: str) -> list[KeyRow]:
    """Return the keys with this prefix, revoked and expired ones included."""
    return [key_of(row) for row in connection.execute(sql.FIND_API_KEYS, {"prefix": prefix})]


def get_key(connection: sqlite3.Connection, caller: Caller, key_id: str) -> KeyRow:
    """Return a key."""
    row = first(connection, sql.GET_API_KEY, _kept(caller, "key", key_id))
    if row is None:
        raise missing("key", key_id)
    return key_of(row)


def list_keys(
    connection: sqlite3.Connection, caller: Caller, *, user: str | None, after: str, limit: int | None
) -> list[KeyRow]:
    """Return the keys that the caller looks after."""
    place = {"only": user, "after": after, "limit": ALL if limit is None else limit}
    return [key_of(row) for row in connection.execute(sql.LIST_API_KEYS, {**_keeper(caller), **place})]


def revoke_key(connection: sqlite3.Connection, caller: Caller, key_id: str, *, at: str) -> None:
    """Revoke a key; a second time changes nothing."""
    if connection.execute(sql.REVOKE_API_KEY, {**_kept(caller, "key", key_id), "at": at}).rowcount == 0:
        raise missing("key", key_id)


def used_keys(connection: sqlite3.Connection, caller: Caller, used: Mapping[str, str]) -> None:
    """Note when keys were last used."""
    if caller.system:
        connection.executemany(sql.USED_API_KEY, [{"id": id_, "at": at} for id_, at in used.items()])


def add_user(connection: sqlite3.Connection, caller: Caller, new: NewUser) -> None:
    """Keep a user."""
    if not caller.governs(new.tenant, ""):
        raise missing("tenant", new.tenant)
    if connection.execute(sql.INSERT_USER, user_columns(new)).rowcount == 0:
        raise Conflict(f"There is a user {new.name} already.", code="user_exists")


def find_user(connection: sqlite3.Connection, tenant: str, name: str) -> UserRow | None:
    """Return a user by name."""
    row = first(connection, sql.FIND_USER, {"tenant": tenant, "name": name})
    return None if row is None else user_of(row)


def get_user(connection: sqlite3.Connection, caller: Caller, user_id: str) -> UserRow:
    """Return a user."""
    row = first(connection, sql.GET_USER, _kept(caller, "user", user_id))
    if row is None:
        raise missing("user", user_id)
    return user_of(row)


def list_users(
    connection: sqlite3.Connection, caller: Caller, *, tenant: str | None, after: str, limit: int | None
) -> list[UserRow]:
    """Return the users that the caller looks after."""
    place = {"only": tenant, "after": after, "limit": ALL if limit is None else limit}
    return [user_of(row) for row in connection.execute(sql.LIST_USERS, {**_keeper(caller), **place})]


def update_user(connection: sqlite3.Connection, caller: Caller, user_id: str, patch: UserPatch) -> UserRow:
    """Change a user."""
    changes = {
        "at": patch.at,
        "roles": optional_json(None if patch.roles is None else list(patch.roles)),
        "email": patch.email,
        "clear_email": patch.clear_email,
        "password_hash": patch.password_hash,
        "enable": patch.enabled is True,
        "disable": patch.enabled is False,
    }
    connection.execute(sql.UPDATE_USER, {**_kept(caller, "user", user_id), **changes})
    return get_user(connection, caller, user_id)


def note_sign_in(
    connection: sqlite3.Connection, user_id: str, *, right: bool, lock_at: int, locked_until: str | None
) -> int:
    """Count a try to sign in."""
    tried = {"id": user_id, "right": right, "lock_at": lock_at, "locked_until": locked_until}
    row = first(connection, sql.NOTE_SIGN_IN, tried)
    return 0 if row is None else row["failed_count"]
