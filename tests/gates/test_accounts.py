"""Keys and users looked after: nobody gives what they do not hold, nor reaches into another tenant (TRU-1, TRU-5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from landline.backends.memory import MemoryStore
from landline.gates.auth import KeyAuthenticator, StoreAccounts
from landline.gates.auth.passwords import verify_password
from landline.model.callers import ALL_SCOPES, SYSTEM, Caller
from landline.model.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from landline.model.ids import new_id
from landline.model.times import iso
from landline.ports.people import KeyOrder, UserChange, UserOrder
from landline.testing.clock import VirtualClock

ADMIN = Caller(tenant="acme", user="root", scopes=frozenset({"admin"}))
STRANGER = Caller(tenant="other", user="root", scopes=ALL_SCOPES | {"admin"})
ANN = Caller(tenant="acme", user="ann", scopes=frozenset({"runs:read", "threads:read"}))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def desk(store: MemoryStore, clock: VirtualClock) -> StoreAccounts:
    return StoreAccounts(store, clock, roles={"auditor": ("runs:read",)})


@pytest.mark.contract("TRU-5")
@pytest.mark.parametrize("scopes", [None, ["runs:write"], ["admin"], ["runs:read", "delegate"]])
async def test_nobody_gives_what_they_do_not_hold(desk: StoreAccounts, scopes: list[str] | None) -> None:
    with pytest.raises(Forbidden) as told:
        await desk.make_key(ANN, KeyOrder(user="ann", scopes=scopes))
    assert told.value.code == "beyond_caller"
    assert (await desk.list_keys(SYSTEM, user=None, limit=9, cursor=None)).items == []
    _, mine = await desk.make_key(ANN, KeyOrder(user="ann", scopes=["runs:read"]))
    assert (mine.user, mine.scopes) == ("ann", ["runs:read"])


@pytest.mark.contract("TRU-5")
async def test_a_weak_key_is_no_way_to_a_strong_one(desk: StoreAccounts) -> None:
    _, strong = await desk.make_key(ADMIN, KeyOrder(user="ann", scopes=["runs:write"]))
    with pytest.raises(Forbidden):
        await desk.rotate_key(ANN, strong.id, overlap=timedelta(hours=1))
    assert (await desk.get_key(ANN, strong.id)).expires_at is None


@pytest.mark.contract("TRU-5", "THR-2")
async def test_an_admin_gives_everything_in_its_tenant_and_nothing_in_another(desk: StoreAccounts) -> None:
    _, key = await desk.make_key(ADMIN, KeyOrder(user="bob", scopes=["admin", "delegate", "runs:write"]))
    assert (key.tenant, key.user) == ("acme", "bob")
    with pytest.raises(NotFound):
        await desk.make_key(ADMIN, KeyOrder(user="bob", tenant="other"))
    with pytest.raises(NotFound):
        await desk.add_user(ADMIN, UserOrder(name="eve", tenant="other"))
    eve = await desk.add_user(STRANGER, UserOrder(name="eve", roles=["admin"]))
    for id_ in (eve.id, new_id(), "x"):
        calls: list[Any] = [
            desk.get_user(ADMIN, id_), desk.change_user(ADMIN, id_, UserChange(enabled=False)),
            desk.change_user(ADMIN, id_, UserChange(roles=["no such role"])),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(NotFound) as told:
                await call
            assert told.value.detail == f"No user has the id {id_}."
    for call in (
        desk.get_key(STRANGER, key.id),
        desk.revoke_key(STRANGER, key.id),
        desk.rotate_key(STRANGER, key.id, overlap=timedelta()),
    ):
        with pytest.raises(NotFound) as told:
            await call
        assert told.value.detail == f"No key has the id {key.id}."
    assert (await desk.list_users(ADMIN, limit=9, cursor=None)).items == []
    assert (await desk.list_keys(STRANGER, user=None, limit=9, cursor=None)).items == []


@pytest.mark.contract("TRU-5")
async def test_a_key_is_made_within_its_users_roles(desk: StoreAccounts) -> None:
    await desk.add_user(SYSTEM, UserOrder(name="ann", tenant="acme", roles=["auditor"]))
    _, key = await desk.make_key(ADMIN, KeyOrder(user="ann"))
    assert key.scopes == ["runs:read"]
    with pytest.raises(Invalid) as told:
        await desk.make_key(SYSTEM, KeyOrder(user="ann", tenant="acme", scopes=["runs:write"]))
    assert told.value.code == "beyond_roles"
    _, key = await desk.make_key(ADMIN, KeyOrder(user="nobody-known"))
    assert set(key.scopes) == ALL_SCOPES


@pytest.mark.contract("TRU-1")
async def test_a_rotated_key_has_the_same_rights_and_both_hold_for_the_overlap(
    desk: StoreAccounts, store: MemoryStore, clock: VirtualClock
) -> None:
    rights: dict[str, Any] = {
        "scopes": ["runs:read"],
        "agents": ["notes"],
        "tier": "gold",
        "limits": {"runs": "9"},
    }
    order = KeyOrder(user="ann", name="ci", expires_in=timedelta(days=30), **rights)
    old_secret, old = await desk.make_key(ADMIN, order)
    await clock.advance(24 * 3600)
    secret, new = await desk.rotate_key(ADMIN, old.id, overlap=timedelta(hours=1))
    assert (new.scopes, new.agents, new.tier, new.limits) == tuple(rights.values())
    assert (new.user, new.name, new.replaces) == ("ann", "ci", old.id)
    assert new.expires_at == iso(clock.now() + timedelta(days=30)), "as long a life as the old one was given"
    assert (await desk.get_key(ADMIN, old.id)).expires_at == iso(clock.now() + timedelta(hours=1))
    gate = KeyAuthenticator(store, clock)
    for _ in range(2):
        assert (await gate.authenticate(old_secret)).key_id == old.id
        assert (await gate.authenticate(secret)).key_id == new.id
        await clock.advance(1799)
    await clock.advance(3)
    assert (await gate.authenticate(secret)).key_id == new.id
    with pytest.raises(Unauthenticated):
        await gate.authenticate(old_secret)
    with pytest.raises(Conflict) as told:
        await desk.rotate_key(ADMIN, old.id, overlap=timedelta(hours=1))
    assert told.value.code == "key_ended"


@pytest.mark.contract("TRU-5", "TRU-3")
async def test_a_user_is_made_and_changed(desk: StoreAccounts, store: MemoryStore) -> None:
    made = await desk.add_user(
        ADMIN, UserOrder(name="ann", roles=["user", "user", "premium"], password="one")
    )
    assert (made.roles, made.has_password, made.tenant) == (["premium", "user"], True, "acme")
    kept = await store.find_user("acme", "ann")
    assert kept is not None
    assert await verify_password("one", kept.password_hash)
    with pytest.raises(Conflict):
        await desk.add_user(ADMIN, UserOrder(name="ann"))
    changed = await desk.change_user(
        ADMIN, made.id, UserChange(enabled=False, roles=["auditor"], password="two")
    )
    assert (changed.roles, changed.disabled_at is not None) == (["auditor"], True)
    kept = await store.find_user("acme", "ann")
    assert kept is not None
    assert await verify_password("two", kept.password_hash)
    with pytest.raises(Forbidden):
        await desk.change_user(ANN, made.id, UserChange(roles=["admin"]))


@pytest.mark.contract("TRU-5")
@pytest.mark.parametrize(
    ("order", "code"),
    [
        (UserOrder(name=""), "bad_user_name"),
        (UserOrder(name="a b"), "bad_user_name"),
        (UserOrder(name="a\u200bb"), "bad_user_name"),
        (UserOrder(name="a" * 201), "bad_user_name"),
        (UserOrder(name="ann", roles=["root"]), "unknown_role"),
        (UserOrder(name="ann", password=""), "bad_password"),
        (UserOrder(name="ann", password="x" * 2000), "bad_password"),
    ],
)
async def test_a_user_that_cannot_be_is_refused_with_a_reason(
    desk: StoreAccounts, order: UserOrder, code: str
) -> None:
    with pytest.raises(Invalid) as told:
        await desk.add_user(ADMIN, order)
    assert told.value.code == code
    assert (await desk.list_users(ADMIN, limit=9, cursor=None)).items == []


async def test_lists_come_in_pages(desk: StoreAccounts) -> None:
    for number in range(5):
        await desk.add_user(ADMIN, UserOrder(name=f"u{number}"))
        await desk.make_key(ADMIN, KeyOrder(user=f"u{number}"))
    names, keys, cursor = list[str](), list[str](), None
    for _ in range(3):
        page = await desk.list_users(ADMIN, limit=2, cursor=cursor)
        names += [user.name for user in page.items]
        cursor = page.next_cursor
    assert (names, cursor) == ([f"u{number}" for number in range(5)], None)
    for _ in range(3):
        listed = await desk.list_keys(ADMIN, user=None, limit=2, cursor=cursor)
        keys += [key.user for key in listed.items]
        cursor = listed.next_cursor
    assert (keys, cursor) == (names, None)
    for bad in ("x", "' OR 1=1 --"):
        with pytest.raises(Invalid):
            await desk.list_users(ADMIN, limit=2, cursor=bad)
