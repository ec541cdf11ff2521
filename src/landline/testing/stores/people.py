"""Files, API keys and users."""

import asyncio
from dataclasses import replace

import pytest

from landline.model.callers import SYSTEM
from landline.model.errors import Conflict, Invalid, NotFound
from landline.model.files import FileInfo
from landline.model.ids import new_id
from landline.ports.keys import NewKey
from landline.ports.people import NewUser, UserPatch
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


HASH = "$argon2id$made-up"
ADMIN = replace(ALICE, user="root", scopes=ALICE.scopes | {"admin"})
"""Operates Alice's tenant."""
STRANGE_ADMIN = replace(MALLORY, scopes=MALLORY.scopes | {"admin"})


def a_user(name: str = "alice", tenant: str = "acme", **fields: object) -> NewUser:
    """Return a user."""
    columns: dict[str, object] = {"roles": ("user",), **fields}
    return NewUser(id=new_id(), tenant=tenant, name=name, at=moment(), **columns)  # pyright: ignore[reportArgumentType] - fields of NewUser


class PeoplePromises:
    """What a store promises about files, keys and users."""

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

    @pytest.mark.contract("TRU-1")
    async def test_a_key_keeps_its_agents_tier_limits_and_predecessor(self, store: Store) -> None:
        old = a_key()
        rights = {"agents": ("notes", "bank"), "tier": "gold", "limits": {"runs": "10/min"}}
        key = a_key(**rights, replaces=old.id)
        await store.add_key(SYSTEM, old)
        await store.add_key(SYSTEM, key)
        found = await store.get_key(ALICE, key.id)
        assert (found.agents, found.tier, found.limits) == (("notes", "bank"), "gold", {"runs": "10/min"})
        assert (found.replaces, found.expires_at) == (old.id, None)
        plain = await store.get_key(ALICE, old.id)
        assert (plain.agents, plain.tier, plain.limits, plain.replaces) == (None, "free", None, None)
        assert plain.expires_at is None, "nothing ends without being told when"

    @pytest.mark.contract("TRU-1")
    async def test_a_replaced_key_ends_when_it_is_told_and_never_later(self, store: Store) -> None:
        long, short, gone = a_key(), a_key(expires_at=moment(3)), a_key()
        for key in (long, short, gone):
            await store.add_key(SYSTEM, key)
            await store.add_key(ALICE, a_key(replaces=key.id), retire_at=moment(5))
        assert (await store.get_key(ALICE, long.id)).expires_at == moment(5)
        assert (await store.get_key(ALICE, short.id)).expires_at == moment(3)
        await store.revoke_key(ALICE, gone.id, at=moment(4))
        after = a_key(replaces=gone.id)
        with pytest.raises(Conflict):
            await store.add_key(ALICE, after, retire_at=moment(6))
        theirs = a_key(user="bob", replaces=long.id)
        with pytest.raises(NotFound):
            await store.add_key(BOB, theirs, retire_at=moment(1))
        assert not {after.id, theirs.id} & {row.id for row in await store.list_keys(SYSTEM)}
        assert (await store.get_key(ALICE, long.id)).expires_at == moment(5)

    @pytest.mark.contract("TRU-1", "TRU-5", "THR-2")
    async def test_an_admin_looks_after_the_keys_of_its_tenant_alone(self, store: Store) -> None:
        key, theirs = a_key(), a_key(tenant="elsewhere", user="alice")
        await store.add_key(ADMIN, key)
        await store.add_key(STRANGE_ADMIN, theirs)
        assert [row.id for row in await store.list_keys(ADMIN)] == [key.id]
        assert [row.id for row in await store.list_keys(ADMIN, user="bob")] == []
        for caller, id_ in ((ADMIN, theirs.id), (STRANGE_ADMIN, key.id), (BOB, key.id), (ADMIN, new_id())):
            with pytest.raises(NotFound) as told:
                await store.get_key(caller, id_)
            assert told.value.detail == f"No key has the id {id_}."
            with pytest.raises(NotFound):
                await store.revoke_key(caller, id_, at=moment(5))
        with pytest.raises(NotFound):
            await store.add_key(ADMIN, a_key(tenant="elsewhere", user="alice"))
        await store.revoke_key(ADMIN, key.id, at=moment(5))
        assert (await store.get_key(ALICE, key.id)).revoked_at == moment(5)

    async def test_keys_come_in_pages_oldest_first(self, store: Store) -> None:
        keys = [a_key(prefix=f"ll_{number}") for number in range(5)]
        for key in keys:
            await store.add_key(ALICE, key)
        ids = [key.id for key in keys]
        assert [row.id for row in await store.list_keys(ALICE, limit=2)] == ids[:2]
        assert [row.id for row in await store.list_keys(ALICE, after=ids[1], limit=2)] == ids[2:4]
        assert [row.id for row in await store.list_keys(ALICE, after=ids[4])] == []

    @pytest.mark.contract("TRU-1")
    async def test_the_last_use_of_keys_is_noted_and_never_goes_back(self, store: Store) -> None:
        one, two = a_key(), a_key(prefix="ll_two")
        await store.add_key(SYSTEM, one)
        await store.add_key(SYSTEM, two)
        await store.used_keys(SYSTEM, {one.id: moment(5), two.id: moment(6), new_id(): moment(7)})
        await store.used_keys(SYSTEM, {one.id: moment(4)})
        await store.used_keys(ALICE, {one.id: moment(9)})
        assert [row.last_used_at for row in await store.list_keys(ALICE)] == [moment(5), moment(6)]

    @pytest.mark.contract("TRU-5")
    async def test_a_user_is_one_of_its_tenant_by_name(self, store: Store) -> None:
        user = a_user(email="alice@acme.example", roles=("user", "premium"), password_hash=HASH)
        await store.add_user(ADMIN, user)
        await store.add_user(STRANGE_ADMIN, a_user(tenant="elsewhere"))
        with pytest.raises(Conflict):
            await store.add_user(ADMIN, a_user())
        found = await store.find_user("acme", "alice")
        assert found is not None
        assert (found.id, found.email, found.roles) == (user.id, "alice@acme.example", ("user", "premium"))
        assert (found.password_hash, found.disabled_at, found.failed_count) == (HASH, None, 0)
        assert found.locked_until is None
        assert await store.find_user("acme", "Alice") is None
        assert await store.find_user("other", "alice") is None
        assert [row.id for row in await store.list_users(ADMIN)] == [user.id]
        assert await store.get_user(ALICE, user.id) == found

    @pytest.mark.contract("TRU-5", "THR-2")
    async def test_users_of_others_are_like_none(self, store: Store) -> None:
        user = a_user()
        await store.add_user(SYSTEM, user)
        for caller in (BOB, MALLORY, STRANGE_ADMIN):
            assert await store.list_users(caller) == []
            with pytest.raises(NotFound) as told:
                await store.get_user(caller, user.id)
            assert told.value.detail == f"No user has the id {user.id}."
            with pytest.raises(NotFound):
                await store.update_user(caller, user.id, UserPatch(at=moment(1), enabled=False))
            with pytest.raises(NotFound):
                await store.add_user(caller, a_user("carol"))
        assert await store.find_user("acme", "carol") is None
        kept = await store.find_user("acme", "alice")
        assert kept is not None
        assert kept.disabled_at is None

    @pytest.mark.contract("TRU-5")
    async def test_a_user_is_changed_in_what_was_said_alone(self, store: Store) -> None:
        user = a_user(email="a@acme.example", password_hash=HASH)
        await store.add_user(SYSTEM, user)
        changed = await store.update_user(ADMIN, user.id, UserPatch(at=moment(1), roles=("admin",)))
        assert (changed.roles, changed.email, changed.password_hash) == (("admin",), "a@acme.example", HASH)
        changed = await store.update_user(ADMIN, user.id, UserPatch(at=moment(1), clear_email=True))
        assert (changed.email, changed.roles) == (None, ("admin",))
        for at in (2, 3):
            changed = await store.update_user(ADMIN, user.id, UserPatch(at=moment(at), enabled=False))
            assert changed.disabled_at == moment(2)
        changed = await store.update_user(ADMIN, user.id, UserPatch(at=moment(4), enabled=True))
        assert changed.disabled_at is None
        assert await store.get_user(ADMIN, user.id) == changed

    @pytest.mark.contract("TRU-5")
    async def test_a_key_tells_what_its_user_is(self, store: Store) -> None:
        key, user = a_key(), a_user(roles=("premium",))
        await store.add_key(SYSTEM, key)
        (found,) = await store.find_key("ll_abc")
        assert (found.user_roles, found.user_disabled_at) == (None, None)
        await store.add_user(SYSTEM, a_user(tenant="elsewhere", roles=("admin",)))
        await store.add_user(SYSTEM, user)
        await store.update_user(SYSTEM, user.id, UserPatch(at=moment(2), enabled=False))
        (found,) = await store.find_key("ll_abc")
        assert (found.user_roles, found.user_disabled_at) == (("premium",), moment(2))
        assert found == await store.get_key(ALICE, key.id) == (await store.list_keys(ALICE))[0]

    @pytest.mark.contract("TRU-3")
    async def test_wrong_passwords_all_count_and_lock(self, store: Store) -> None:
        user = a_user()
        await store.add_user(SYSTEM, user)
        tries = [
            store.note_sign_in(user.id, right=False, lock_at=5, locked_until=moment(9)) for _ in range(4)
        ]
        assert sorted(await asyncio.gather(*tries)) == [1, 2, 3, 4]
        assert (await store.get_user(SYSTEM, user.id)).locked_until is None
        assert await store.note_sign_in(user.id, right=False, lock_at=5, locked_until=moment(9)) == 5
        assert (await store.get_user(SYSTEM, user.id)).locked_until == moment(9)
        assert await store.note_sign_in(user.id, right=True) == 0
        freed = await store.get_user(SYSTEM, user.id)
        assert (freed.failed_count, freed.locked_until) == (0, None)
        await store.note_sign_in(user.id, right=False, lock_at=1, locked_until=moment(9))
        freed = await store.update_user(SYSTEM, user.id, UserPatch(at=moment(3), password_hash=HASH))
        assert (freed.failed_count, freed.locked_until, freed.password_hash) == (0, None, HASH)

    @pytest.mark.contract("REL-11")
    async def test_a_healthy_store_passes_its_check_again_and_again(self, store: Store) -> None:
        for _ in range(3):
            await store.check()
