"""The one thread that writes: takes everything that waits, writes it in one transaction, and answers all at once.

Operations gather while a commit is on its way to the disk and while the loop has other things to do; so under load many
runs share one fsync (group commit). An operation is a plain function of the connection. It stands or falls alone: one
that refuses before it has written anything is simply left out; if one fails after writing, the transaction is rolled back and all are run again,
each inside its own savepoint. The common case pays for neither.

The interpreter's lock is why operations use few, large statements: each step of a statement gives the lock away, and
a busy event loop gives it back up to a switch interval (5 ms) later.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from landline.backends.sql.gathering import Gathering
from landline.backends.sqlite.connection import connect, is_storage_fault, storage_failed
from landline.model.errors import Conflict, Invalid, LandlineError, StorageFailed

__all__ = ["Operation", "Writer"]

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

LARGEST_BATCH = 512
"""Operations in one transaction beyond which no more are waited for."""


@dataclass(slots=True)
class _Pending:
    """An operation and who waits for it. `careful` replaces `operation` when the batch is run again."""

    operation: Operation[Any]
    careful: Operation[Any]
    durable: bool
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class _Dirty(Exception):
    """An operation refused after it had written something."""


@dataclass(slots=True)
class Writer:
    """The writer thread of one database."""

    path: Path
    _queue: queue.SimpleQueue[list[_Pending] | None] = field(
        default_factory=queue.SimpleQueue[list[_Pending] | None]
    )
    _thread: threading.Thread | None = None
    _connection: sqlite3.Connection | None = None
    _full: bool | None = None
    _door: threading.Lock = field(default_factory=threading.Lock)
    _closing: bool = False
    _gathering: Gathering[_Pending] = field(init=False)
    commits: int = 0

    def __post_init__(self) -> None:
        self._gathering = Gathering(self._hand)

    def start(self) -> None:
        """Begin to write."""
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="landline-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and end; blocks until it has. What comes meanwhile is refused."""
        with self._door:
            self._closing = True
            self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._fail_rest()

    def _fail_rest(self) -> None:
        while not self._queue.empty():
            _answer(_refused(self._queue.get() or []))

    async def run(self, operation: Operation[T], *, durable: bool, careful: Operation[T] | None = None) -> T:
        """Return the operation's result once it is committed (and on disk, if `durable`).

        A caller that is cancelled meanwhile does not stop the operation.

        Raises:
            StorageFailed: The disk refuses; nothing of the batch was written.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._gathering.add(loop, _Pending(operation, careful or operation, durable, loop, future))
        return await future

    def _hand(self, gathered: list[_Pending]) -> None:
        with self._door:  # nothing may be put behind the end
            if not self._closing and self._thread is not None:
                self._queue.put(gathered)
            else:
                _resolve(_refused(gathered))

    def _run(self) -> None:
        ending = False
        while not ending:
            batch: list[_Pending] = []
            while (gathered := self._queue.get()) is not None:
                batch += gathered
                if len(batch) >= LARGEST_BATCH or self._queue.empty():
                    break
            ending = gathered is None
            if batch:
                self._write(batch)
                _answer(batch)
        self._drop_connection()

    def _write(self, batch: Sequence[_Pending]) -> None:
        try:
            connection = self._ready(durable=any(pending.durable for pending in batch))
            try:
                self._transact(connection, batch, _run_plain)
            except Exception as error:  # whatever it was, the careful pass finds whose fault it is
                if is_storage_fault(error):
                    raise
                self._transact(connection, batch, _run_alone)
        except Exception as error:  # noqa: BLE001 - the thread must outlive every fault; the callers are told
            for pending in batch:
                pending.error = storage_failed(error) if isinstance(error, sqlite3.Error) else error
            # A connection that met a full disk or an I/O error is not trusted with the next batch (REL-8).
            self._drop_connection()

    def _transact(
        self,
        connection: sqlite3.Connection,
        batch: Sequence[_Pending],
        each: Callable[[sqlite3.Connection, _Pending], None],
    ) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for pending in batch:
                pending.result = pending.error = None
                each(connection, pending)
            connection.execute("COMMIT")
        except BaseException:  # whatever it was, no transaction may stay open
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self.commits += 1

    def _ready(self, *, durable: bool) -> sqlite3.Connection:
        if self._connection is None:
            self._connection, self._full = connect(self.path), None
        if self._full is not durable:
            # FULL syncs the log with each commit; NORMAL leaves that to the next FULL one or the checkpoint.
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._full = durable
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Closing checkpoints; on a full disk the log simply stays for the next start.
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _refused(batch: list[_Pending]) -> list[_Pending]:
    for pending in batch:
        pending.error = StorageFailed("The database is closed.")
    return batch


def _run_plain(connection: sqlite3.Connection, pending: _Pending) -> None:
    before = connection.total_changes
    try:
        pending.result = pending.operation(connection)
    except LandlineError as error:
        if connection.total_changes != before:
            raise _Dirty from error
        pending.error = error


def _run_alone(connection: sqlite3.Connection, pending: _Pending) -> None:
    connection.execute("SAVEPOINT alone")
    try:
        pending.result = pending.careful(connection)
    except Exception as error:  # it fails for its caller alone; the batch goes on
        if is_storage_fault(error):
            raise
        connection.execute("ROLLBACK TO alone")
        pending.error = _domain_error(error)
    connection.execute("RELEASE alone")


def _domain_error(error: Exception) -> Exception:
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict("Something else with the same id or in the same place was stored first.")
    if isinstance(error, (UnicodeEncodeError, OverflowError)):
        return Invalid("A text or number in the request cannot be stored.", code="unstorable")
    return error


def _answer(batch: Sequence[_Pending]) -> None:
    """Hand out all results with one call into each event loop."""
    for loop in {pending.loop for pending in batch}:
        mine = [pending for pending in batch if pending.loop is loop]
        try:
            loop.call_soon_threadsafe(_resolve, mine)
        except RuntimeError:
            # The loop is closed: nobody waits any more, and what was written is written.
            continue


def _resolve(batch: Sequence[_Pending]) -> None:
    for pending in batch:
        if pending.future.done():
            continue
        if pending.error is not None:
            pending.future.set_exception(pending.error)
        else:
            pending.future.set_result(pending.result)
