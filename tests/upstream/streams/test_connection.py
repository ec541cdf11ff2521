"""One connection by itself: bytes cut anywhere, a reader that is slow, a loop that is busy, addresses that do not answer."""

import asyncio
import socket
import time
from collections.abc import Sequence
from typing import Any

import httpcore
import httpx
import httpx2
import pytest

from landline.upstream.streams import dialing
from landline.upstream.streams.connection import Connection
from landline.upstream.streams.pace import give_way
from landline.upstream.streams.places import Places
from landline.upstream.streams.pool import Body, is_plain
from tests.upstream.streams.pooled import LIBRARIES
from tests.upstream.streams.provider import HEAD, provider, say_all
from tests.upstream.streams.test_merging import TEXTS, events, story
from tests.upstream.streams.wires import WIRES, chat

ORIGIN = (b"http", b"127.0.0.1", 80)
CLOSED = HEAD.replace(b"transfer-encoding: chunked\r\n", b"")
TOKEN = chat(["word "], [], [])[1]


class Socket(asyncio.Transport):
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = self.aborted = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


def opened() -> tuple[Connection, Socket, Body]:
    """Return a connection on which a request was sent, its transport, and what reads the body once the head came."""
    places = Places(httpcore, most=1, most_idle=1, idle_s=None)
    connection, transport = Connection(httpcore, ORIGIN, places.lost), Socket()
    connection.connection_made(transport)
    connection.begin()
    connection.data_received(HEAD)
    return connection, transport, Body(connection, places, None)


async def rest(body: Body) -> list[bytes]:
    return [piece async for piece in body]


