"""Passwords into tokens (TRU-3): over HTTP, against a real store, with argon2 as it is."""

from __future__ import annotations

import asyncio
import base64
import json
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline
from landline.app.secret import token_secret
from landline.app.settings import ConfigError, load_settings
from landline.backends.memory import MemoryStore
from landline.gates.auth.attempts import FIRST_LOCK_S, FORGET_S, FREE, LONGEST_LOCK_S, PER_ADDRESS, Attempts
from landline.gates.auth.families import IDLE_S, MOST_PER_USER, WHOLE_S, Families
from landline.gates.auth.own_tokens import STREAM, Signer
from landline.gates.auth.passwords import hash_password
from landline.gates.auth.sign_in import ACCESS_S, PasswordSignIn
from landline.model.callers import SYSTEM
from landline.model.errors import Unauthenticated
from landline.model.ids import new_id
from landline.ports.people import NewUser, UserPatch
from landline.ports.sign_in import SignedIn, TooManySignIns
from landline.testing.clock import VirtualClock
from landline.web.client import Proxies, client_address
from tests.gates.tokens import SECRET, b64

pytestmark = pytest.mark.contract("TRU-3")

AT = "2026-01-01T00:00:00.000Z"
PASSWORD = "correct horse battery staple"


async def add(store: Any, name: str, *roles: str, tenant: str = "local") -> str:
    new = NewUser(
        id=new_id(),
        tenant=tenant,
        name=name,
        roles=roles or ("user",),
        at=AT,
        password_hash=await hash_password(PASSWORD),
    )
    await store.add_user(SYSTEM, new)
    return new.id


@pytest.fixture
async def instance(tmp_path: Path) -> AsyncIterator[Landline]:
    made = Landline([landline.agent(_echo, name="echo")], open=False, data=tmp_path)
    async with made.started():
        yield made


@pytest.fixture
async def client(instance: Landline) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(instance.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as found:
        yield found


async def sign_in(client: httpx.AsyncClient, name: str = "ada", password: str = PASSWORD) -> httpx.Response:
    return await client.post("/api/v1/token", json={"username": name, "password": password})


async def may(client: httpx.AsyncClient, token: str, path: str = "/api/v1/threads") -> int:
    return (await client.get(path, headers={"Authorization": f"Bearer {token}"})).status_code


async def test_a_form_and_json_give_a_token_that_holds(instance: Landline, client: httpx.AsyncClient) -> None:
    """As OAuth2's clients send it, and as pages do."""
    await add(instance.store, "ada")
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD, "scope": "", "client_id": "x"}
    for answer in (await sign_in(client), await client.post("/api/v1/token", data=form)):
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        told = answer.json()
        assert set(told) == {"access_token", "token_type", "expires_in", "refresh_token"}
        assert (told["token_type"], told["expires_in"]) == ("bearer", ACCESS_S)
        assert await may(client, told["access_token"]) == 200
        claims = json.loads(base64.urlsafe_b64decode(told["access_token"].split(".")[1] + "=="))
        assert (claims["sub"], round(claims["exp"] - claims["iat"])) == ("ada", 1800)


