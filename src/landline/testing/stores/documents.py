"""Documents: what code beside the runs keeps, under conditions, and for its own caller alone."""

import asyncio

import pytest

from landline.model.callers import SYSTEM
from landline.model.errors import Conflict
from landline.ports.documents import Document, DocumentWrite
from landline.ports.store import Store
from landline.testing.stores.kit import ALICE, BOB, MALLORY

__all__ = ["DocumentPromises", "put"]

NOTES = "notes"


def put(
    key: str, version: str = "1", *, expected: str | None = None, label: str | None = None
) -> DocumentWrite:
    """Return the writing of a document whose body tells its version."""
    body = b"\x00\xff " + version.encode()
    return DocumentWrite(
        collection=NOTES, key=key, body=body, version=version, expected=expected, label=label
    )


def gone(key: str, *, expected: str | None = None) -> DocumentWrite:
    """Return the removal of a document."""
    return DocumentWrite(collection=NOTES, key=key, body=None, expected=expected)


class DocumentPromises:
    """What a store promises about documents."""

    @pytest.mark.contract("ADP-7")
    async def test_documents_are_read_in_the_order_they_are_asked_for(self, store: Store) -> None:
        await store.write_documents(ALICE, [put("a"), put("b", "2", label="x"), put("ü \x00 '")])
        found = await store.read_documents(ALICE, NOTES, ["ü \x00 '", "missing", "b"])
        assert found == [
            Document(key="ü \x00 '", body=b"\x00\xff 1", version="1"),
            Document(key="b", body=b"\x00\xff 2", version="2", label="x"),
        ]
        assert await store.read_documents(ALICE, "other notes", ["a"]) == []
        assert await store.read_documents(ALICE, NOTES, []) == []

    @pytest.mark.contract("ADP-7")
    async def test_the_last_written_is_listed_first(self, store: Store) -> None:
        await store.write_documents(ALICE, [put("a", label="x"), put("b", label="y"), put("c", label="x")])
        assert [d.key for d in await store.list_documents(ALICE, NOTES)] == ["c", "b", "a"]
        await store.write_documents(ALICE, [put("a", "2", label="x"), gone("c")])
        await store.write_documents(ALICE, [put("d")])
        assert [d.key for d in await store.list_documents(ALICE, NOTES)] == ["d", "a", "b"]
        assert [d.key for d in await store.list_documents(ALICE, NOTES, limit=2)] == ["d", "a"]
        assert await store.list_documents(ALICE, NOTES, limit=0) == []
        await store.write_documents(ALICE, [put("b", "2", label="x")])
        assert [d.key for d in await store.list_documents(ALICE, NOTES, label="x")] == ["b", "a"]
        assert [d.key for d in await store.list_documents(ALICE, NOTES, label="x", limit=1)] == ["b"]
        assert await store.list_documents(ALICE, NOTES, label="y") == []

    @pytest.mark.contract("ADP-7")
    async def test_a_write_whose_condition_fails_leaves_nothing(self, store: Store) -> None:
        await store.write_documents(ALICE, [put("a", "1", expected="")])
        for refused in (
            put("a", "2", expected=""),
            put("a", "2", expected="0"),
            put("b", "2", expected="1"),
            gone("a", expected="0"),
            gone("b", expected="1"),
        ):
            with pytest.raises(Conflict):
                await store.write_documents(ALICE, [put("c"), refused])
        with pytest.raises(Conflict):
            await store.write_documents(ALICE, [put("c")], needs=[(NOTES, "a"), (NOTES, "c")])
        assert [d.version for d in await store.list_documents(ALICE, NOTES)] == ["1"]
        await store.write_documents(ALICE, [put("a", "2", expected="1"), put("c")], needs=[(NOTES, "a")])
        await store.write_documents(ALICE, [gone("a", expected="2"), gone("b", expected=""), gone("b")])
        assert [d.key for d in await store.list_documents(ALICE, NOTES)] == ["c"]

    @pytest.mark.contract("ADP-7")
    async def test_of_writers_at_the_same_time_one_wins(self, store: Store) -> None:
        await store.write_documents(ALICE, [put("a", "1")])
        tried = [
            store.write_documents(ALICE, [put("a", f"by {n}", expected="1"), put(f"of {n}")])
            for n in range(8)
        ]
        results = await asyncio.gather(*tried, return_exceptions=True)
        (winner,) = [n for n, result in enumerate(results) if result is None]
        assert all(isinstance(result, Conflict) for result in results if result is not None)
        found = await store.list_documents(ALICE, NOTES)
        assert {d.key: d.version for d in found} == {"a": f"by {winner}", f"of {winner}": "1"}

    @pytest.mark.contract("ADP-7", "THR-2")
    async def test_a_foreign_document_does_not_exist(self, store: Store) -> None:
        await store.write_documents(ALICE, [put("a", "secret", label="x")])
        for stranger in (BOB, MALLORY, SYSTEM):
            assert await store.read_documents(stranger, NOTES, ["a"]) == []
            assert await store.list_documents(stranger, NOTES) == []
            assert await store.list_documents(stranger, NOTES, label="x") == []
            for refused in (put("a", "2", expected="secret"), gone("a", expected="secret")):
                with pytest.raises(Conflict):
                    await store.write_documents(stranger, [refused])
            with pytest.raises(Conflict):
                await store.write_documents(stranger, [put("b")], needs=[(NOTES, "a")])
            await store.write_documents(stranger, [put("a", "mine", expected="", label="x")])
            assert [d.version for d in await store.list_documents(stranger, NOTES, label="x")] == ["mine"]
            await store.write_documents(stranger, [gone("a")])
        assert [d.version for d in await store.list_documents(ALICE, NOTES)] == ["secret"]
