"""Locks after wrong passwords: by the client's real address, over restarts, for all processes, and lifted (TRU-3)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline
from landline.backends.memory import MemoryStore
from landline.gates.auth.attempts import FIRST_LOCK_S, FORGET_S, FREE, PER_ADDRESS
from landline.gates.auth.families import Families
from landline.gates.auth.own_tokens import Signer
from landline.gates.auth.passwords import hash_password
from landline.gates.auth.sign_in import PasswordSignIn
from landline.model.callers import SYSTEM
from landline.model.errors import Unauthenticated
from landline.model.ids import new_id
from landline.ports.people import NewUser, UserPatch
from landline.ports.sign_in import TooManySignIns
from landline.testing.clock import VirtualClock
from tests.gates.tokens import SECRET

pytestmark = pytest.mark.contract("TRU-3")

AT = "2026-01-01T00:00:00.000Z"
PASSWORD = "correct horse battery staple"


async def add(store: Any, name: str) -> str:
    new = NewUser(
        id=new_id(), tenant="local", name=name, roles=("user",), at=AT,
        password_hash=await hash_password(PASSWORD),
    )  # fmt: skip
    await store.add_user(SYSTEM, new)
    return new.id


def process(store: Any, clock: VirtualClock) -> PasswordSignIn:
    """One process's sign-in, over a store that others have too."""
    signer = Signer(lambda: SECRET, clock)
    return PasswordSignIn(store, Families(store, clock), signer, clock, tenant="local", roles={})


async def fail(signing: PasswordSignIn, times: int, name: str = "ada") -> None:
    for _ in range(times):
        with pytest.raises(Unauthenticated):
            await signing.sign_in(name, "wrong")


async def test_a_lock_holds_over_a_restart_and_tells_nothing_of_who_exists(tmp_path: Path) -> None:
    """Another process says 401 to the right password too, as it does to a name that there never was."""
    bodies: list[dict[str, Any]] = []
    for round_ in range(2):
        made = Landline([landline.agent(_echo, name="echo")], open=False, data=tmp_path)
        transport = httpx.ASGITransport(made.app)
        async with (
            made.started(),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            if round_ == 0:
                await add(made.store, "ada")
                await add(made.store, "bob")
            for name in ("ada",) * FREE if round_ == 0 else ("ada", "nobody"):
                sent = {"username": name, "password": PASSWORD if round_ else "wrong"}
                answer = await client.post("/api/v1/token", json=sent)
                assert answer.status_code == 401, answer.text
                bodies.append({**answer.json(), "request_id": None})
            good = {"username": "bob", "password": PASSWORD}
            assert (await client.post("/api/v1/token", json=good)).status_code == 200
            row = await made.store.find_user("local", "ada")
            assert row is not None
            assert (row.failed_count, row.locked_until is not None) == (FREE, True)
    assert all(body == bodies[0] for body in bodies)


async def test_processes_count_together_and_the_lock_ends_by_itself() -> None:
    clock, store = VirtualClock(), MemoryStore()
    await add(store, "ada")
    one, other = process(store, clock), process(store, clock)
    await fail(one, 3)
    await fail(other, 2)
    with pytest.raises(Unauthenticated):
        await one.sign_in("ada", PASSWORD)
    await clock.advance(FIRST_LOCK_S + 1)
    assert (await one.sign_in("ada", PASSWORD)).user == "ada"
    row = await store.find_user("local", "ada")
    assert row is not None
    assert (row.failed_count, row.locked_until) == (0, None)
    await fail(other, 2)
    assert (await other.sign_in("ada", PASSWORD)).user == "ada"


async def test_each_lock_is_longer_and_long_after_one_all_begins_anew() -> None:
    clock, store = VirtualClock(), MemoryStore()
    await add(store, "ada")
    await fail(process(store, clock), FREE)
    await clock.advance(FIRST_LOCK_S + 1)
    await fail(process(store, clock), 1)
    await clock.advance(FIRST_LOCK_S + 1)
    with pytest.raises(Unauthenticated):
        await process(store, clock).sign_in("ada", PASSWORD)
    await clock.advance(FIRST_LOCK_S)
    await fail(process(store, clock), 1)
    await clock.advance(FORGET_S + 4 * FIRST_LOCK_S + 1)
    await fail(process(store, clock), FREE - 1)
    assert (await process(store, clock).sign_in("ada", PASSWORD)).user == "ada"


async def test_many_at_once_on_many_processes_are_five_tries() -> None:
    """The right one among them does not get through behind them."""
    clock, store = VirtualClock(), MemoryStore()
    await add(store, "ada")
    wrong = [process(store, clock).sign_in("ada", f"wrong{number}") for number in range(FREE + 1)]
    done = await asyncio.gather(*wrong, return_exceptions=True)
    assert all(type(one) is Unauthenticated for one in done)
    with pytest.raises(Unauthenticated):
        await process(store, clock).sign_in("ada", PASSWORD)


async def test_whoever_looks_after_users_lifts_a_lock_at_once() -> None:
    clock, store = VirtualClock(), MemoryStore()
    user_id = await add(store, "ada")
    signing = process(store, clock)
    await fail(signing, FREE)
    with pytest.raises(TooManySignIns):
        await signing.sign_in("ada", PASSWORD)
    await store.update_user(SYSTEM, user_id, UserPatch(at=AT, enabled=True))
    assert (await signing.sign_in("ada", PASSWORD)).user == "ada"
    await fail(signing, FREE, "nobody")
    with pytest.raises(TooManySignIns):
        await signing.sign_in("nobody", PASSWORD)


@pytest.mark.contract("TRU-8")
async def test_the_address_is_the_clients_and_not_the_proxys(tmp_path: Path) -> None:
    """As the limits count it: one client that fails locks itself out, and nobody else behind the same proxy."""
    made = Landline(
        [landline.agent(_echo, name="echo")], open=False, data=tmp_path, trusted_proxies=["127.0.0.0/8"]
    )
    async with (
        made.started(),
        httpx.AsyncClient(transport=httpx.ASGITransport(made.app), base_url="http://localhost") as client,
    ):
        await add(made.store, "ada")

        async def tried(name: str, address: str) -> httpx.Response:
            sent = {"username": name, "password": PASSWORD}
            return await client.post("/api/v1/token", json=sent, headers={"X-Forwarded-For": address})

        for number in range(PER_ADDRESS):
            answer = await tried(f"nobody{number}", f"192.0.2.99, 2001:db8::{number:x}")
            assert answer.status_code == 401
        shut = await tried("ada", "2001:db8::ffff")
        assert (shut.status_code, shut.json()["code"]) == (429, "too_many_sign_ins")
        assert int(shut.headers["retry-after"]) > 0
        assert (await tried("ada", "2001:db8:0:1::1")).status_code == 200


async def _echo(run: Any) -> str:
    return str(run.input)