async def test_roles_are_those_of_the_user_now(instance: Landline, client: httpx.AsyncClient) -> None:
    """A token names a sign-in, not rights: they are looked up."""
    await add(instance.store, "ada", "admin")
    await add(instance.store, "bob")
    for name, status in (("ada", 200), ("bob", 403)):
        token = (await sign_in(client, name)).json()["access_token"]
        assert await may(client, token, "/api/v1/admin/users") == status


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", "[]", 422),
        ("application/json", "{", 400),
        ("application/json", '{"username":"ada"}', 422),
        ("application/json", '{"username":"ada","password":1}', 422),
        ("application/json", '{"username":"ada","username":"bob","password":"x"}', 400),
        ("application/json", '{"username":"ada","password":"x","roles":["admin"]}', 422),
        ("application/json", '{"username":"a\\u0000","password":"x"}', 400),
        ("application/json", '{"username":"' + "a" * 201 + '","password":"x"}', 422),
        ("application/json", '{"username":"ada","password":"' + "x" * 1025 + '"}', 422),
        ("application/x-www-form-urlencoded", "username=ada", 422),
        ("application/x-www-form-urlencoded", "username=ada&username=bob&password=x", 422),
        ("application/x-www-form-urlencoded", "grant_type=client_credentials&username=a&password=b", 422),
        ("application/x-www-form-urlencoded", "username=%00&password=x", 422),
        ("application/x-www-form-urlencoded", "a=1&" * 5000, 400),
        ("application/x-www-form-urlencoded", "username=%ff%fe&password=x", 401),
        ("multipart/form-data; boundary=x", "--x--", 415),
        ("text/plain", '{"username":"ada","password":"x"}', 415),
        ("", "", 415),
    ],
)
async def test_bodies_that_do_not_fit_are_refused(
    client: httpx.AsyncClient, kind: str, body: str, status: int
) -> None:
    """Never a 5xx, and never with what was sent."""
    headers = {"content-type": kind} if kind else {}
    answer = await client.post("/api/v1/token", content=body.encode(), headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["code"]


async def test_no_such_user_and_a_wrong_password_are_the_same(
    instance: Landline, client: httpx.AsyncClient
) -> None:
    """One body; and disabled, or without a password, is no other case."""
    user_id = await add(instance.store, "gone")
    await instance.store.update_user(SYSTEM, user_id, UserPatch(at=AT, enabled=False))
    await add(instance.store, "ada")
    bare = NewUser(id=new_id(), tenant="local", name="bare", roles=("user",), at=AT)
    await instance.store.add_user(SYSTEM, bare)
    answers = [
        await sign_in(client, "ada", "wrong"),
        await sign_in(client, "nobody", "wrong"),
        await sign_in(client, "gone"),
        await sign_in(client, "bare", "x"),
    ]
    bodies = {json.dumps({**answer.json(), "request_id": None}) for answer in answers}
    assert {answer.status_code for answer in answers} == {401}
    assert len(bodies) == 1


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(instance: Landline) -> None:
    """The time tells nothing: each does one argon2, which is nearly all of it."""
    await add(instance.store, "ada")
    found = instance.sign_in
    assert found is not None
    times: dict[str, list[float]] = {"ada": [], "nobody": []}
    for number in range(8):
        for name in ("ada", "nobody") if number % 2 else ("nobody", "ada"):
            at = time.process_time()
            with pytest.raises((Unauthenticated, TooManySignIns)) as caught:
                await found.sign_in(name, "wrong", address=None)
            if caught.type is Unauthenticated:
                times[name].append(time.process_time() - at)
    ada, nobody = (statistics.median(times[name][1:]) for name in ("ada", "nobody"))
    assert 0.5 < ada / nobody < 2, times
    assert min(ada, nobody) > 0.005, "no argon2 was done"


async def test_refresh_turns_the_token_over_and_a_copy_ends_the_sign_in(
    instance: Landline, client: httpx.AsyncClient
) -> None:
    """Whoever uses an old one has a copy, or somebody else has: nobody keeps anything."""
    await add(instance.store, "ada")
    first = (await sign_in(client)).json()
    other = (await sign_in(client)).json()
    body = {"refresh_token": first["refresh_token"]}
    second = (await client.post("/api/v1/token/refresh", json=body)).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert await may(client, second["access_token"]) == 200
    third = await client.post(
        "/api/v1/token", data={"grant_type": "refresh_token", "refresh_token": second["refresh_token"]}
    )
    assert third.status_code == 200, third.text
    assert (await client.post("/api/v1/token/refresh", json=body)).status_code == 401
    ended = {"refresh_token": third.json()["refresh_token"]}
    assert (await client.post("/api/v1/token/refresh", json=ended)).status_code == 401
    assert await may(client, third.json()["access_token"]) == 401
    assert await may(client, other["access_token"]) == 200, "another sign-in of the same user goes on"


async def test_two_refreshes_at_once_give_one_token_at_most(
    instance: Landline, client: httpx.AsyncClient
) -> None:
    """The store decides, not the order of looking."""
    await add(instance.store, "ada")
    body = {"refresh_token": (await sign_in(client)).json()["refresh_token"]}
    answers = await asyncio.gather(*(client.post("/api/v1/token/refresh", json=body) for _ in range(8)))
    assert [answer.status_code for answer in answers].count(200) <= 1
    assert {answer.status_code for answer in answers} <= {200, 401}


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_signing_out_ends_both_tokens(
    instance: Landline, client: httpx.AsyncClient, which: str
) -> None:
    """With either of them, and with the same answer for one that never was."""
    await add(instance.store, "ada")
    tokens = (await sign_in(client)).json()
    assert await may(client, tokens["access_token"]) == 200
    for token in (tokens[which], tokens[which], "lr_x", "a.b.c", "x"):
        answer = await client.post("/api/v1/token/revoke", json={"token": token})
        assert (answer.status_code, answer.json()) == (200, {})
    assert await may(client, tokens["access_token"]) == 401
    again = await client.post("/api/v1/token/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert again.status_code == 401


async def test_kept_is_a_hash_and_the_secret_is_its_owners_alone(
    instance: Landline, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    """Whoever reads the database can sign nothing; there is no secret that every install has."""
    await add(instance.store, "ada")
    tokens = (await sign_in(client)).json()
    kept = _all_bytes(tmp_path)
    assert tokens["refresh_token"].rpartition("_")[2].encode() not in kept
    assert PASSWORD.encode() not in kept
    path = tmp_path / "token.secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_text().strip()) >= 43


# --- with a clock that moves


class Signing:
    """A sign-in over a store in memory, with a virtual clock and one user."""

    def __init__(self) -> None:
        self.clock, self.store = VirtualClock(), MemoryStore()
        self.signer = Signer(lambda: SECRET, self.clock)
        families = Families(self.store, self.clock)
        self.sign_in = PasswordSignIn(self.store, families, self.signer, self.clock, tenant="local", roles={})
        self.user_id = ""

    async def begun(self) -> SignedIn:
        self.user_id = await add(self.store, "ada")
        return await self.sign_in.sign_in("ada", PASSWORD)

    async def refused(self, token: str) -> None:
        with pytest.raises(Unauthenticated):
            await self.sign_in.authenticate(token)


async def test_an_access_token_ends_after_thirty_minutes_to_the_second() -> None:
    """Without a leeway: it is our own clock."""
    on = Signing()
    token = (await on.begun()).access_token
    await on.clock.advance(ACCESS_S - 0.5)
    caller = await on.sign_in.authenticate(token)
    assert (caller.tenant, caller.user, caller.roles) == ("local", "ada", {"user"})
    await on.clock.advance(0.6)
    await on.refused(token)


@pytest.mark.parametrize(
    "patch",
    [UserPatch(at=AT, enabled=False), UserPatch(at=AT, password_hash="$argon2id$another")],
    ids=["disabled", "password changed"],
)
async def test_tokens_end_with_the_user_or_the_password(patch: UserPatch) -> None:
    """Within two seconds, for requests, refreshes and what is open; being enabled again brings none back."""
    on = Signing()
    tokens = await on.begun()
    caller = await on.sign_in.authenticate(tokens.access_token)
    assert await on.sign_in.holds(caller)
    await on.store.update_user(SYSTEM, on.user_id, patch)
    await on.clock.advance(2)
    await on.refused(tokens.access_token)
    assert not await on.sign_in.holds(caller)
    await on.store.update_user(SYSTEM, on.user_id, UserPatch(at=AT, enabled=True))
    await on.clock.advance(2)
    await on.refused(tokens.access_token)
    with pytest.raises(Unauthenticated):
        await on.sign_in.refresh(tokens.refresh_token)


async def test_a_new_user_of_the_same_name_is_not_the_old_one() -> None:
    """Names come again; ids do not."""
    on = Signing()
    tokens = await on.begun()

    class Renamed:
        async def find_user(self, tenant: str, name: str) -> Any:
            from dataclasses import replace

            found = await on.store.find_user(tenant, name)
            return None if found is None else replace(found, id=new_id())

        async def note_sign_in(self, user_id: str, **tried: Any) -> int:
            return await on.store.note_sign_in(user_id, **tried)

    other = PasswordSignIn(
        Renamed(), Families(on.store, on.clock), on.signer, on.clock, tenant="local", roles={}
    )
    with pytest.raises(Unauthenticated):
        await other.authenticate(tokens.access_token)


async def test_an_unused_sign_in_ends_and_so_does_one_that_is_used_for_ever() -> None:
    """Fourteen days without a refresh, ninety with."""
    on = Signing()
    token = (await on.begun()).refresh_token
    spent = 0.0
    while spent + IDLE_S - 1 < WHOLE_S:
        await on.clock.advance(IDLE_S - 1)
        spent += IDLE_S - 1
        token = (await on.sign_in.refresh(token)).refresh_token
    await on.clock.advance(IDLE_S - 1)
    with pytest.raises(Unauthenticated):
        await on.sign_in.refresh(token)
    token = (await on.sign_in.sign_in("ada", PASSWORD)).refresh_token
    await on.clock.advance(IDLE_S)
    with pytest.raises(Unauthenticated):
        await on.sign_in.refresh(token)


async def test_the_oldest_sign_in_of_a_user_ends_for_one_too_many() -> None:
    """What is kept of a user has an end."""
    clock, store = VirtualClock(), MemoryStore()
    families = Families(store, clock)
    begun = [
        (await families.begin(tenant="local", user="ada", user_id="u", proof="p"))[0].id
        for _ in range(MOST_PER_USER + 3)
    ]
    alive = [family_id for family_id in begun if await families.find(family_id)]
    assert alive == begun[3:]


async def test_tokens_of_another_kind_or_hand_do_not_sign_in() -> None:
    """Each kind is for its own use, and our key's name is no key."""
    on = Signing()
    tokens = await on.begun()
    sid = json.loads(base64.urlsafe_b64decode(tokens.access_token.split(".")[1] + "=="))["sid"]
    claims = {"sub": "ada", "tenant": "local", "sid": sid}
    await on.sign_in.authenticate(on.signer.sign("at+jwt", claims, lives_s=60))
    await on.refused(on.signer.sign(STREAM, claims, lives_s=60))
    await on.refused(on.signer.sign("at+jwt", {**claims, "sid": new_id()}, lives_s=60))
    await on.refused(on.signer.sign("at+jwt", {**claims, "sid": 1}, lives_s=60))
    await on.refused(Signer(lambda: SECRET + "x", on.clock).sign("at+jwt", claims, lives_s=60))
    _, payload, signature = tokens.access_token.split(".")
    none = b64(b'{"alg":"none","kid":"landline","typ":"at+jwt"}')
    await on.refused(f"{none}.{payload}.{signature}")


async def test_a_name_is_locked_after_five_failures_for_longer_and_longer() -> None:
    """The same for names that do not exist, and the right password does not open it meanwhile."""
    on = Signing()
    await on.begun()
    for name in ("ada", "nobody"):
        for _ in range(FREE):
            with pytest.raises(Unauthenticated):
                await on.sign_in.sign_in(name, "wrong")
        with pytest.raises(TooManySignIns) as caught:
            await on.sign_in.sign_in(name, PASSWORD)
        assert caught.value.retry_after_s == FIRST_LOCK_S
    await on.clock.advance(FIRST_LOCK_S)
    await on.sign_in.sign_in("ada", PASSWORD)
    with pytest.raises(Unauthenticated):
        await on.sign_in.sign_in("ada", "wrong")


async def test_locks_double_up_to_a_bound_and_are_forgotten() -> None:
    """Tries for ever are a hundred a day."""
    clock = VirtualClock()
    attempts = Attempts(clock)
    waits: list[int] = []
    for _ in range(12):
        try:
            attempts.begin("local", "ada", None)
        except TooManySignIns as error:
            waits.append(error.retry_after_s or 0)
            await clock.advance(error.retry_after_s or 0)
            attempts.begin("local", "ada", None)
    assert waits == [60, 120, 240, 480, 900, 900, 900]
    assert max(waits) == LONGEST_LOCK_S
    await clock.advance(FORGET_S)
    for _ in range(FREE):
        attempts.begin("local", "ada", None)
    with pytest.raises(TooManySignIns):
        attempts.begin("local", "ada", None)


def seen_from(host: str) -> str:
    return client_address({"client": (host, 1), "headers": []}, Proxies())


async def test_an_address_may_fail_so_often_whatever_names_it_tries() -> None:
    """A network of IPv6 is one address; others go on."""
    clock = VirtualClock()
    attempts = Attempts(clock)
    for number in range(PER_ADDRESS):
        attempts.begin("local", f"user{number}", seen_from(f"2001:db8::{number:x}"))
    with pytest.raises(TooManySignIns):
        attempts.begin("local", "another", seen_from("2001:db8::ffff"))
    attempts.begin("local", "another", seen_from("2001:db8:0:1::1"))
    for number in range(PER_ADDRESS * 2):
        key = attempts.begin("local", f"right{number}", "192.0.2.1")
        attempts.right(key, "192.0.2.1")
    await clock.advance(900)
    attempts.begin("local", "another2", seen_from("2001:db8::ffff"))


async def test_tries_at_the_same_time_all_count() -> None:
    """A hundred at once are not one."""
    on = Signing()
    await on.begun()
    done = await asyncio.gather(
        *(on.sign_in.sign_in("ada", f"wrong{number}") for number in range(30)), return_exceptions=True
    )
    assert sum(type(one) is Unauthenticated for one in done) == FREE
    assert sum(type(one) is TooManySignIns for one in done) == 30 - FREE


async def test_over_http_a_lock_is_429(instance: Landline, client: httpx.AsyncClient) -> None:
    """With the time after which to come back."""
    answers = [await sign_in(client, "nobody", "wrong") for _ in range(FREE + 1)]
    assert [answer.status_code for answer in answers] == [401] * FREE + [429]
    assert answers[-1].json()["code"] == "too_many_sign_ins"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= FIRST_LOCK_S


# --- the secret


def test_the_secret_is_made_once_and_bad_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From start to start it is the same; one that others can read is closed; a broken one says what to do."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings(data=tmp_path / "data")
    first = token_secret(settings)
    path = tmp_path / "data" / "token.secret"
    path.chmod(0o644)
    assert token_secret(settings) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["token.secret"]
    path.write_text("short")
    with pytest.raises(ConfigError, match="fewer than 32"):
        token_secret(settings)
    assert token_secret(load_settings(data=tmp_path / "data", token_secret=SECRET)) == SECRET
    with pytest.raises(ConfigError, match="fewer than 32 bytes"):
        load_settings(token_secret="short")


async def test_switched_off_there_is_no_route(tmp_path: Path) -> None:
    """And tokens that were given out before do not hold."""
    made = Landline([landline.agent(_echo, name="echo")], open=False, data=tmp_path, sign_in=False)
    async with (
        made.started(),
        httpx.AsyncClient(transport=httpx.ASGITransport(made.app), base_url="http://localhost") as client,
    ):
        assert (await sign_in(client)).status_code == 404
        token = Signer(lambda: SECRET, made.clock).sign("at+jwt", {"sub": "ada"}, lives_s=60)
        assert await may(client, token) == 401


def _all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def _echo(run: Any) -> str:
    return str(run.input)
