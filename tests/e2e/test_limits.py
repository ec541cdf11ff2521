"""Limits on servers as processes: two that share one Redis, sockets and their messages, forged addresses (TRU-8)."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.calls import Server, asked
from tests.e2e.conftest import Serve
from tests.redis import OwnRedis

pytestmark = pytest.mark.contract("TRU-8")

AWAY_S = 1.0
"""What a Redis that hangs may add to a request, once."""


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    own = OwnRedis(tmp_path)
    await own.start()
    yield own
    own.kill()


async def started(serve: Serve, **settings: object) -> Server:
    server = serve(**settings)
    await server.start()
    return server


async def statuses(*servers: Server, times: int) -> list[int]:
    """Ask in turn."""
    return [(await servers[number % len(servers)].ask("GET", "/runs")).status for number in range(times)]


async def begin(server: Server, agent: str = "hold") -> Any:
    return await server.ask("POST", "/runs", body=asked(agent, "hi", mode="background"))


async def test_two_servers_on_one_redis_count_together(serve: Serve, redis: OwnRedis) -> None:
    rules = "user: 7/minute requests, tenant: 2 concurrent runs, ip: 50/minute requests"
    one, other = [await started(serve, redis_url=redis.url, limits=rules) for _ in range(2)]
    assert (await begin(one)).status == 202
    assert (await begin(other)).status == 202
    refused = await begin(one)
    assert (refused.status, refused.code) == (429, "too_many_at_once")
    assert await statuses(one, other, times=6) == [200] * 4 + [429] * 2
    last = await other.ask("GET", "/runs")
    assert re.search(r'"ip-requests-60";r=40;t=\d+, "user-requests-60";r=0;t=\d+', last.headers["ratelimit"])
    assert last.headers["ratelimit-policy"] == '"ip-requests-60";q=50;w=60, "user-requests-60";q=7;w=60'
    assert 1 <= int(last.headers["retry-after"]) <= 60


@pytest.mark.contract("TRU-8", "RES-6")
async def test_a_server_that_stops_or_is_killed_gives_its_places_back(serve: Serve, redis: OwnRedis) -> None:
    one, other = [
        await started(serve, redis_url=redis.url, limits="tenant: 1 concurrent run") for _ in range(2)
    ]
    assert (await begin(one)).status == 202
    assert (await begin(other)).status == 429
    assert await one.process.stop() == 0
    assert (await begin(other)).status == 202


@pytest.mark.slow
@pytest.mark.contract("TRU-8", "RES-6")
async def test_what_a_killed_server_held_lapses_in_half_a_minute(serve: Serve, redis: OwnRedis) -> None:
    one, other = [
        await started(serve, redis_url=redis.url, limits="tenant: 1 concurrent run") for _ in range(2)
    ]
    assert (await begin(one)).status == 202
    one.process.kill()
    assert (await begin(other)).status == 429
    await asyncio.sleep(31)
    assert (await begin(other)).status == 202


async def test_a_redis_that_hangs_adds_a_second_once_and_no_request_fails(
    serve: Serve, redis: OwnRedis
) -> None:
    server = await started(serve, redis_url=redis.url, limits="user: 30/minute requests")
    assert await statuses(server, times=10) == [200] * 10
    redis.pause()
    try:
        took: list[float] = []
        told: list[int] = []
        for _ in range(35):
            began = time.monotonic()
            told += await statuses(server, times=1)
            took.append(time.monotonic() - began)
        assert took[0] <= AWAY_S
        assert sum(took[1:]) < 4, "had each waited, they had taken twice that"
        assert told == [200] * 30 + [429] * 5, "counted in the process meanwhile"
        assert server.process.tail(200).count("does not answer") == 1
    finally:
        redis.wake()


async def test_a_server_starts_and_serves_without_its_redis(serve: Serve) -> None:
    server = await started(serve, redis_url="redis://127.0.0.1:1/0", limits="user: 3/minute requests")
    assert await statuses(server, times=4) == [200, 200, 200, 429]
    assert ":1/0" not in server.process.tail(200)


@pytest.mark.contract("TRU-8", "WIRE-5")
async def test_every_message_on_a_socket_counts_and_the_socket_stays(serve: Serve) -> None:
    server = await started(serve, limits="user: 6/minute requests, user: 2/minute runs, user: 1 stream")
    url = f"ws://127.0.0.1:{server.port}/api/v1/ws"
    async with open_socket(url) as socket:
        with pytest.raises(InvalidStatus) as second:
            async with open_socket(url):
                pass
        assert second.value.response.status_code == 429
        assert "retry-after" in second.value.response.headers
        told: list[dict[str, Any]] = []
        for ref, agent in enumerate(["echo", "echo", "echo", None, None, None]):
            op = (
                {"op": "ping", "ref": ref}
                if agent is None
                else {"op": "start", "ref": ref, "agent": agent, "input": "hi"}
            )
            await socket.send(json.dumps(op))
            async with asyncio.timeout(5):
                told.append(json.loads(await socket.recv()))
        assert [message["ref"] for message in told] == [0, 1, 2, 3, 4, 5]
        # The third run is one too many, and the two handshakes and four messages were all the requests there are.
        assert [message["type"] for message in told] == ["ack", "ack", "error", "pong", "error", "error"]
        assert {message["code"] for message in told if message["type"] == "error"} == {"rate_limited"}
    assert (await server.ask("GET", "/runs")).status == 429


RESPONSE = {"type": "response.create", "model": "echo", "input": "hi"}


@pytest.mark.parametrize(
    ("path", "message", "code"),
    [
        ("/ws/7?agent=echo", {"message": "hi"}, "Too often"),
        ("/v1/responses", RESPONSE, "rate_limit_exceeded"),
    ],
)
@pytest.mark.contract("TRU-8", "FACE-5")
async def test_no_faces_socket_gets_around_by_messages(
    serve: Serve, path: str, message: dict[str, Any], code: str
) -> None:
    server = await started(serve, faces="all", limits="user: 3/minute requests")
    ends: list[dict[str, Any]] = []
    async with open_socket(f"ws://127.0.0.1:{server.port}{path}") as socket:
        for number in range(4):
            await socket.send(json.dumps(message))
            async with asyncio.timeout(10):
                while len(ends) == number:
                    told = json.loads(await socket.recv())
                    if told["type"] in ("error", "complete", "response.completed"):
                        ends.append(told)
    assert [end["type"] == "error" for end in ends] == [False, False, True, True]
    assert code in json.dumps(ends[-1])


@pytest.mark.contract("TRU-8", "FACE-12")
async def test_a_socket_without_a_word_for_it_closes(serve: Serve) -> None:
    """FastAgency's wire cannot say that a message was one too many and go on."""
    server = await started(serve, faces="all", limits="user: 1/minute requests")
    async with open_socket(f"ws://127.0.0.1:{server.port}/fastagency/ws") as socket:
        await socket.send(
            json.dumps({"name": "echo", "workflow_uuid": "0" * 32, "params": {"message": "hi"}})
        )
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(10):
                await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "rate_limited")


