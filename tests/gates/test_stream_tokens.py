"""Stream tokens (TRU-7): one caller, one thread, a minute, and only where a header cannot be sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import landline
from landline.app.build import Landline
from landline.gates.auth import make_key
from landline.gates.auth.own_tokens import Signer
from landline.gates.auth.stream_tokens import SignedStreamTokens
from landline.model.callers import SYSTEM, Caller
from landline.model.errors import Invalid, Unauthenticated
from landline.ports.stream_tokens import STREAM_TOKEN_S, STREAM_TOKEN_SCOPES
from landline.testing.clock import VirtualClock
from tests.faces.serving import served
from tests.gates.tokens import SECRET

pytestmark = pytest.mark.contract("TRU-7")

AT = "2026-01-01T00:00:00.000Z"


class Line:
    """A real server with two users, and a thread with a run of the first one's."""

    def __init__(self, instance: Landline, address: str, client: httpx.AsyncClient) -> None:
        self.instance, self.address, self.client = instance, address, client
        self.key_ids: dict[str, str] = {}
        self.keys: dict[str, dict[str, str]] = {}

    async def key(self, user: str, *scopes: str) -> None:
        secret, row = make_key(tenant="local", user=user, at=AT, scopes=scopes or None)
        await self.instance.store.add_key(SYSTEM, row)
        self.keys[user], self.key_ids[user] = {"X-API-Key": secret}, row.id

    async def run(self, user: str = "ada") -> tuple[str, str]:
        answer = await self.client.post("/api/v1/runs", json={"input": "hi"}, headers=self.keys[user])
        assert answer.status_code == 200, answer.text
        return answer.json()["thread_id"], answer.json()["id"]

    async def token(self, thread_id: str, user: str = "ada") -> str:
        answer = await self.client.post(
            "/api/v1/stream-tokens", json={"thread_id": thread_id}, headers=self.keys[user]
        )
        assert answer.status_code == 201, answer.text
        assert answer.json()["expires_in"] == STREAM_TOKEN_S
        return answer.json()["stream_token"]

    async def get(self, path: str, token: str, **options: Any) -> httpx.Response:
        return await self.client.get(path, params={"stream_token": token}, **options)

    def socket(self, token: str) -> Any:
        return connect(f"ws://{self.address}/api/v1/ws?stream_token={token}", proxy=None)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    instance = Landline([landline.agent(_echo, name="echo")], open=False, data=tmp_path)
    async with (
        instance.started(),
        served(instance.app) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as client,
    ):
        found = Line(instance, address, client)
        await found.key("ada")
        await found.key("bob")
        yield found


async def told(socket: ClientConnection, **op: Any) -> dict[str, Any]:
    await socket.send(json.dumps({"ref": 1, **op}))
    while True:
        said = json.loads(await socket.recv())
        if said.get("ref") == 1:
            return said


