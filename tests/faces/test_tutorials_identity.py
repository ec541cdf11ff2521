"""The tutorials' sign-in and what it opens: a whole server, users with roles and passwords, keys with tiers (FACE-4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline
from landline.gates.auth import make_key
from landline.gates.auth.passwords import hash_password
from landline.model.callers import SYSTEM
from landline.model.ids import new_id
from landline.ports.people import NewUser

pytestmark = pytest.mark.contract("FACE-4", "TRU-3", "TRU-5")

AT = "2026-01-01T00:00:00.000Z"
PASSWORD = "correct horse battery staple"
CHATS = ("/chat/protected", "/chat/user", "/chat/premium", "/chat/api-key")


async def _plain(run: Any) -> str:
    return f"plain {run.input}"


async def _better(run: Any) -> str:
    return f"better {run.input}"


@pytest.fixture
async def instance(tmp_path: Path) -> AsyncIterator[Landline]:
    agents = [
        landline.agent(_plain, name="plain", description="The usual one."),
        landline.agent(_better, name="better", labels={"tier": "premium"}),
    ]
    instance = Landline(agents, open=False, data=tmp_path, faces=("native", "tutorials", "tutorials_more"))
    async with instance.started():
        for name in ("user", "premium", "admin"):
            new = NewUser(
                id=new_id(), tenant="local", name=f"a-{name}", roles=(name,), at=AT,
                password_hash=await hash_password(PASSWORD),
            )  # fmt: skip
            await instance.store.add_user(SYSTEM, new)
        yield instance


@pytest.fixture
async def client(instance: Landline) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(instance.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as found:
        yield found


async def bearer(client: httpx.AsyncClient, name: str) -> dict[str, str]:
    answer = await client.post("/token", json={"username": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "bearer"
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def chat(message: str = "hi", agent: str = "plain") -> dict[str, str]:
    return {"message": message, "agent": agent}


async def test_a_form_signs_in_as_json_does_and_a_wrong_password_is_401(client: httpx.AsyncClient) -> None:
    """X13: one code for both, in these wires' own words."""
    good = await client.post("/token", data={"username": "a-user", "password": PASSWORD})
    assert good.status_code == 200
    wrong = {"username": "a-user", "password": "x"}
    for answer in (
        await client.post("/token", json=wrong),
        await client.post("/token", data={**wrong, "username": "nobody"}),
    ):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json() == {
            "error": "Unauthorized",
            "detail": "The user name or the password is wrong.",
        }


async def test_without_a_credential_all_of_them_are_401(client: httpx.AsyncClient) -> None:
    """And with one that does not hold."""
    for path in (*CHATS, "/admin/agents"):
        for headers in ({}, {"Authorization": "Bearer a.b.c"}, {"X-API-Key": "ll_wrong"}):
            answer = await client.post(path, json=chat(), headers=headers)
            assert answer.status_code == 401, (path, headers)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert set(answer.json()) == {"error", "detail"}


@pytest.mark.parametrize("path", ["/chat/protected", "/chat/user"])
async def test_a_user_is_answered_and_named(client: httpx.AsyncClient, path: str) -> None:
    """By the name that signed in; a body may not name another."""
    headers = await bearer(client, "a-user")
    answer = await client.post(path, json=chat(), headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"response": "plain hi", "user": "a-user"})
    forged = await client.post(path, json={**chat(), "user_id": "a-admin"}, headers=headers)
    assert forged.status_code == 422


async def test_premium_is_for_two_roles_and_takes_the_better_agent(client: httpx.AsyncClient) -> None:
    """Any of the two; everybody else is told so in the tutorial's words."""
    for name, status in (("a-user", 403), ("a-premium", 200), ("a-admin", 200)):
        answer = await client.post(
            "/chat/premium", json={"message": "hi"}, headers=await bearer(client, name)
        )
        assert answer.status_code == status, answer.text
        if status == 200:
            assert answer.json() == {"response": "better hi", "user": name}
        else:
            assert answer.json()["error"] == "Insufficient permissions"


async def test_the_list_of_agents_is_for_admins(client: httpx.AsyncClient) -> None:
    """Premium is no admin."""
    for name in ("a-user", "a-premium"):
        answer = await client.post("/admin/agents", headers=await bearer(client, name))
        assert (answer.status_code, answer.json()["error"]) == (403, "Insufficient permissions")
    answer = await client.post("/admin/agents", headers=await bearer(client, "a-admin"))
    assert answer.status_code == 200
    listed = {entry["name"]: entry for entry in answer.json()["agents"]}
    assert set(listed) == {"plain", "better"}
    assert listed["plain"]["description"] == "The usual one."


async def test_a_key_is_told_its_name_and_tier(instance: Landline, client: httpx.AsyncClient) -> None:
    """A token is no key."""
    for name, tier in (("my app", "free"), ("better app", "premium")):
        secret, row = make_key(tenant="local", user="app", at=AT, name=name)
        await instance.store.add_key(SYSTEM, replace(row, tier=tier))
        headers = {"X-API-Key": secret}
        answer = await client.post("/chat/api-key", json=chat(), headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"response": "plain hi", "api_key_name": name, "tier": tier}
        better = await client.post("/chat/premium", json={"message": "hi"}, headers=headers)
        assert better.status_code == (200 if tier == "premium" else 403)
    answer = await client.post("/chat/api-key", json=chat(), headers=await bearer(client, "a-user"))
    assert answer.status_code == 401
