"""One process per database: an advisory lock beside the file, held as long as the store is open (SCL-1).

The kernel drops it with the process, so a kill leaves nothing to clean up.
"""

import os
from pathlib import Path

from landline.backends.sql.errors import DatabaseLocked

__all__ = ["FileLock"]


class FileLock:
    """An exclusive lock on `<database>.lock`."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._database = database
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises DatabaseLocked when somebody else holds it."""
        import fcntl  # not there on Windows, where this backend does not run

        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise DatabaseLocked(
                f"Another process has {self._database} open, and SQLite serves one process (several workers will need "
                "PostgreSQL). Stop the other one, or take another folder: --data."
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; the file stays, because removing it would race with the next owner."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
