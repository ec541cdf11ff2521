"""Schema and start: migrations, backups, refusals, the lock, and what a start does not load."""

import asyncio
import importlib
import pkgutil
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.event import listen

from landline.backends.sql import migrations, statements
from landline.backends.sql.tables import metadata
from landline.backends.sqlite import SqliteStore, schema
from landline.backends.sqlite import log as sqlite_log
from landline.backends.sqlite import messages as sqlite_messages
from landline.backends.sqlite import search as sqlite_search
from landline.backends.sqlite import threads as sqlite_threads
from landline.gates.auth import make_key
from landline.model.callers import SYSTEM
from landline.model.errors import LandlineError
from landline.testing.stores import ALICE, new_thread, start


def migrated() -> Iterator[sa.Connection]:
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine = sa.create_engine("sqlite://", connect_args={"isolation_level": None}, poolclass=sa.StaticPool)
    listen(engine, "begin", begin)
    with engine.connect() as connection:
        migrations.upgrade(connection)
        connection.commit()
        yield connection
    engine.dispose()


@pytest.fixture
def by_alembic() -> Iterator[sa.Connection]:
    yield from migrated()


def shape(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: re.sub(r"\s+", " ", sql).replace(" ,", ",").strip() for name, sql in rows}


@pytest.mark.contract("REL-12")
def test_the_schema_as_text_is_what_the_migrations_make(by_alembic: sa.Connection) -> None:
    made = sqlite3.connect(":memory:")
    made.executescript(schema.SCHEMA.read_text())
    migrated = by_alembic.connection.dbapi_connection
    assert isinstance(migrated, sqlite3.Connection)
    assert shape(made) == shape(migrated)
    made.close()


@pytest.mark.contract("REL-12")
def test_the_tables_are_what_the_migrations_make(by_alembic: sa.Connection) -> None:
    def ours(_object: object, name: str | None, type_: str, _reflected: bool, _compare_to: object) -> bool:
        return not (type_ == "table" and (name or "").startswith("search"))

    context = MigrationContext.configure(by_alembic, opts={"include_object": ours})
    assert compare_metadata(context, metadata) == []


def test_the_known_revisions_are_those_on_disk() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)
    assert tuple(one.revision for one in script.walk_revisions())[::-1] == migrations.REVISIONS


def all_statements() -> Iterator[tuple[str, str]]:
    modules = [
        importlib.import_module(f"{statements.__name__}.{module.name}")
        for module in pkgutil.iter_modules(statements.__path__)
    ]
    for module in (*modules, sqlite_log, sqlite_messages, sqlite_search, sqlite_threads):
        for name, value in vars(module).items():
            if isinstance(value, str) and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", value):
                yield f"{module.__name__}.{name}", value


def test_every_statement_fits_the_schema() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema.SCHEMA.read_text())
    count = 0
    for name, statement in all_statements():
        parameters = dict.fromkeys(re.findall(r":([a-z_0-9]+)", statement))
        if ":{" in statement or "_DOOMED" in name:
            continue
        try:
            connection.execute(f"EXPLAIN {statement}", parameters)
        except sqlite3.Error as error:
            pytest.fail(f"{name}: {error}")
        count += 1
    connection.close()
    assert count > 50


def test_every_statement_of_a_turn_uses_an_index() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema.SCHEMA.read_text())
    scanning = {"people.LIST_API_KEYS"}  # few, and read by people
    for name, statement in all_statements():
        short = ".".join(name.split(".")[-2:])
        if ":{" in statement or short.split(".")[1].startswith("_") or short in scanning:
            continue
        parameters = dict.fromkeys(re.findall(r":([a-z_0-9]+)", statement))
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        scans = [line for line in plan if re.match(r"SCAN (?!path|shown|v|\d+ CONSTANT|CONSTANT)\w+$", line)]
        assert scans == [], f"{short}: {plan}"
    connection.close()


@pytest.mark.contract("REL-12")
async def test_a_newer_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "landline.db"
    store = SqliteStore(path)
    await store.open()
    await store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(LandlineError, match="9999") as refusal:
        await SqliteStore(path).open()
    assert refusal.value.code == "database_newer"
    with pytest.raises(LandlineError):  # and the lock was given back
        await SqliteStore(path).open()


async def test_a_file_that_is_no_database_of_ours_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("hello " * 1_000)
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t (n)")
    connection.close()
    for path in (text, other):
        with pytest.raises(LandlineError) as refusal:
            await SqliteStore(path).open()
        assert refusal.value.code == "database_unreadable"
    assert text.read_text().startswith("hello")


