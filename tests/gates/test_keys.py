"""API keys: what a key makes of its caller, when it was last used, and when it stops (TRU-1, TRU-4, TRU-5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from landline.backends.memory import MemoryStore
from landline.gates.auth import KeyAuthenticator, OpenAuthenticator, make_key, scopes_of_roles
from landline.gates.auth.uses import EVERY_S, LOOK_S
from landline.model.callers import ALL_SCOPES, LOCAL, SYSTEM, Caller
from landline.model.errors import Forbidden, StorageFailed, Unauthenticated
from landline.model.ids import new_id
from landline.model.times import iso
from landline.ports.keys import NewKey
from landline.ports.people import NewUser, UserPatch
from landline.testing.clock import VirtualClock


class Counting(MemoryStore):
    """A store that counts what sign-ins cost, and can be broken."""

    def __init__(self) -> None:
        super().__init__()
        self.finds = 0
        self.written: list[dict[str, str]] = []
        self.broken = False

    async def find_key(self, prefix: str) -> Any:
        self.finds += 1
        return await super().find_key(prefix)

    async def used_keys(self, caller: Caller, used: Mapping[str, str]) -> None:
        if self.broken:
            raise StorageFailed("The disk is full.")
        self.written.append(dict(used))
        await super().used_keys(caller, used)


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def gate(store: Counting, clock: VirtualClock) -> KeyAuthenticator:
    return KeyAuthenticator(store, clock, roles={"auditor": ("runs:read",)})


async def made(
    store: MemoryStore, clock: VirtualClock, user: str = "ann", **fields: Any
) -> tuple[str, NewKey]:
    secret, row = make_key(tenant="acme", user=user, at=iso(clock.now()), **fields)
    await store.add_key(SYSTEM, row)
    return secret, row


async def user(
    store: MemoryStore, clock: VirtualClock, name: str = "ann", roles: tuple[str, ...] = ("user",)
) -> str:
    row = NewUser(id=new_id(), tenant="acme", name=name, roles=roles, at=iso(clock.now()))
    await store.add_user(SYSTEM, row)
    return row.id


@pytest.mark.contract("TRU-1")
async def test_a_key_makes_its_caller_with_all_that_it_was_given(
    store: Counting, clock: VirtualClock, gate: KeyAuthenticator
) -> None:
    secret, row = await made(
        store, clock, scopes=["runs:read"], agents=["notes"], tier="gold", limits={"runs": "10/minute"}
    )
    caller = await gate.authenticate(secret)
    assert caller == Caller(
        tenant="acme", user="ann", scopes=frozenset({"runs:read"}), agents=frozenset({"notes"}), tier="gold",
        key_id=row.id, credential=f"key:{row.id}", limits={"runs": "10/minute"},
    )  # fmt: skip
    assert hash(caller) == hash(replace(caller, limits=None)), "a caller can be looked up in a table"


@pytest.mark.contract("TRU-1", "PRF-9")
async def test_a_key_that_was_just_checked_is_not_looked_up_again(
    store: Counting, clock: VirtualClock, gate: KeyAuthenticator
) -> None:
    secret, _ = await made(store, clock)
    for _ in range(100):
        await gate.authenticate(secret)
    assert (store.finds, store.written) == (1, [])


@pytest.mark.contract("TRU-5")
async def test_a_key_may_never_do_more_than_its_user(
    store: Counting, clock: VirtualClock, gate: KeyAuthenticator
) -> None:
    secret, _ = await made(store, clock, scopes=["admin", "runs:read", "runs:write"])
    only_a_name = await gate.authenticate(secret)
    assert (only_a_name.scopes, only_a_name.roles) == ({"admin", "runs:read", "runs:write"}, frozenset())
    user_id = await user(store, clock, roles=("admin", "premium"))
    await clock.advance(2)
    admin = await gate.authenticate(secret)
    assert admin.scopes == {"admin", "runs:read", "runs:write"}, "roles add nothing to a key"
    assert (admin.roles, admin.tier) == ({"admin", "premium"}, "premium")
    for roles, left in (
        (("user",), {"runs:read", "runs:write"}),
        (("auditor",), {"runs:read"}),
        (("nothing-any-more",), set[str]()),
        ((), set[str]()),
    ):
        await store.update_user(SYSTEM, user_id, UserPatch(at=iso(clock.now()), roles=roles))
        await clock.advance(2)
        caller = await gate.authenticate(secret)
        assert (caller.scopes, caller.tier) == (left, "free")


@pytest.mark.contract("TRU-5")
async def test_a_tier_of_the_keys_own_is_kept(
    store: Counting, clock: VirtualClock, gate: KeyAuthenticator
) -> None:
    secret, _ = await made(store, clock, tier="gold")
    await user(store, clock, roles=("premium",))
    assert (await gate.authenticate(secret)).tier == "gold"


@pytest.mark.contract("TRU-5", "TRU-1")
async def test_a_disabled_user_is_out_with_all_its_keys_within_five_seconds(
    store: Counting, clock: VirtualClock, gate: KeyAuthenticator
) -> None:
    keys = [await made(store, clock) for _ in range(2)]
    user_id = await user(store, clock)
    callers = [await gate.authenticate(secret) for secret, _ in keys]
    await store.update_user(SYSTEM, user_id, UserPatch(at=iso(clock.now()), enabled=False))
    assert [await gate.holds(caller) for caller in callers] == [False, False]
    for secret, _ in keys:
        with pytest.raises(Unauthenticated, match=r"^The API key does not hold\.$"):
            await gate.authenticate(secret)
    await store.update_user(SYSTEM, user_id, UserPatch(at=iso(clock.now()), enabled=True))
    assert [await gate.holds(caller) for caller in callers] == [True, True]
    assert await gate.authenticate(keys[0][0]) == callers[0]


@pytest.mark.contract("TRU-1")
async def test_a_key_holds_until_it_is_revoked_expires_or_is_gone(
    store: Counting, clock: VirtualClock, gate: KeyAuthenticator
) -> None:
    revoked, short = (
        await made(store, clock),
        await made(store, clock, expires_at=iso(clock.now() + timedelta(seconds=9))),
    )
    one, two = [await gate.authenticate(secret) for secret, _ in (revoked, short)]
    assert await gate.holds(one)
    assert await gate.holds(two)
    await store.revoke_key(SYSTEM, revoked[1].id, at=iso(clock.now()))
    assert not await gate.holds(one)
    with pytest.raises(Unauthenticated):  # at once: who was thrown out is not let in on what was remembered
        await gate.authenticate(revoked[0])
    assert await gate.authenticate(short[0]) == two
    await clock.advance(9)
    assert not await gate.holds(two)
    assert not await gate.holds(replace(two, credential=f"key:{new_id()}"))
    assert await gate.holds(replace(two, credential="jwt:x")), "what is not a key is not judged here"
    assert await gate.holds(LOCAL)


@pytest.mark.contract("TRU-1")
async def test_the_last_use_is_written_beside_requests_and_once_a_minute_at_most(
    store: Counting, clock: VirtualClock, gate: KeyAuthenticator
) -> None:
    (busy, busy_row), (once, once_row) = await made(store, clock), await made(store, clock)
    async with gate.running():
        await clock.advance(0)
        began = clock.now()
        await gate.authenticate(once)
        for _ in range(int(3 * EVERY_S)):
            await gate.authenticate(busy)
            await clock.advance(1)
        writes = [used for used in store.written if busy_row.id in used]
        assert 3 <= len(writes) <= 4, store.written
        assert [used[once_row.id] for used in store.written if once_row.id in used] == [iso(began)]
        assert list(store.written[0]) == [once_row.id, busy_row.id], "one write for all keys"
        assert store.written[0][busy_row.id] <= iso(began + timedelta(seconds=LOOK_S))
        await gate.authenticate(busy)
        last = clock.now()
    assert (await store.get_key(SYSTEM, busy_row.id)).last_used_at == iso(last), (
        "the rest is written at the end"
    )


@pytest.mark.contract("TRU-1", "REL-8")
async def test_a_full_disk_stops_no_sign_in_and_loses_no_use(
    store: Counting, clock: VirtualClock, gate: KeyAuthenticator
) -> None:
    secret, row = await made(store, clock)
    async with gate.running():
        await clock.advance(0)
        store.broken = True
        await gate.authenticate(secret)
        await clock.advance(LOOK_S)
        assert (await gate.authenticate(secret)).key_id == row.id
        store.broken = False
        await clock.advance(LOOK_S)
        assert (await store.get_key(SYSTEM, row.id)).last_used_at is not None


@pytest.mark.contract("TRU-4")
async def test_a_delegate_acts_as_a_user_and_never_as_an_operator(
    store: Counting, clock: VirtualClock, gate: KeyAuthenticator
) -> None:
    secret, row = await made(store, clock, user="gateway", scopes=[*ALL_SCOPES, "admin", "delegate"])
    gateway = await gate.authenticate(secret)
    ann = await gate.act_for(gateway, "ann")
    assert (ann.tenant, ann.user, ann.key_id, ann.credential) == ("acme", "ann", row.id, gateway.credential)
    assert ann.scopes == ALL_SCOPES
    user_id = await user(store, clock, roles=("auditor", "premium"))
    await clock.advance(2)
    ann = await gate.act_for(gateway, "ann")
    assert (ann.roles, ann.tier) == ({"auditor", "premium"}, "premium")
    assert await gate.holds(ann)
    await store.update_user(SYSTEM, user_id, UserPatch(at=iso(clock.now()), enabled=False))
    assert not await gate.holds(ann)
    assert await gate.holds(gateway)
    await clock.advance(2)
    with pytest.raises(Forbidden) as told:
        await gate.act_for(gateway, "ann")
    assert told.value.code == "user_disabled"


@pytest.mark.contract("TRU-6", "TRU-1")
async def test_keys_of_an_open_server_are_looked_after_too(store: Counting, clock: VirtualClock) -> None:
    gate = OpenAuthenticator(store, clock)
    secret, row = await made(store, clock)
    caller = await gate.authenticate(secret)
    assert await gate.holds(await gate.authenticate(None))
    async with gate.running():
        pass
    assert (await store.get_key(SYSTEM, row.id)).last_used_at is not None
    await store.revoke_key(SYSTEM, row.id, at=iso(clock.now()))
    assert not await gate.holds(caller)


@pytest.mark.contract("TRU-5")
def test_roles_are_sets_of_scopes() -> None:
    own = {"auditor": ("runs:read",), "gateway": ("delegate",)}
    assert scopes_of_roles(["user"]) == scopes_of_roles(["premium"]) == ALL_SCOPES
    assert scopes_of_roles(["admin"]) == ALL_SCOPES | {"admin"}
    assert scopes_of_roles(["auditor", "gateway"], own) == {"runs:read", "delegate"}
    assert scopes_of_roles(["auditor"]) == scopes_of_roles([]) == frozenset()