async def test_an_event_source_follows_with_it(line: Line) -> None:
    """Nothing but a URL; a reconnect within the minute too."""
    thread_id, run_id = await line.run()
    token = await line.token(thread_id)
    for headers in ({"Accept": "text/event-stream"}, {"Accept": "application/json"}, {"Last-Event-ID": "1"}):
        answer = await line.get(f"/api/v1/runs/{run_id}/events", token, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "run.completed" in answer.text


async def test_everything_else_refuses_it(line: Line) -> None:
    """A token in a URL is in logs and histories: it opens streams, and nothing that tells or changes more."""
    thread_id, run_id = await line.run()
    token = await line.token(thread_id)
    paths = [
        "/threads",
        f"/threads/{thread_id}",
        f"/threads/{thread_id}/messages",
        f"/runs/{run_id}",
        "/runs",
    ]
    for path in [*paths, "/agents", "/approvals", "/admin/users"]:
        answer = await line.get(f"/api/v1{path}", token)
        assert answer.status_code in (400, 404), (path, answer.text)
        answer = await line.get(f"/api/v1{path}", token, headers=line.keys["ada"])
        assert answer.status_code in (400, 404), (path, answer.text)
    for path in (f"/runs/{run_id}/cancel", "/runs", "/stream-tokens", "/files"):
        answer = await line.client.post(
            f"/api/v1{path}", params={"stream_token": token}, json={"thread_id": thread_id}
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "credential_in_url"), path
    for headers in ({"Authorization": f"Bearer {token}"}, {"X-API-Key": token}):
        answer = await line.client.get(f"/api/v1/runs/{run_id}/events", headers=headers)
        assert answer.status_code == 401


async def test_another_thread_and_another_caller_are_not_there(line: Line) -> None:
    """One thread of one caller; nobody gets a token for what is not theirs."""
    thread_id, _ = await line.run()
    _, other_run = await line.run()
    _, bobs_run = await line.run("bob")
    token = await line.token(thread_id)
    for run_id in (other_run, bobs_run, "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"):
        assert (await line.get(f"/api/v1/runs/{run_id}/events", token)).status_code == 404
    answer = await line.client.post(
        "/api/v1/stream-tokens", json={"thread_id": thread_id}, headers=line.keys["bob"]
    )
    assert answer.status_code == 404
    assert (await line.client.post("/api/v1/stream-tokens", json={"thread_id": thread_id})).status_code == 401


async def test_bad_ones_and_two_credentials_are_refused(line: Line) -> None:
    """Also where a header would do, and not in the place of one."""
    thread_id, run_id = await line.run()
    token, path = await line.token(thread_id), f"/api/v1/runs/{run_id}/events"
    for bad in ("", "x", "a.b.c", token + "x", token[:-2], token.replace(".", "..", 1)):
        assert (await line.get(path, bad)).status_code == 401, bad
    assert (await line.get(path, token, headers=line.keys["ada"])).status_code == 400
    twice = await line.client.get(path, params=[("stream_token", token), ("stream_token", token)])
    assert twice.status_code == 400
    acting = await line.get(path, token, headers={"X-User-ID": "bob"})
    assert acting.status_code == 403


async def test_a_socket_keeps_to_its_thread(line: Line) -> None:
    """Reading and writing there, and nothing of any other thread, nor a new one."""
    thread_id, run_id = await line.run()
    other_thread, other_run = await line.run()
    async with line.socket(await line.token(thread_id)) as socket:
        assert (await told(socket, op="subscribe", thread_id=thread_id))["type"] == "ack"
        assert (await told(socket, op="subscribe", run_id=run_id))["type"] == "ack"
        started = await told(socket, op="start", thread_id=thread_id, input="again")
        assert (started["type"], started["thread_id"]) == ("ack", thread_id)
        for op in (
            {"op": "subscribe", "thread_id": other_thread},
            {"op": "subscribe", "run_id": other_run},
            {"op": "subscribe", "thread_id": thread_id, "run_id": other_run},
            {"op": "subscribe", "thread_id": other_thread, "run_id": run_id},
            {"op": "subscribe"},
            {"op": "start", "input": "a new thread"},
            {"op": "start", "thread_id": other_thread, "input": "x"},
            {"op": "cancel", "run_id": other_run},
            {"op": "steer", "run_id": other_run, "input": "x"},
            {"op": "answer", "run_id": other_run, "answers": [{"question_id": "q", "approved": True}]},
        ):
            said = await told(socket, **op)
            assert said["type"] == "error", (op, said)
            assert said["code"] in ("not_found", "invalid_request"), (op, said)
    with pytest.raises(InvalidStatus) as caught:
        async with line.socket("a.b.c"):
            pass
    assert caught.value.response.status_code == 401


async def test_a_revoked_key_takes_its_tokens_and_sockets_with_it(line: Line) -> None:
    """The token outlives neither the key it came from nor the five seconds of TRU-1."""
    thread_id, run_id = await line.run()
    token = await line.token(thread_id)
    async with line.socket(token) as socket:
        await line.instance.store.revoke_key(SYSTEM, line.key_ids["ada"], at=AT)
        assert (await line.get(f"/api/v1/runs/{run_id}/events", token)).status_code == 401
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()  # nothing is subscribed: the next that comes is the end
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_it_carries_no_more_than_its_caller_and_never_the_power_of_an_admin() -> None:
    """What a page does on one thread, of what the caller may do at all."""
    clock = VirtualClock()
    tokens = SignedStreamTokens(signer=Signer(lambda: SECRET, clock))
    caller = Caller(
        tenant="acme",
        user="ada",
        scopes=frozenset({"runs:read", "admin", "delegate", "files:read"}),
        roles=frozenset({"premium"}),
        agents=frozenset({"echo"}),
        tier="premium",
        key_id="k",
        credential="key:k",
        limits={"runs": "1/m"},
    )
    opened, thread_id = await tokens.open(await tokens.sign(caller, "t"))
    assert thread_id == "t"
    assert opened.scopes == {"runs:read"}
    assert opened == Caller(
        tenant="acme",
        user="ada",
        scopes=opened.scopes,
        roles=caller.roles,
        agents=caller.agents,
        tier="premium",
        key_id="k",
        credential="key:k",
        limits={"runs": "1/m"},
    )
    assert not STREAM_TOKEN_SCOPES & {"admin", "delegate", "files:write"}
    many = Caller(tenant="t", user="u", agents=frozenset(f"agent-{n:050}" for n in range(100)))
    with pytest.raises(Invalid):
        await tokens.sign(many, "t")


async def test_it_opens_for_a_minute_and_is_no_other_kind_of_token() -> None:
    """To the second, and an access token is none."""
    clock = VirtualClock()
    signer = Signer(lambda: SECRET, clock)
    tokens = SignedStreamTokens(signer=signer)
    token = await tokens.sign(Caller(tenant="t", user="u"), "thread")
    await clock.advance(STREAM_TOKEN_S - 0.5)
    await tokens.open(token)
    await clock.advance(0.6)
    for bad in (token, signer.sign("at+jwt", {"sub": "u"}, lives_s=60)):
        with pytest.raises(Unauthenticated):
            await tokens.open(bad)


async def _echo(run: Any) -> str:
    return str(run.input)
