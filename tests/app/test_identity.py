"""Keys, users and delegation through a whole server: what each credential may do at the door (TRU-1, TRU-4, TRU-5)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline
from landline.app.settings import ConfigError, load_settings
from landline.gates.auth import make_key
from landline.model.callers import ALL_SCOPES, SYSTEM, Caller
from landline.model.ids import new_id
from landline.web.face import FacePorts

AT = "2026-11-21T08:00:00.000Z"
KEYS, USERS = "/api/v1/admin/keys", "/api/v1/admin/users"
ADMIN = [*ALL_SCOPES, "admin"]


async def echo(run: Any) -> str:
    return str(run.input)


class Place:
    """A server that wants keys, and clients with keys to it."""

    def __init__(self, instance: Landline) -> None:
        self.instance = instance
        self.clients: list[httpx.AsyncClient] = []

    async def key(
        self, user: str = "ann", tenant: str = "acme", scopes: list[str] | None = None, **more: Any
    ) -> str:
        secret, row = make_key(tenant=tenant, user=user, at=AT, scopes=scopes, **more)
        await self.instance.store.add_key(SYSTEM, row)
        return secret

    def client(self, key: str | None, **headers: str) -> httpx.AsyncClient:
        with_key = {**headers, **({"x-api-key": key} if key else {})}
        transport = httpx.ASGITransport(self.instance.app)
        made = httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=with_key)
        self.clients.append(made)
        return made

    async def signed_in(
        self, user: str = "ann", tenant: str = "acme", scopes: list[str] | None = None
    ) -> httpx.AsyncClient:
        return self.client(await self.key(user, tenant, scopes))


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    agents = [landline.agent(echo, name=name) for name in ("echo", "notes")]
    instance = Landline(agents, open=False, data=tmp_path, roles={"auditor": ("runs:read",)}, docs=True)
    async with instance.started():
        found = Place(instance)
        yield found
        for client in found.clients:
            await client.aclose()


# The same answer for both ways to send a key


@pytest.mark.contract("TRU-1")
@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v1/agents"), ("GET", "/api/v1/runs"), ("GET", "/api/v1/runs/x"), ("GET", KEYS), ("POST", "/api/v1/runs"),
     ("POST", KEYS), ("GET", "/api/v1/keys")],
)  # fmt: skip
async def test_both_headers_get_the_identical_answer(
    place: Place, method: str, path: str, good: bool
) -> None:
    key = await place.key() if good else "ll_" + "0" * 40
    answers: list[tuple[int, bytes, list[tuple[str, str]]]] = []
    for headers in (
        {"x-api-key": key},
        {"authorization": f"Bearer {key}"},
        {"authorization": f"bearer  {key} "},
    ):
        answer = await place.client(None, **headers).request(method, path)
        shown = answer.headers.get("x-request-id", "").encode()
        told = [(name, value) for name, value in answer.headers.items() if name != "x-request-id"]
        answers.append((answer.status_code, answer.content.replace(shown, b"ID"), told))
    assert answers[0] == answers[1] == answers[2]
    assert (answers[0][0] != 401) == good


# Acting for somebody


@pytest.mark.contract("TRU-4")
async def test_a_gateway_acts_as_the_user_it_names(place: Place) -> None:
    gateway = await place.key("gateway", scopes=[*ADMIN, "delegate"])
    for name in ("ann", "jörg@example.com", "x" * 200):
        as_user = place.client(gateway)
        as_user.headers = httpx.Headers({b"x-api-key": gateway.encode(), b"x-user-id": name.encode()})
        made = await as_user.post("/api/v1/threads", json={"agent": "echo"})
        assert (made.status_code, made.json()["user_id"]) == (201, name)
        assert (await as_user.get("/api/v1/threads")).json()["items"] == [made.json()]
        refused = await as_user.get(KEYS)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    itself = place.client(gateway)
    assert (await itself.get("/api/v1/threads")).json()["items"] == []
    own = await place.signed_in("ann")
    assert len((await own.get("/api/v1/threads")).json()["items"]) == 1
    stranger = await place.signed_in("ann", tenant="other")
    assert (await stranger.get("/api/v1/threads")).json()["items"] == []


@pytest.mark.contract("TRU-4")
@pytest.mark.parametrize("scopes", [None, ADMIN, ["threads:read"]])
@pytest.mark.parametrize("name", ["bob", "", "Ann", "ann,bob"])
async def test_nobody_else_names_a_user(place: Place, scopes: list[str] | None, name: str) -> None:
    client = await place.signed_in("ann", scopes=scopes)
    for path in ("/api/v1/threads", KEYS, "/api/v1/runs/x"):
        answer = await client.get(path, headers={"x-user-id": name})
        assert (answer.status_code, answer.json()["code"]) == (403, "delegation_not_allowed")


@pytest.mark.contract("TRU-4")
async def test_a_key_that_names_its_own_user_says_nothing_new(place: Place) -> None:
    """Clients written for a gateway send the name beside the user's own key."""
    client = await place.signed_in("ann", scopes=ADMIN)
    made = await client.post("/api/v1/threads", json={"agent": "echo"}, headers={"x-user-id": "ann"})
    assert (made.status_code, made.json()["user_id"]) == (201, "ann")
    assert (await client.get(KEYS, headers={"x-user-id": "ann"})).status_code == 200
    two = [
        (b"x-api-key", client.headers["x-api-key"].encode()),
        (b"x-user-id", b"ann"),
        (b"x-user-id", b"bob"),
    ]
    refused = await place.client(None).get("/api/v1/threads", headers=two)
    assert refused.json()["code"] == "delegation_not_allowed"


