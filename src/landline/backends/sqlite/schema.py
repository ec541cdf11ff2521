"""Brings a database file to this build's schema, under the store's lock.

A fresh file gets `schema.sql`, the migrations' result as text: Alembic and SQLAlchemy take a second to load, and are
needed only for a database that an older build wrote. A test holds the two equal.
"""

import os
import sqlite3
from pathlib import Path

from landline.backends.sql.errors import DatabaseNewer, DatabaseUnreadable
from landline.backends.sql.migrations import HEAD, REVISIONS
from landline.backends.sqlite.connection import connect, is_storage_fault, storage_failed

__all__ = ["prepare", "revision_of"]

SCHEMA = Path(__file__).with_name("schema.sql")


def prepare(path: Path) -> None:
    """Make or migrate the database at `path`.

    Raises:
        DatabaseNewer: A newer Landline wrote it.
        DatabaseUnreadable: It is no database of Landline's.
        StorageFailed: The disk refuses.
    """
    try:
        _prepare(path)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            raise DatabaseUnreadable(f"{path.name} is not a SQLite database.") from error
        if is_storage_fault(error):
            raise storage_failed(error) from error
        raise


def _prepare(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made here and not by SQLite, so that only its owner may read what people said.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = connect(path)
    try:
        revision = revision_of(connection)
        if revision is None and not _is_empty(connection):
            raise DatabaseUnreadable(f"{path.name} is a SQLite database, but not one of Landline's.")
        if revision is None:
            _create(connection)
        elif revision not in REVISIONS:
            raise DatabaseNewer(
                f"{path.name} has schema {revision}, which this version of Landline does not know (it knows up to "
                f"{HEAD}). Start the version that wrote it, or restore a backup."
            )
    finally:
        connection.close()
    if revision is not None and revision != HEAD:
        _backup(path, revision)
        _migrate(path)


def revision_of(connection: sqlite3.Connection) -> str | None:
    """Return the schema's revision, None when the database has none."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def _is_empty(connection: sqlite3.Connection) -> bool:
    return not connection.execute("SELECT 1 FROM sqlite_master").fetchone()


def _create(connection: sqlite3.Connection) -> None:
    # One transaction, the version with it: a killed start leaves an empty file, never half a schema.
    script = SCHEMA.read_text(encoding="utf-8")
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{script}\nINSERT INTO alembic_version (version_num) VALUES ('{HEAD}');\nCOMMIT;"
    )


def _backup(path: Path, revision: str) -> None:
    """Copy the database to `<name>.bak-<revision>`; it appears whole or not at all."""
    kept = path.with_name(f"{path.name}.bak-{revision}")
    partial = kept.with_name(kept.name + ".partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    source, target = sqlite3.connect(path), sqlite3.connect(partial)
    try:
        source.backup(target)
    finally:
        target.close()
        source.close()
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(kept)


def _migrate(path: Path) -> None:
    from sqlalchemy import Connection, NullPool, create_engine
    from sqlalchemy.event import listen

    from landline.backends.sql.migrations import upgrade

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    # The driver's own transactions would commit before DDL: it is told to stay out, and we begin ourselves.
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(path, isolation_level=None), poolclass=NullPool
    )
    listen(engine, "begin", begin)
    try:
        with engine.connect() as connection:
            upgrade(connection)
            connection.commit()
    finally:
        engine.dispose()