@pytest.mark.contract("REL-12")
async def test_an_older_database_is_backed_up_and_a_failed_upgrade_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "landline.db"
    store = SqliteStore(path)
    await store.open()
    thread = await new_thread(store)
    await store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()
    monkeypatch.setattr(schema, "REVISIONS", ("0000", *migrations.REVISIONS))
    killed = True

    def upgrade(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (n)")
        if killed:
            raise RuntimeError("killed")
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{migrations.HEAD}'")

    monkeypatch.setattr(migrations, "upgrade", upgrade)
    with pytest.raises(RuntimeError):
        await SqliteStore(path).open()
    connection = sqlite3.connect(path)
    assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchone()
    connection.close()
    killed = False
    store = SqliteStore(path)
    await store.open()
    assert (await store.get_thread(ALICE, thread.id)).id == thread.id
    assert await store.verify(SYSTEM) == []
    await store.close()
    kept = sqlite3.connect(tmp_path / "landline.db.bak-0000")
    assert kept.execute("SELECT id FROM threads").fetchall() == [(thread.id,)]
    kept.close()


@pytest.mark.contract("REL-12")
async def test_a_database_of_the_first_schema_is_migrated_with_its_runs(tmp_path: Path) -> None:
    path = tmp_path / "landline.db"
    store = SqliteStore(path)
    await store.open()
    thread = await new_thread(store)
    run = (await start(store, thread.id)).run
    _, key = make_key(tenant=ALICE.tenant, user=ALICE.user, at=run.created_at)
    await store.add_key(SYSTEM, key)
    await store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE runs DROP COLUMN routed_to")
        connection.execute("ALTER TABLE runs DROP COLUMN carried")
        connection.execute("DROP TABLE audit")
        for column in ("agents", "tier", "limits", "replaces"):
            connection.execute(f"ALTER TABLE api_keys DROP COLUMN {column}")
        connection.execute("DROP TABLE users")
        connection.execute("ALTER TABLE runs DROP COLUMN key_id")
        connection.execute("DROP TABLE usage")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    store = SqliteStore(path)
    await store.open()
    assert await store.get_run(ALICE, run.id) == run
    later = await start(store, (await new_thread(store)).id, routed_to="notes")
    assert (await store.get_run(ALICE, later.run.id)).routed_to == "notes"
    kept = await store.get_key(ALICE, key.id)
    assert (kept.hash, kept.tier, kept.agents, kept.limits) == (key.hash, "free", None, None)
    await store.close()


@pytest.mark.contract("SCL-1")
async def test_a_second_process_is_refused_and_told_of_postgresql(tmp_path: Path) -> None:
    path = tmp_path / "landline.db"
    store = SqliteStore(path)
    await store.open()
    with pytest.raises(LandlineError, match="PostgreSQL") as refusal:
        await SqliteStore(path).open()
    assert refusal.value.code == "database_locked"
    await store.close()
    again = SqliteStore(path)
    await again.open()
    await again.close()


HOLD = """
import asyncio, sys
from pathlib import Path
from landline.backends.sqlite import SqliteStore
from landline.testing.stores import new_thread

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    print((await new_thread(store)).id, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.contract("REL-1")
async def test_a_killed_process_leaves_what_it_accepted_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "landline.db"
    command = [sys.executable, "-c", HOLD, str(path)]
    holder = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    thread_id = (await holder.stdout.readline()).decode().strip()
    with pytest.raises(LandlineError):
        await SqliteStore(path).open()
    holder.send_signal(signal.SIGKILL)
    await holder.wait()
    store = SqliteStore(path)
    await store.open()
    assert (await store.get_thread(ALICE, thread_id)).id == thread_id
    await store.close()


START = """
import asyncio, sys
from pathlib import Path
from landline.backends.sqlite import backend

async def main():
    store = backend(Path(sys.argv[1]))
    await store.open()
    await store.close()

asyncio.run(main())
print(sorted({"sqlalchemy", "alembic"} & set(sys.modules)))
"""


@pytest.mark.contract("PRF-6")
def test_a_start_loads_neither_sqlalchemy_nor_alembic(tmp_path: Path) -> None:
    for _ in ("fresh", "again"):
        command = [sys.executable, "-c", START, str(tmp_path / "landline.db")]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert ran.stdout.strip() == "[]"


async def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "deep" / "landline.db")
    await store.open()
    await store.close()
    assert (tmp_path / "deep" / "landline.db").stat().st_mode & 0o077 == 0