@pytest.mark.contract("TRU-4", "TRU-6")
async def test_an_open_server_believes_no_name_either(tmp_path: Path) -> None:
    instance = Landline([landline.agent(echo, name="echo")], open=True, data=tmp_path)
    transport = httpx.ASGITransport(instance.app)
    async with (
        instance.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        assert (await client.get("/api/v1/threads")).status_code == 200
        answer = await client.get("/api/v1/threads", headers={"x-user-id": "local"})
        assert (answer.status_code, answer.json()["code"]) == (403, "delegation_not_allowed")


@pytest.mark.contract("TRU-4")
@pytest.mark.parametrize(
    "values",
    [
        [b""],
        [b" "],
        [b"a b"],
        [b"a\tb"],
        [b"\xff\xfe"],
        ["a\u202eb".encode()],
        [b"x" * 201],
        [b"ann", b"bob"],
        [b"a\x7f"],
    ],
)
async def test_a_name_that_is_none_is_refused(place: Place, values: list[bytes]) -> None:
    gateway = await place.key("gateway", scopes=[*ALL_SCOPES, "delegate"])
    headers = [(b"x-api-key", gateway.encode()), *((b"x-user-id", value) for value in values)]
    answer = await place.client(None).get("/api/v1/threads", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_user_id")


@pytest.mark.contract("TRU-4", "TRU-5")
async def test_a_disabled_user_is_not_acted_for(place: Place) -> None:
    admin = await place.signed_in("root", scopes=ADMIN)
    made = await admin.post(USERS, json={"name": "ann"})
    await admin.patch(f"{USERS}/{made.json()['id']}", json={"disabled": True})
    gateway = place.client(await place.key("gateway", scopes=[*ALL_SCOPES, "delegate"]))
    answer = await gateway.get("/api/v1/threads", headers={"x-user-id": "ann"})
    assert (answer.status_code, answer.json()["code"]) == (403, "user_disabled")


# Keys over HTTP


@pytest.mark.contract("TRU-1", "TRU-5")
async def test_a_key_is_shown_once_works_and_is_revoked(place: Place) -> None:
    admin = await place.signed_in("root", scopes=ADMIN)
    body = {"user": "bob", "scopes": ["agents:read", "runs:read"], "agents": ["notes"], "tier": "gold", "name": "ci",
            "limits": {"runs": "10/minute"}, "expires_in_s": 3600}  # fmt: skip
    made = await admin.post(KEYS, json=body)
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    shown = made.json()
    secret, id_ = shown.pop("key"), shown["id"]
    assert made.headers["location"] == f"{KEYS}/{id_}"
    assert (shown["user"], shown["tenant"], shown["tier"], shown["agents"]) == (
        "bob",
        "acme",
        "gold",
        ["notes"],
    )
    assert shown["expires_at"] > shown["at"]
    bob = place.client(secret)
    assert [agent["name"] for agent in (await bob.get("/api/v1/agents")).json()["items"]] == ["notes"]
    again = await admin.get(f"{KEYS}/{id_}")
    assert again.json() == shown
    listed = await admin.get(KEYS, params={"user": "bob"})
    assert listed.json()["items"] == [shown]
    for answer in (again, listed):
        assert secret not in answer.text
        assert "hash" not in answer.text
    assert (await admin.delete(f"{KEYS}/{id_}")).status_code == 204
    assert (await admin.delete(f"{KEYS}/{id_}")).status_code == 204
    assert (await admin.get(f"{KEYS}/{id_}")).json()["revoked_at"] is not None
    assert not await still_holds(place, Caller(tenant="acme", user="bob", credential=f"key:{id_}"))
    assert (await bob.get("/api/v1/agents")).status_code == 401


@pytest.mark.contract("TRU-1")
async def test_a_key_is_rotated_over_http(place: Place) -> None:
    admin = await place.signed_in("root", scopes=ADMIN)
    old = (await admin.post(KEYS, json={"user": "bob", "scopes": ["runs:read"]})).json()
    made = await admin.post(f"{KEYS}/{old['id']}/rotate", json={"overlap_s": 600})
    assert made.status_code == 201, made.text
    assert (made.json()["replaces"], made.json()["scopes"]) == (old["id"], ["runs:read"])
    for secret in (old["key"], made.json()["key"]):
        assert (await place.client(secret).get("/api/v1/runs")).status_code == 200
    assert (await admin.get(f"{KEYS}/{old['id']}")).json()["expires_at"] is not None
    gone = await admin.post(f"{KEYS}/{old['id']}/rotate", json={"overlap_s": 0})
    assert gone.status_code == 201
    ended = await admin.post(f"{KEYS}/{old['id']}/rotate", json={})
    assert (ended.status_code, ended.json()["code"]) == (409, "key_ended")


@pytest.mark.contract("TRU-5", "THR-2")
async def test_what_is_of_another_tenant_is_as_if_it_never_was(place: Place) -> None:
    admin = await place.signed_in("root", scopes=ADMIN)
    stranger = await place.signed_in("root", tenant="other", scopes=ADMIN)
    key = (await admin.post(KEYS, json={"user": "bob"})).json()["id"]
    user = (await admin.post(USERS, json={"name": "bob"})).json()["id"]
    bodies: dict[str, Any] = {"POST": {}, "PATCH": {"disabled": True}}
    calls = [("GET", f"{KEYS}/%"), ("DELETE", f"{KEYS}/%"), ("POST", f"{KEYS}/%/rotate"), ("DELETE", "/api/v1/keys/%"),
             ("GET", f"{USERS}/%"), ("PATCH", f"{USERS}/%")]  # fmt: skip
    for method, path in calls:
        theirs = user if "users" in path else key
        told: list[tuple[int, str]] = []
        for id_ in (theirs, new_id(), "not-an-id"):
            answer = await stranger.request(method, path.replace("%", id_), json=bodies.get(method))
            body = answer.text.replace(id_, "ID").replace(answer.headers["x-request-id"], "R")
            told.append((answer.status_code, body))
        assert told[0][0] == 404
        assert told[0] == told[1] == told[2]
    assert (await stranger.get(USERS)).json()["items"] == []
    assert [one["user"] for one in (await stranger.get(KEYS)).json()["items"]] == ["root"]
    assert (await admin.get(f"{USERS}/{user}")).json()["disabled_at"] is None
    assert (await admin.get(f"{KEYS}/{key}")).json()["revoked_at"] is None


@pytest.mark.contract("TRU-5")
async def test_only_who_operates_the_tenant_may_look_after_it(place: Place) -> None:
    user = await place.signed_in("ann", scopes=[*ALL_SCOPES, "delegate"])
    for method, path in (
        ("GET", KEYS),
        ("POST", KEYS),
        ("GET", USERS),
        ("POST", USERS),
        ("PATCH", f"{USERS}/x"),
    ):
        answer = await user.request(method, path, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
        assert (await place.client(None).request(method, path, json={})).status_code == 401


@pytest.mark.contract("TRU-1")
async def test_a_caller_looks_after_its_own_keys(place: Place) -> None:
    ann = await place.signed_in("ann", scopes=["runs:read"])
    await place.key("bob")
    weak, strong = await place.key("ann", scopes=["runs:read"]), await place.key("ann", scopes=["runs:write"])
    items = (await ann.get("/api/v1/keys")).json()["items"]
    assert [item["user"] for item in items] == ["ann"] * 3
    by_prefix = {item["prefix"]: item["id"] for item in items}
    assert (await ann.delete(f"/api/v1/keys/{by_prefix[weak[:11]]}")).status_code == 204
    refused = await ann.delete(f"/api/v1/keys/{by_prefix[strong[:11]]}")
    assert (refused.status_code, refused.json()["code"]) == (403, "beyond_caller")
    assert (
        await place.client(strong).post("/api/v1/runs", json={"agent": "echo", "input": "x"})
    ).status_code == 200
    assert (await place.client(weak).get("/api/v1/runs")).status_code == 401
    admin = await place.signed_in("root", scopes=ADMIN)
    assert [item["user"] for item in (await admin.get("/api/v1/keys")).json()["items"]] == ["root"]
    assert (await admin.delete(f"/api/v1/keys/{by_prefix[strong[:11]]}")).status_code == 404


# Users over HTTP


@pytest.mark.contract("TRU-5")
async def test_a_user_is_added_changed_and_kept_out(place: Place) -> None:
    admin = await place.signed_in("root", scopes=ADMIN)
    body = {
        "name": "bob",
        "roles": ["user", "auditor"],
        "email": "bob@acme.example",
        "password": "correct horse",
    }
    made = await admin.post(USERS, json=body)
    assert made.status_code == 201, made.text
    user = made.json()
    assert (user["name"], user["roles"], user["email"], user["has_password"]) == (
        "bob", ["auditor", "user"], "bob@acme.example", True,
    )  # fmt: skip
    assert "argon2" not in made.text
    assert (await admin.post(USERS, json=body)).status_code == 409
    where = made.headers["location"]
    key = (await admin.post(KEYS, json={"user": "bob"})).json()["key"]
    bob = place.client(key)
    assert (await bob.get("/api/v1/threads")).status_code == 200
    changed = await admin.patch(where, json={"roles": ["auditor"], "email": None})
    assert (changed.json()["roles"], changed.json()["email"], changed.json()["has_password"]) == (
        ["auditor"],
        None,
        True,
    )
    assert (await admin.get(where)).json() == changed.json() == (await admin.get(USERS)).json()["items"][0]
    kept_out = await admin.patch(where, json={"disabled": True})
    assert kept_out.json()["disabled_at"] is not None
    caller = Caller(
        tenant="acme", user="bob", credential=f"key:{(await admin.get(KEYS)).json()['items'][-1]['id']}"
    )
    assert not await still_holds(place, caller)
    assert (await bob.get("/api/v1/threads")).status_code == 401


async def still_holds(place: Place, caller: Caller) -> bool:
    """Ask as the leases do, instead of waiting for them."""
    holds: Any = place.instance.authenticator
    return bool(await holds.holds(caller))


@pytest.mark.contract("TRU-5")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (KEYS, {"user": "bob", "scopes": ["root"]}), (KEYS, {"user": "b b"}), (KEYS, {"user": ""}), (KEYS, {}),
        (KEYS, {"user": "bob", "tenant": "other"}), (KEYS, {"user": "bob", "expires_in_s": 0}),
        (KEYS, {"user": "bob", "agents": "echo"}), (KEYS, {"user": "bob", "limits": {"a": 1}}),
        (USERS, {"name": "bob", "roles": ["root"]}), (USERS, {"name": "bob", "tenant": "other"}),
        (USERS, {"name": "bob", "password": ""}), (USERS, {"name": "bob", "password_hash": "x"}),
        (USERS, {"name": "bob", "email": "nobody"}), (USERS, {"name": "\u200b"}),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_refused(place: Place, path: str, body: dict[str, Any]) -> None:
    admin = await place.signed_in("root", scopes=ADMIN)
    answer = await admin.post(path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    listed = (await admin.get(path)).json()["items"]
    assert [item.get("user") for item in listed] in ([], ["root"])


@pytest.mark.contract("TRU-5")
def test_without_accounts_there_are_no_routes_for_them(place: Place) -> None:
    from landline.faces.native.routes import face

    core = place.instance.core
    ports = FacePorts(
        runs=core.runs, threads=core.threads, agents=core.agents, questions=core.questions, files=core.files,
        door=place.instance.door, watch=core.runs, documents=place.instance.store,
    )  # fmt: skip
    paths = {getattr(route, "path", "") for route in face(ports).routes}
    assert not {path for path in paths if "keys" in path or "users" in path}


# Roles as settings


@pytest.mark.contract("TRU-5", "CLI-3")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[roles]\nauditor = ["usage:raed"]\n', "usage:raed"),
        ('[roles]\nadmin = ["runs:read"]\n', "admin is a role of Landline's own"),
        ('[roles]\n"a,b" = ["runs:read"]\n', "no name of a role"),
        ('roles = ["auditor"]\n', "roles"),
    ],
)
def test_a_role_that_cannot_be_is_a_wrong_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("landline.toml").write_text(text)
    with pytest.raises(ConfigError) as told:
        load_settings()
    assert said in told.value.what
    assert told.value.where == "roles from landline.toml:1"


@pytest.mark.contract("TRU-5", "CLI-3")
def test_roles_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("landline.toml").write_text('[roles]\nauditor = ["runs:read", "threads:read"]\n')
    assert load_settings().roles == {"auditor": ("runs:read", "threads:read")}
    monkeypatch.setenv("LANDLINE_ROLES", '{"reader": ["runs:read"]}')
    assert load_settings().roles["reader"] == ("runs:read",)
