"""A few threads that read, each with its own connection and a consistent view per operation; they never block the writer."""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from landline.backends.sql.gathering import Gathering
from landline.backends.sqlite.connection import connect, is_storage_fault, storage_failed
from landline.model.errors import Invalid, StorageFailed

__all__ = ["Readers"]

_NOT_WHAT_WAS_WRITTEN = (msgspec.MsgspecError, TypeError, ValueError, AttributeError)
"""What decoding raises on a row that this build did not write (TRU-15)."""

_logger = logging.getLogger(__name__)

T = TypeVar("T")
_Work = tuple[Callable[[sqlite3.Connection], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


@dataclass(slots=True)
class Readers:
    """The reader threads of one database."""

    path: Path
    count: int = 2
    _queue: queue.SimpleQueue[_Work | None] = field(default_factory=queue.SimpleQueue[_Work | None])
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread])
    _door: threading.Lock = field(default_factory=threading.Lock)
    _closing: bool = False
    _gathering: Gathering[_Work] = field(init=False)

    def __post_init__(self) -> None:
        self._gathering = Gathering(self._hand)

    def start(self) -> None:
        """Begin to read."""
        self._closing = False
        for number in range(self.count):
            thread = threading.Thread(target=self._run, name=f"landline-reader-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Read what waits and end; blocks until it has. What comes meanwhile is refused."""
        with self._door:
            self._closing = True
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._fail_rest()

    def _fail_rest(self) -> None:
        while not self._queue.empty():
            work = self._queue.get()
            if work is not None:
                _, loop, future = work
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(_resolve, future, None, _closed())

    async def run(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Return what the operation reads; everything committed before this call is seen. Raises StorageFailed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._gathering.add(loop, (operation, loop, future))
        return await future

    def _hand(self, gathered: list[_Work]) -> None:
        with self._door:  # nothing may be put behind the end
            if not self._closing and self._threads:
                for work in gathered:
                    self._queue.put(work)
            else:
                _refuse(gathered)

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while (work := self._queue.get()) is not None:
            operation, loop, future = work
            result, error = None, None
            try:
                connection = connection or connect(self.path, read_only=True)
                result = _read(connection, operation)
            except Exception as raised:  # whoever waits is told whatever it is, and the thread goes on
                error = raised
                if is_storage_fault(raised):
                    error = storage_failed(raised)
                    if connection is not None:
                        connection.close()
                    connection = None
                elif isinstance(raised, (UnicodeEncodeError, OverflowError)):
                    error = Invalid("A text or number in the request cannot be looked up.", code="unstorable")
                elif isinstance(raised, _NOT_WHAT_WAS_WRITTEN):
                    # Logged whole: what was changed behind our back, or a fault of ours, is for the owner to find.
                    _logger.exception("a row cannot be read")
                    error = StorageFailed(
                        "What is stored here cannot be read.", code="stored_data_unreadable"
                    )
            try:
                loop.call_soon_threadsafe(_resolve, future, result, error)
            except RuntimeError:
                continue  # the loop is closed: nobody waits any more
        if connection is not None:
            connection.close()


def _read(connection: sqlite3.Connection, operation: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN")
    try:
        return operation(connection)
    finally:
        # After some faults SQLite has rolled back itself; a second time would hide what happened.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _refuse(gathered: list[_Work]) -> None:
    for _, _, future in gathered:
        _resolve(future, None, _closed())


def _closed() -> StorageFailed:
    return StorageFailed("The database is closed.")


def _resolve(future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
