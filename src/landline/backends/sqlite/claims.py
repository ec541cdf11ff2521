"""Taking runs: the first queued run of a thread, a run whose questions are answered, a run whose owner is gone."""

import sqlite3
from typing import Any

from landline.backends.sql.rows import Row, claim_of, decode_input, parent_of
from landline.backends.sql.statements import runs as sql
from landline.backends.sqlite.connection import first
from landline.backends.sqlite.messages import append_input
from landline.model.callers import SYSTEM, Caller
from landline.ports.store import Claim

__all__ = ["claim", "promote", "recover", "release", "take"]

_ALL: dict[str, Any] = {"tenant": SYSTEM.tenant, "user": SYSTEM.user, "system": True}


def take(connection: sqlite3.Connection, run: Row, *, expected: str, owner: str, lost: bool = False) -> None:
    """Make the run `running` under the next epoch; whoever wrote under the last one is fenced from here on."""
    same = {"parent_id": run["parent_id"], "tail_id": run["tail_id"]}
    connection.execute(sql.TAKE, {"n": run["n"], "owner": owner, "lost": lost, "expected": expected, **same})


def claim(connection: sqlite3.Connection, run_id: str) -> Claim:
    """Return the claim on a run as it stands now."""
    return claim_of(first(connection, sql.CLAIM, {"id": run_id, **_ALL}))


def promote(connection: sqlite3.Connection, thread_id: str, *, owner: str, at: str) -> Claim | None:
    """Start the first queued run of an idle thread: its message becomes a row now, below the head of now."""
    run: Row | None = first(connection, sql.FIRST_QUEUED, {"thread_id": thread_id})
    if run is None:
        return None
    parent_id = parent_of(run["parent_id"], run["head_id"])
    message = None if run["input"] is None else decode_input(run["input"])
    run_id: str = run["id"]
    tail_id = append_input(
        connection, thread_id=thread_id, run_id=run_id, parent_id=parent_id, message=message, at=at
    )
    place = {"n": run["n"], "parent_id": parent_id, "tail_id": tail_id}
    take(connection, place, expected="queued", owner=owner)
    return claim(connection, run_id)


def release(connection: sqlite3.Connection, caller: Caller, *, owner: str) -> None:
    """Let go of every running run of the owner."""
    if caller.system:
        connection.execute(sql.RELEASE, {"owner": owner})


def recover(connection: sqlite3.Connection, caller: Caller, *, owner: str, at: str) -> list[Claim]:
    """Take over every running run of another owner, and start what waits behind nothing."""
    if not caller.system:
        return []
    claims: list[Claim] = []
    for run in connection.execute(sql.ORPHANS, {"owner": owner}).fetchall():
        take(connection, run, expected="running", owner=owner, lost=True)
        claims.append(claim(connection, run["id"]))
    for row in connection.execute(sql.IDLE_THREADS).fetchall():
        started = promote(connection, row["thread_id"], owner=owner, at=at)
        if started is not None:
            claims.append(started)
    return claims
