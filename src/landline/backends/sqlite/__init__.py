"""SQLite, the embedded default: one process, one writer thread with group commit, a few reader threads.

`backend(path)` makes the store; nothing below is loaded before that.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landline.backends.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "backend"]


def backend(path: Path) -> "SqliteStore":
    """Return a store, not yet open, on the database file at `path`."""
    from landline.backends.sqlite.store import SqliteStore

    return SqliteStore(path)


def __getattr__(name: str) -> Any:
    if name == "SqliteStore":
        from landline.backends.sqlite.store import SqliteStore

        return SqliteStore
    raise AttributeError(name)