def framed(whole: Sequence[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in whole) + b"0\r\n\r\n"


@pytest.mark.contract("PRF-3")
@pytest.mark.parametrize("wire", WIRES)
async def test_a_stream_cut_anywhere_says_the_same(wire: str) -> None:
    whole = WIRES[wire](["a", "é\U0001f600", " c"], ["so", "it"], ['{"a":', "1}"])
    data, plain = framed(whole), b"".join(whole)
    told: set[bytes] = set()
    for at in range(1, len(data)):
        connection, _, body = opened()
        connection.data_received(data[:at])
        first = await anext(body) if events(_whole_lines(data[:at])) else b""
        connection.data_received(data[at:])
        told.add(first + b"".join(await rest(body)))
    for got in told:
        assert story(got) == story(plain)
        assert len(events(got)) < len(events(plain))


@pytest.mark.contract("PRF-2")
@pytest.mark.parametrize("wire", WIRES)
async def test_events_that_come_alone_pass_byte_for_byte(wire: str) -> None:
    connection, _, body = opened()
    for event in WIRES[wire](*TEXTS):
        connection.data_received(b"%x\r\n%b\r\n" % (len(event), event))
        assert await anext(body) == event
    connection.data_received(b"0\r\n\r\n")
    assert await rest(body) == []


async def test_a_body_that_waits_for_its_reader_stops_the_provider() -> None:
    connection, transport, body = opened()
    piece = b"%x\r\n%b\r\n" % (60_000, b"x" * 59_999 + b"\n")
    fed = 0
    while not transport.paused:
        connection.data_received(piece)
        fed += 60_000
    assert 128 * 1024 < fed < 256 * 1024
    await anext(body)
    assert not transport.paused


async def test_what_comes_before_a_body_has_an_end() -> None:
    for endless in (b"x-a: b\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"):
        connection = Connection(httpcore, ORIGIN, lambda _: None)
        transport = Socket()
        connection.connection_made(transport)
        connection.begin()
        start = b"" if endless.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n"
        connection.data_received(start + endless)
        for _ in range(128 * 1024 // len(endless)):
            connection.data_received(endless)
        with pytest.raises(httpcore.RemoteProtocolError):
            await connection.head(1)
        assert transport.aborted


@pytest.mark.parametrize("said", [None, b"220 mail.example ESMTP\r\n"])
async def test_a_server_that_ends_or_speaks_before_it_was_asked_has_no_answer(said: bytes | None) -> None:
    connection = Connection(httpcore, ORIGIN, lambda _: None)
    connection.connection_made(Socket())
    if said is None:
        connection.eof_received()
        connection.connection_lost(None)
    else:
        connection.data_received(said)
    connection.begin()
    with pytest.raises(httpcore.RemoteProtocolError, match="without sending a response"):
        await asyncio.wait_for(connection.head(60), 5)


async def test_trailers_that_never_end_are_an_error() -> None:
    connection, transport, body = opened()
    connection.data_received(b"2\r\n\n\n\r\n0\r\n")
    while not transport.aborted:
        connection.data_received(b"x-a: " + b"b" * 10_000 + b"\r\n")
    with pytest.raises(httpcore.RemoteProtocolError):
        await rest(body)


async def test_a_response_to_no_request_is_nobodys() -> None:
    connection, _, body = opened()
    connection.sent = True
    connection.data_received(framed([TOKEN]) + HEAD + framed([TOKEN]))
    assert await rest(body) == [TOKEN]
    assert connection.headers[0][0] == b"content-type"
    assert not connection.rest()


async def test_a_deadline_is_that_of_the_last_read() -> None:
    connection, _, _ = opened()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(4):
        loop.call_later(0.1, connection.data_received, b"1\r\nx\r\n")
        assert await connection.read(0.25, patient=False) == b"x"
    with pytest.raises(httpcore.ReadTimeout):
        await connection.read(0.25, patient=False)
    assert 0.6 < loop.time() - begun < 1.5


async def test_a_shorter_deadline_after_a_longer_one_holds() -> None:
    connection, _, _ = opened()
    asyncio.get_running_loop().call_soon(connection.data_received, b"1\r\nx\r\n")
    await connection.read(60, patient=False)
    with pytest.raises(httpcore.ReadTimeout):
        await asyncio.wait_for(connection.read(0.05, patient=False), 5)


@pytest.mark.contract("PRF-2")
async def test_the_first_piece_of_a_body_is_before_all_who_give_way_and_the_next_is_not() -> None:
    connection, _, body = opened()
    piece = b"%x\r\n%b\r\n" % (len(TOKEN), TOKEN)
    turns: list[int] = []

    async def other(number: int) -> None:
        await give_way()
        turns.append(number)

    async def wait() -> None:
        await asyncio.gather(*(other(number) for number in range(100)))

    others = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    connection.data_received(piece)
    assert await anext(body) == TOKEN
    assert not turns
    connection.data_received(piece)
    assert await anext(body) == TOKEN
    assert len(turns) == 100
    await others


@pytest.mark.parametrize("first", ["silent", "refusing"])
async def test_the_next_address_is_tried_without_waiting_long(
    monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    made, original = list[socket.socket](), dialing.connect
    gone = asyncio.Event()

    async def slow_connect(address: Any) -> socket.socket:
        if address[1][0] == "127.0.0.2":
            try:
                if first == "refusing":
                    raise ConnectionRefusedError
                await asyncio.sleep(60)
            finally:
                gone.set()
        made.append(await original(address))
        return made[-1]

    async def two_addresses(host: str, port: int) -> Any:
        return [(socket.AF_INET, ("127.0.0.2", port)), (socket.AF_INET, ("127.0.0.1", port))]

    monkeypatch.setattr(dialing, "connect", slow_connect)
    monkeypatch.setattr(dialing, "addresses", two_addresses)
    async with provider(say_all([TOKEN])) as upstream:
        port = int(upstream.url.rsplit(":", 1)[1].split("/")[0])
        begun = time.monotonic()
        with await dialing.reach("two.example", port) as reached:
            assert reached is made[0]
            assert reached.getpeername()[0] == "127.0.0.1"
        assert time.monotonic() - begun < 5
        await asyncio.wait_for(gone.wait(), 5)


async def test_of_two_families_both_are_tried_early(monkeypatch: pytest.MonkeyPatch) -> None:
    six, four = (socket.AF_INET6, ("::1", 1, 0, 0)), (socket.AF_INET, ("127.0.0.1", 1))

    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in (six, six, six, four)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert await dialing.addresses("x", 1) == [six, four, six, six]
    assert await dialing.addresses("::1", 1) == [(socket.AF_INET6, ("::1", 1))]


def _whole_lines(data: bytes) -> bytes:
    """Return what a body has in its chunks so far, up to the last line end."""
    out, at = b"", 0
    while (end := data.find(b"\r\n", at)) > 0 and (size := int(data[at:end], 16)):
        out += data[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
    return out[: out.rfind(b"\n\n") + 2] if b"\n\n" in out else b""


PLAIN: dict[str, dict[str, Any]] = {"as it is": {}, "socket options": {"socket_options": [(6, 1, 1)]}}
NOT_PLAIN: dict[str, dict[str, Any]] = {
    "proxy": {"proxy": "http://127.0.0.1:1"},
    "http2": {"http2": True},
    "retries": {"retries": 1},
    "unix socket": {"uds": "/tmp/x"},
    "address": {"local_address": "127.0.0.1"},
}


@pytest.mark.parametrize("name", [*PLAIN, *NOT_PLAIN])
@pytest.mark.parametrize("library", LIBRARIES)
def test_which_pools_are_plain(library: str, name: str) -> None:
    options = (PLAIN | NOT_PLAIN)[name]
    transport = LIBRARIES[library].AsyncHTTPTransport(trust_env=False, **options)
    assert is_plain(transport._pool) == (name in PLAIN)


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_pool_whose_parts_have_other_names_is_not_plain(library: Any) -> None:
    for name in (
        *("_http1", "_http2", "_retries", "_proxy", "_uds", "_local_address", "_socket_options"),
        *("_network_backend", "_max_connections", "_max_keepalive_connections"),
        *("_keepalive_expiry", "_ssl_context"),
    ):
        pool = library.AsyncHTTPTransport(trust_env=False)._pool
        assert is_plain(pool)
        delattr(pool, name)
        assert not is_plain(pool)
