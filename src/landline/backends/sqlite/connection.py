"""Connections and their faults: how a connection is set up, and which errors mean that the disk refuses."""

import sqlite3
from pathlib import Path
from typing import Any

from landline.model.errors import StorageFailed

__all__ = ["connect", "first", "is_storage_fault", "storage_failed"]

BUSY_S = 5.0
WAL_PAGES = 2_000
"""A checkpoint each 8 MB of log: rarer ones stall longer, more frequent ones write the same pages again."""
WAL_KEPT_BYTES = 64 * 1024 * 1024
"""What a log that once grew (a checkpoint had to wait for a reader) is cut back to."""

_STORAGE_FAULTS = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_NOMEM,
}


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the database; transactions are begun by hand, statements stay prepared."""
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, cached_statements=512)
    connection.row_factory = sqlite3.Row
    try:
        if not read_only:
            # Kept in the file by the one who prepares it; two connections that set it at once refuse each other.
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = {-2_000 if read_only else -8_000}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:  # whatever it was, the file must not stay open
        connection.close()
        raise
    return connection


def first(connection: sqlite3.Connection, statement: str, parameters: dict[str, Any]) -> Any:
    """Return the first row, or None."""
    return connection.execute(statement, parameters).fetchone()


def is_storage_fault(error: BaseException) -> bool:
    """Tell whether the disk or the file refused, rather than the statement being wrong."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.DatabaseError) and code is not None and (code & 0xFF) in _STORAGE_FAULTS


def storage_failed(error: BaseException) -> StorageFailed:
    """Return what callers see of a storage fault."""
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    return StorageFailed(f"The database cannot be written or read now ({name}).", retry_after_s=5)
