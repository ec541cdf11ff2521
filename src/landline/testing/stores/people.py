"""Files and API keys."""

import pytest

from landline.model.callers import SYSTEM
from landline.model.errors import Invalid, NotFound
from landline.model.files import FileInfo
from landline.model.ids import new_id
from landline.ports.keys import NewKey
from landline.ports.store import IdempotencyKey, NewFile, Store
from landline.testing.stores.kit import ALICE, BOB, MALLORY, moment

__all__ = ["PeoplePromises"]


def a_file() -> FileInfo:
    """Return what is known of a made-up file."""
    return FileInfo(
        id=new_id(), name="ä b.txt", media_type="text/plain", size=3, sha256="a" * 64, created_at=moment()
    )


def a_key(**fields: object) -> NewKey:
    """Return a key of Alice's."""
    columns: dict[str, object] = {"prefix": "ll_abc", "tenant": "acme", "user": "alice", **fields}
    return NewKey(id=new_id(), hash="h", scopes=("runs:read",), name="laptop", at=moment(), **columns)  # pyright: ignore[reportArgumentType] - fields of NewKey


class PeoplePromises:
    """What a store promises about files and keys."""

    @pytest.mark.contract("THR-9", "RUN-7")
    async def test_a_repeated_upload_is_the_first_file(self, store: Store) -> None:
        key = IdempotencyKey(key="k", route="POST /files", body_hash="h")
        first, second = a_file(), a_file()
        assert await store.add_file(ALICE, NewFile(info=first, idempotency=key)) == (first, False)
        assert await store.add_file(ALICE, NewFile(info=second, idempotency=key)) == (first, True)
        with pytest.raises(NotFound):
            await store.get_file(ALICE, second.id)
        other = IdempotencyKey(key="k", route="POST /files", body_hash="x")
        with pytest.raises(Invalid):
            await store.add_file(ALICE, NewFile(info=a_file(), idempotency=other))

    @pytest.mark.contract("TRU-6")
    async def test_a_key_is_found_by_its_prefix_and_stays_revoked(self, store: Store) -> None:
        key, theirs = a_key(expires_at=moment(9)), a_key(user="bob", prefix="ll_xyz")
        await store.add_key(SYSTEM, key)
        await store.add_key(BOB, theirs)
        (found,) = await store.find_key("ll_abc")
        assert (found.id, found.hash, found.tenant, found.user) == (key.id, "h", "acme", "alice")
        assert (tuple(found.scopes), found.name, found.expires_at) == (("runs:read",), "laptop", moment(9))
        assert (found.revoked_at, found.last_used_at) == (None, None)
        assert await store.find_key("ll_ab") == []
        assert [row.id for row in await store.list_keys(ALICE)] == [key.id]
        assert [row.id for row in await store.list_keys(SYSTEM)] == [key.id, theirs.id]
        for stranger in (BOB, MALLORY):
            with pytest.raises(NotFound):
                await store.revoke_key(stranger, key.id, at=moment(5))
        await store.revoke_key(ALICE, key.id, at=moment(5))
        await store.revoke_key(ALICE, key.id, at=moment(6))
        assert [row.revoked_at for row in await store.find_key("ll_abc")] == [moment(5)]

    async def test_nobody_makes_a_key_for_somebody_else(self, store: Store) -> None:
        with pytest.raises(NotFound):
            await store.add_key(BOB, a_key())
        assert await store.find_key("ll_abc") == []

    @pytest.mark.contract("REL-11")
    async def test_a_healthy_store_passes_its_check_again_and_again(self, store: Store) -> None:
        for _ in range(3):
            await store.check()