async def test_a_stream_holds_its_place_until_its_client_is_gone(serve: Serve) -> None:
    server = await started(serve, limits="user: 2 streams", heartbeat_s=0.2)
    run = await server.run("hold", "hi")
    async with server.followed(run["id"]) as first, server.followed(run["id"]) as second:
        assert (first.status, second.status) == (200, 200)
        refused = await server.ask("GET", f"/runs/{run['id']}/events")
        assert (refused.status, refused.code) == (429, "too_many_at_once")
        assert (await server.ask("GET", f"/runs/{run['id']}")).status == 200
    async with asyncio.timeout(10):  # both were cut without a word
        while True:
            async with server.followed(run["id"]) as third:
                if third.status == 200:
                    return
            await asyncio.sleep(0.05)


async def test_a_thousand_forged_addresses_are_one(serve: Serve) -> None:
    """Neither a client nor one behind a proxy that is not trusted gets a window of its own by writing an address."""
    server = await keyed(serve, limits="ip: 100/minute requests", trusted_proxies="10.0.0.0/8")
    told: list[int] = []
    async with server.connect() as line:
        for number in range(1_000):
            forged = f"198.18.{number >> 8}.{number & 255}"
            headers = {"X-Forwarded-For": forged, "Forwarded": f"for={forged}", "X-Real-IP": forged}
            told.append((await line.ask("GET", "/api/v1/runs", headers=headers)).status)
    assert told.count(200) + told.count(401) == 100
    assert told.count(429) == 900


async def test_a_trusted_proxy_tells_its_clients_apart(serve: Serve) -> None:
    server = await keyed(serve, limits="ip: 2/minute requests", trusted_proxies="127.0.0.0/8")

    async def asks(forwarded: str) -> int:
        return (await server.ask("GET", "/agents", headers={"X-Forwarded-For": forwarded})).status

    assert [await asks("198.51.100.7") for _ in range(3)] == [401, 401, 429]
    assert await asks("198.51.100.8") == 401
    assert await asks("203.0.113.1, 198.51.100.7") == 429, (
        "what stands left of the proxy's own word is the client's"
    )


async def keyed(serve: Serve, **settings: object) -> Server:
    """A server that wants keys: an open one refuses whatever was forwarded."""
    return await started(serve, open="false", **settings)
