"""The database itself keeps the audit log append-only, whoever writes SQL into it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from landline.backends.sqlite import SqliteStore
from landline.model.callers import SYSTEM
from landline.ports.audit import AuditQuery
from landline.testing.stores.audit import an_entry
from landline.testing.stores.kit import moment

pytestmark = pytest.mark.contract("TRU-18")

OF_OTHERS = [
    "UPDATE audit SET outcome = 'forged'",
    "UPDATE audit SET n = n + 100",
    "DELETE FROM audit",
    "DELETE FROM audit WHERE n = 1",
]


@pytest.mark.parametrize("statement", OF_OTHERS)
async def test_rows_are_neither_changed_nor_removed_by_sql(tmp_path: Path, statement: str) -> None:
    store = SqliteStore(tmp_path / "landline.db")
    await store.open()
    entries = [an_entry(second) for second in range(3)]
    await store.add_audit(entries)
    # After a pruning the door is shut again.
    told = an_entry(4, action="audit.prune")
    assert await store.prune_audit(SYSTEM, before=moment(1), entry=told) == 1
    with closing(sqlite3.connect(tmp_path / "landline.db")) as other:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(statement if "n = 1" not in statement else statement.replace("= 1", "= 2"))
        other.rollback()
    kept = await store.list_audit(SYSTEM, AuditQuery(oldest_first=True))
    await store.close()
    assert [entry.id for entry in kept.items] == [entries[1].id, entries[2].id, told.id]


@pytest.mark.parametrize("words", ["REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE"])
async def test_rows_are_not_replaced(tmp_path: Path, words: str) -> None:
    store = SqliteStore(tmp_path / "landline.db")
    await store.open()
    entry = an_entry()
    await store.add_audit([entry])
    columns = "at, tenant, user_id, roles, action, outcome, details"
    for place, value in (("id", f"'{entry.id}'"), ("n", "1, 'other'"), ("n", f"7, '{entry.id}'")):
        names = "id" if place == "id" else "n, id"
        with closing(sqlite3.connect(tmp_path / "landline.db")) as other:
            other.execute(
                f"{words} INTO audit ({names}, {columns}) VALUES ({value}, '', 'acme', '', '[]', 'x', 'forged', '{{}}')"
            )
            other.commit()
    kept = await store.list_audit(SYSTEM, AuditQuery())
    await store.close()
    assert kept.items == [entry]
