"""What a turn costs, in bytes and statements, not in time."""

import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from landline.backends.sql.statements import runs
from landline.backends.sqlite import SqliteStore
from landline.backends.sqlite.writer import Writer
from landline.model.events import TextDelta
from landline.model.usage import Spent
from landline.ports.store import MessageQuery
from landline.testing.stores import ALICE, Pen, new_thread, start

WINDOW = 50


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "landline.db")
    await store.open()
    yield store
    await store.close()


def writer_of(store: SqliteStore) -> Writer:
    return vars(store)["_writer"]


async def turn(store: SqliteStore, thread_id: str) -> None:
    accepted = await start(store, thread_id, "how are you today?")
    assert accepted.claim
    await Pen(store, accepted.claim).complete(
        "fine, and how are you?" * 5, spent=[Spent(runs=1, seconds=0.1)]
    )


@pytest.mark.contract("PRF-5", "THR-3")
async def test_the_thousandth_turn_writes_as_many_bytes_as_the_tenth(
    store: SqliteStore, tmp_path: Path
) -> None:
    log = tmp_path / "landline.db-wal"

    def keep_the_log(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA wal_autocheckpoint = 0")

    await writer_of(store).run(keep_the_log, durable=False)
    for _ in range(5):  # trees of their usual depth: an empty database writes less, whatever the thread
        other = await new_thread(store)
        for _ in range(40):
            await turn(store, other.id)
    thread = await new_thread(store)
    written: dict[int, int] = {}
    before = log.stat().st_size
    for k in range(1, 1_001 + WINDOW):
        if k in (10, 10 + WINDOW, 1_000, 1_000 + WINDOW):
            before, now = log.stat().st_size, before
            written[k] = before - now
        await turn(store, thread.id)
    early, late = written[10 + WINDOW], written[1_000 + WINDOW]
    assert abs(late - early) <= 0.05 * early, (early, late)


async def traced(store: SqliteStore, seen: list[str]) -> None:
    await writer_of(store).run(lambda c: c.set_trace_callback(seen.append), durable=True)


def kinds(seen: list[str]) -> set[str]:
    return {" ".join(s.split()[:3]) for s in seen if re.match(r"\s*(INSERT|UPDATE|DELETE)", s)}


async def test_a_plain_turn_is_two_commits_of_few_statements(store: SqliteStore) -> None:
    thread = await new_thread(store)
    await turn(store, thread.id)
    seen: list[str] = []
    await traced(store, seen)
    before = writer_of(store).commits
    await turn(store, thread.id)
    assert writer_of(store).commits - before == 2
    assert kinds(seen) == {
        "INSERT INTO runs",
        "INSERT INTO events",
        "INSERT INTO messages",
        "UPDATE threads SET",
        "UPDATE runs SET",
        "INSERT INTO usage",
    }
    assert sum("INTO usage" in statement for statement in seen) == 1


@pytest.mark.contract("EVT-6")
async def test_tokens_of_many_runs_are_one_statement(store: SqliteStore) -> None:
    pens: list[Pen] = []
    for _ in range(50):
        accepted = await start(store, (await new_thread(store)).id)
        assert accepted.claim
        pens.append(Pen(store, accepted.claim))
    seen: list[str] = []
    await traced(store, seen)
    await store.append([pen.batch(TextDelta(message_id="m", delta="x")) for pen in pens])
    statements = [s for s in seen if not re.match(r"\s*(BEGIN|COMMIT|PRAGMA)", s)]
    assert len(statements) == 1


async def test_a_page_of_history_reads_its_own_rows_only(store: SqliteStore) -> None:
    """Steps of SQLite's machine for a page near the end must not grow with what lies before it."""
    thread = await new_thread(store)

    def steps_of(query: MessageQuery) -> int:
        connection = sqlite3.connect(vars(store)["_path"], isolation_level=None)
        connection.row_factory = sqlite3.Row
        count = 0

        def step() -> None:
            nonlocal count
            count += 1

        from landline.backends.sqlite.messages import page

        connection.set_progress_handler(step, 1)
        page(connection, ALICE, query)
        connection.close()
        return count

    for _ in range(20):
        await turn(store, thread.id)
    short = steps_of(MessageQuery(thread_id=thread.id, limit=10))
    for _ in range(180):
        await turn(store, thread.id)
    assert steps_of(MessageQuery(thread_id=thread.id, limit=10)) < 1.2 * short
    page = await store.list_messages(ALICE, MessageQuery(thread_id=thread.id, limit=350))
    late = MessageQuery(thread_id=thread.id, limit=10, cursor=page.next_cursor)
    assert steps_of(late) < 1.2 * short


@pytest.mark.contract("PRF-5")
async def test_what_settles_nothing_writes_no_index_of_runs(store: SqliteStore) -> None:
    columns = ("n", "epoch", "progress", "tail_id", "started_at", "usage", "model", "spent_s")

    def written(connection: sqlite3.Connection, statement: str) -> int:
        settled = dict.fromkeys(("status", "ended_at", "output", "message_id", "error"))
        steps = connection.execute(f"EXPLAIN {statement}", {**dict.fromkeys(columns), **settled})
        return sum(step["opcode"] == "IdxInsert" for step in steps)

    writer = writer_of(store)
    assert await writer.run(lambda c: written(c, runs.GO_ON), durable=False) == 0
    assert await writer.run(lambda c: written(c, runs.SETTLE), durable=False) > 0
