"""The writer: group commit, faults that stay with their own operation, disks that refuse."""

import asyncio
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from landline.backends.sqlite import SqliteStore
from landline.backends.sqlite.readers import Readers
from landline.backends.sqlite.writer import Writer
from landline.model.callers import SYSTEM
from landline.model.errors import Conflict, Invalid, StorageFailed
from landline.model.ids import new_id
from landline.ports.store import NewThread
from landline.testing.stores import ALICE, Pen, moment, new_thread, start


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    writer = Writer(tmp_path / "w.db")
    writer.start()
    await writer.run(lambda c: c.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)"), durable=True)
    yield writer
    await asyncio.to_thread(writer.stop)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "landline.db")
    await store.open()
    yield store
    await store.close()


def put(n: int, then: Exception | None = None):
    def operation(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO t VALUES (?)", (n,))
        if then is not None:
            raise then
        return n

    return operation


def count(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT count(*) FROM t").fetchone()[0]


async def test_what_waits_together_is_committed_together(writer: Writer) -> None:
    before = writer.commits
    await asyncio.gather(*(writer.run(put(n), durable=True) for n in range(200)))
    assert await writer.run(count, durable=False) == 200
    assert writer.commits - before < 20


@pytest.mark.contract("REL-1")
async def test_only_durable_commits_wait_for_the_disk(writer: Writer) -> None:
    def mode(connection: sqlite3.Connection) -> int:
        return connection.execute("PRAGMA synchronous").fetchone()[0]

    modes = [await writer.run(mode, durable=durable) for durable in (False, True, True, False)]
    assert modes == [1, 2, 2, 1]  # NORMAL, FULL
    together = await asyncio.gather(*(writer.run(mode, durable=n == 3) for n in range(5)))
    assert together[3] == 2


@pytest.mark.parametrize("fault", [Invalid("no"), ValueError("bug"), sqlite3.IntegrityError("twice")])
async def test_an_operation_that_fails_after_writing_leaves_nothing_and_spares_the_others(
    writer: Writer, fault: Exception
) -> None:
    operations = [put(1), put(2, fault), put(3), put(3), put(4)]
    results = await asyncio.gather(
        *(writer.run(operation, durable=True) for operation in operations), return_exceptions=True
    )
    expected = Conflict if isinstance(fault, sqlite3.IntegrityError) else type(fault)
    assert [type(result) for result in results] == [int, expected, int, Conflict, int]
    assert await writer.run(count, durable=False) == 3


async def test_a_refusal_before_writing_costs_nobody_a_second_run(writer: Writer) -> None:
    runs: list[int] = []

    def counted(connection: sqlite3.Connection) -> None:
        runs.append(1)
        put(len(runs))(connection)

    def refuse(_connection: sqlite3.Connection) -> None:
        raise Invalid("no")

    results = await asyncio.gather(
        *(writer.run(operation, durable=True) for operation in (counted, refuse, counted)),
        return_exceptions=True,
    )
    assert isinstance(results[1], Invalid)
    assert len(runs) == 2


async def test_a_caller_who_leaves_does_not_stop_its_operation(writer: Writer) -> None:
    task = asyncio.ensure_future(writer.run(put(1), durable=True))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await writer.run(count, durable=True) == 1


async def test_a_closed_store_says_so(store: SqliteStore) -> None:
    await store.close()
    with pytest.raises(StorageFailed):
        await store.get_thread(ALICE, new_id())
    with pytest.raises(StorageFailed):
        await store.create_thread(ALICE, NewThread(id=new_id(), agent="a", at=moment()))


@pytest.mark.parametrize("threads", [Writer, Readers])
async def test_what_comes_while_it_closes_is_refused_and_what_came_before_is_done(
    tmp_path: Path, threads: type[Writer] | type[Readers]
) -> None:
    one = threads(tmp_path / "w.db")
    begun, go = threading.Event(), threading.Event()

    def slow(_connection: sqlite3.Connection) -> int:
        begun.set()
        go.wait(5)
        return 1

    def call() -> Awaitable[int]:
        return one.run(slow, durable=False) if isinstance(one, Writer) else one.run(slow)

    for _ in range(2):  # it may be opened again
        begun.clear()
        go.clear()
        one.start()
        before = [asyncio.ensure_future(call()) for _ in range(5)]
        await asyncio.to_thread(begun.wait, 5)
        stopping = asyncio.ensure_future(asyncio.to_thread(one.stop))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(2):
            with pytest.raises(StorageFailed):
                await call()
        go.set()
        await stopping
        assert await asyncio.gather(*before) == [1] * 5
        with pytest.raises(StorageFailed):
            await call()


@pytest.mark.parametrize("threads", [Writer, Readers])
async def test_what_no_thread_took_is_failed(
    tmp_path: Path, threads: type[Writer] | type[Readers], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_self: object) -> None:
        """Take nothing."""

    monkeypatch.setattr(threads, "_run", die)
    one = threads(tmp_path / "w.db")
    one.start()
    call = one.run(count, durable=True) if isinstance(one, Writer) else one.run(count)
    waiting = asyncio.ensure_future(call)
    await asyncio.sleep(0)
    await asyncio.to_thread(one.stop)
    async with asyncio.timeout(2):
        with pytest.raises(StorageFailed):
            await waiting


async def test_a_read_that_sqlite_rolled_back_shows_its_own_fault(tmp_path: Path) -> None:
    readers = Readers(tmp_path / "r.db")
    readers.start()

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")
        raise RuntimeError("the fault")

    with pytest.raises(RuntimeError, match="the fault"):
        await readers.run(broken)
    await asyncio.to_thread(readers.stop)


@contextmanager
def full_disk(at_bytes: int) -> Generator[None]:
    """Let no file of this process grow beyond `at_bytes`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.contract("REL-8")
async def test_a_disk_that_refuses_stops_writes_only_and_only_while_it_does(
    store: SqliteStore, tmp_path: Path
) -> None:
    accepted = await start(store, (await new_thread(store)).id)
    assert accepted.claim
    pen = Pen(store, accepted.claim)
    await pen.stream("before")
    with full_disk((tmp_path / "landline.db-wal").stat().st_size):
        for _ in range(3):
            with pytest.raises(StorageFailed):
                await store.check()
            with pytest.raises(StorageFailed):
                await new_thread(store)
        batch = pen.batch()
        with pytest.raises(StorageFailed):
            await pen.stream("lost")
        pen.seq -= 1
        assert len(await store.events(ALICE, accepted.run.id, after=0, limit=9)) == 2
        assert (await store.get_run(ALICE, accepted.run.id)).status == "running"
    assert batch.events == []
    await store.check()
    assert not (await pen.stream("after")).fenced
    assert not (await pen.complete()).fenced
    assert await store.verify(SYSTEM) == []


TURN = """
import asyncio, sys
from pathlib import Path
from landline.backends.sqlite import SqliteStore
from landline.testing.stores import Pen, new_thread, start

def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    thread = await new_thread(store)
    say("<accept")
    accepted = await start(store, thread.id)
    say("accept>")
    pen = Pen(store, accepted.claim)
    say("<tokens")
    await pen.stream("a")
    say("tokens>")
    say("<end")
    await pen.complete()
    say("end>")
    await store.close()

asyncio.run(main())
"""


@pytest.mark.contract("REL-1")
@pytest.mark.skipif(shutil.which("strace") is None, reason="the system calls are watched with strace")
def test_the_disk_is_asked_between_a_request_and_its_answer(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=fsync,fdatasync,write", "-o", str(trace)]
    ran = subprocess.run(
        [*command, sys.executable, "-c", TURN, str(tmp_path / "landline.db")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if ran.returncode != 0 and "PTRACE" in ran.stderr:
        pytest.skip("tracing is not allowed here")
    assert ran.returncode == 0, ran.stderr
    calls = trace.read_text(errors="replace")

    def between(mark: str) -> str:
        return calls[calls.index(f'"<{mark}"') : calls.index(f'"{mark}>"')]

    assert "sync(" in between("accept")
    assert "sync(" in between("end")
    assert "sync(" not in between("tokens")
