"""Idempotency keys: what a key made is found again, in the transaction that made it (RUN-7)."""

import sqlite3
from datetime import timedelta

from landline.backends.sql.statements import threads as sql
from landline.backends.sqlite.caller import who
from landline.backends.sqlite.connection import first
from landline.model.callers import Caller
from landline.model.errors import Invalid
from landline.model.times import iso, parse_iso
from landline.ports.store import IdempotencyKey

__all__ = ["keep_key", "replayed"]

KEYS_KEPT = timedelta(hours=48)
"""Twice what is promised, so that a step of the clock takes nothing away."""


def replayed(connection: sqlite3.Connection, caller: Caller, key: IdempotencyKey | None) -> str | None:
    """Return the id of what this key made before. Raises Invalid when it came with another body."""
    if key is None:
        return None
    row = first(connection, sql.FIND_KEY, {**who(caller), "route": key.route, "key": key.key})
    if row is None:
        return None
    if row["body_hash"] != key.body_hash:
        raise Invalid("This Idempotency-Key came before with another request.", code="idempotency_key_reused")
    return row["target_id"]


def keep_key(
    connection: sqlite3.Connection, caller: Caller, key: IdempotencyKey | None, target_id: str, at: str
) -> None:
    """Keep a key with what it made, and drop keys that are long out of date."""
    if key is None:
        return
    connection.execute(sql.PURGE_KEYS, {"before": iso(parse_iso(at) - KEYS_KEPT)})
    row = {"route": key.route, "key": key.key, "body_hash": key.body_hash, "target_id": target_id, "at": at}
    connection.execute(sql.INSERT_KEY, {**who(caller), **row})
