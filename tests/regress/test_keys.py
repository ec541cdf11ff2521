"""API keys: their time, their end, and whose they are (TRU-1)."""

from datetime import timedelta
from typing import Any

import pytest

from landline.backends.memory import MemoryStore
from landline.gates.auth.keys import KeyAuthenticator, make_key
from landline.model.callers import SYSTEM
from landline.model.errors import NotFound, Unauthenticated
from landline.model.times import iso
from landline.ports.keys import NewKey
from landline.testing.clock import VirtualClock
from landline.testing.stores import ALICE, BOB


async def made(store: MemoryStore, clock: VirtualClock, **fields: Any) -> tuple[str, NewKey]:
    secret, row = make_key(tenant=ALICE.tenant, user=ALICE.user, at=iso(clock.now()), **fields)
    await store.add_key(SYSTEM, row)
    return secret, row


@pytest.mark.contract("TRU-1")
async def test_a_revoked_key_stops_working_within_five_seconds() -> None:
    """A key is remembered for a moment, and no longer."""
    store, clock = MemoryStore(), VirtualClock()
    gate = KeyAuthenticator(store, clock)
    secret, row = await made(store, clock)
    assert (await gate.authenticate(secret)).user == "alice"
    await store.revoke_key(SYSTEM, row.id, at=iso(clock.now()))
    await clock.advance(5)
    with pytest.raises(Unauthenticated):
        await gate.authenticate(secret)


@pytest.mark.contract("TRU-1")
async def test_a_key_ends_with_its_time() -> None:
    """Also when it was just used."""
    store, clock = MemoryStore(), VirtualClock()
    gate = KeyAuthenticator(store, clock)
    secret, _ = await made(store, clock, expires_at=iso(clock.now() + timedelta(seconds=60)))
    await clock.advance(59)
    assert (await gate.authenticate(secret)).user == "alice"
    await clock.advance(6)
    with pytest.raises(Unauthenticated):
        await gate.authenticate(secret)


@pytest.mark.contract("TRU-1")
async def test_a_key_is_needed_whole() -> None:
    """Its first characters only find it."""
    store, clock = MemoryStore(), VirtualClock()
    gate = KeyAuthenticator(store, clock)
    secret, row = await made(store, clock)
    for wrong in (row.prefix, secret[:-1], f"{row.prefix}{'0' * 32}", f"{secret}0", secret.upper()):
        with pytest.raises(Unauthenticated):
            await gate.authenticate(wrong)
    assert (await gate.authenticate(secret)).key_id == row.id


@pytest.mark.contract("TRU-1", "THR-2")
async def test_a_key_of_somebody_else_is_like_none() -> None:
    """Nobody revokes a key that is not theirs."""
    store, clock = MemoryStore(), VirtualClock()
    secret, row = await made(store, clock)
    with pytest.raises(NotFound):
        await store.revoke_key(BOB, row.id, at=iso(clock.now()))
    assert await store.list_keys(BOB) == []
    assert (await KeyAuthenticator(store, clock).authenticate(secret)).user == "alice"
