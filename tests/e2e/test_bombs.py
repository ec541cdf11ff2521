"""What is small on the wire and large in memory, or never ends: refused with a 4xx or a cut line, and not kept (TRU-11)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
import websockets
from websockets.asyncio.client import connect as open_socket

from tests.e2e import http
from tests.e2e.calls import API, Process, Server
from tests.e2e.conftest import Serve

GROWTH_MB = 20.0
BOUND_S = 30.0
MB = 1024 * 1024
JSON = "Content-Type: application/json"
FORM = "Content-Type: multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhi\r\n'

Bomb = Callable[[int], AsyncIterator[bytes]]


def head(method: str, path: str, port: int, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *lines, "", ""]).encode()


def whole(path: str, body: bytes, *lines: str) -> Bomb:
    async def bomb(port: int) -> AsyncIterator[bytes]:
        yield head("POST", path, port, f"Content-Length: {len(body)}", *lines) + body

    return bomb


def chunked(path: str, piece: bytes, times: int, *lines: str, size: bytes | None = None) -> Bomb:
    async def bomb(port: int) -> AsyncIterator[bytes]:
        yield head("POST", path, port, "Transfer-Encoding: chunked", *lines)
        for _ in range(times):
            yield (b"%x" % len(piece) if size is None else size) + b"\r\n" + piece + b"\r\n"
        yield b"0\r\n\r\n"

    return bomb


def raw(start: bytes, piece: bytes = b"", times: int = 0) -> Bomb:
    """The start of a request as it is (`PORT` is filled in), then a piece again and again."""

    async def bomb(port: int) -> AsyncIterator[bytes]:
        yield start.replace(b"PORT", str(port).encode())
        for _ in range(times):
            yield piece

    return bomb


RUNS = f"{API}/runs"
FILES = f"{API}/files"
HOST = b"Host: 127.0.0.1:PORT\r\n"
POST = b"POST /api/v1/runs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
RUN = json.dumps({"agent": "echo", "input": "hi"}).encode()
SMUGGLED = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"

BOMBS: dict[str, Bomb] = {
    "50 MB of JSON": whole(RUNS, b'{"agent":"echo","input":"' + b"a" * 50 * MB + b'"}', JSON),
    "50 MB of JSON in chunks": chunked(RUNS, b"a" * 65_536, 800, JSON),
    "50 MB before anybody asks": whole("/livez", b"a" * 50 * MB),
    "depth 100,000 in lists": whole(RUNS, b"[" * 100_000 + b"]" * 100_000, JSON),
    "depth 100,000 in objects": whole(RUNS, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, JSON),
    "an integer of 5,000 digits": whole(RUNS, b'{"agent":"echo","input":"x","deadline_s":' + b"9" * 5_000 + b"}", JSON),
    "an exponent": whole(RUNS, b'{"agent":"echo","input":"x","deadline_s":1e999999999}', JSON),
    "60,000 keys": whole(RUNS, json.dumps({f"k{n}": 0 for n in range(60_000)}).encode(), JSON),
    "gzip": whole(RUNS, gzip.compress(b" " * 50 * MB), JSON, "Content-Encoding: gzip"),
    "deflate": whole(RUNS, zlib.compress(b" " * 50 * MB), JSON, "Content-Encoding: deflate"),
    "brotli": whole(RUNS, b"\x8b\xff\xff\x7f" + b"\0" * 1000, JSON, "Content-Encoding: br"),
    "gzip as a coding of the transfer": raw(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "a file in gzip": whole(FILES, gzip.compress(b" " * 50 * MB), "Content-Type: text/plain", "Content-Encoding: gzip"),
    "10,000 parts": whole(FILES, PART * 10_000 + b"--x--\r\n", FORM),
    "part headers of 10 MB": whole(FILES, b"--x\r\nX-A: " + b"a" * 10 * MB + b"\r\n\r\n--x--\r\n", FORM),
    "100,000 part headers": whole(FILES, b"--x\r\n" + b"X-A: a\r\n" * 100_000 + b"\r\n\r\n--x--\r\n", FORM),
    "a form in a form": whole(
        FILES,
        b"--x\r\nContent-Disposition: form-data; name=f\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n"
        + (b'--y\r\nContent-Disposition: file; filename="a"\r\n\r\nhi\r\n' * 1_000 + b"--y--\r\n--x--\r\n"),
        FORM,
    ),
    "a boundary of 10,000": whole(FILES, b"--" + b"x" * 10_000, FORM.replace("=x", "=" + "x" * 10_000)),
    "a boundary that nearly comes": whole(FILES, b"--x\r\n\r\n" + b"\r\n--" * MB, FORM),
    "10,000 headers": raw(b"GET /livez HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 10_000 + b"\r\n"),
    "headers without end": raw(b"GET /livez HTTP/1.1\r\n" + HOST, b"A: " + b"b" * 1_000 + b"\r\n", 50_000),
    "one header without end": raw(b"GET /livez HTTP/1.1\r\n" + HOST + b"A: ", b"b" * 65_536, 800),
    "a method without end": raw(b"", b"G" * 65_536, 800),
    "an address of 100 KB": raw(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a query of 100 KB": raw(b"GET /livez?" + b"a=b&" * 25_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "an address without end": raw(b"GET /", b"a" * 65_536, 800),
    "chunk extensions": raw(POST + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a=" + b"b" * 65_536 + b";", 800),
    "chunks of one byte": raw(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 60 + b"\r\n \r\n", 20_000),
    "a chunk size without end": raw(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65_536, 800),
    "trailers without end": raw(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: " + b"b" * 1_000 + b"\r\n", 50_000),
    "lengths that differ": raw(POST + b"Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}" + SMUGGLED),
    "a length and chunks": raw(POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED),
    "chunks and a length": raw(POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED),
    "chunked twice": raw(POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED),
    "chunked with a tab": raw(POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED),
    "a space before the colon": raw(POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED),
    "a length with a sign": raw(POST + b"Content-Length: +2\r\n\r\n{}" + SMUGGLED),
    "a length beyond numbers": raw(POST + b"Content-Length: 18446744073709551618\r\n\r\n{}" + SMUGGLED),
    "a bare newline": raw(POST.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\n{}"),
    "a chunk size with a sign": raw(POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n" + SMUGGLED),
    "13,000 requests at once": raw(SMUGGLED * 13_000),
    "10,000 ranges": raw(b"GET /livez HTTP/1.1\r\n" + HOST + b"Range: bytes=" + b"0-1," * 10_000 + b"\r\n\r\n"),
}  # fmt: skip

MAY_SUCCEED = {"13,000 requests at once"}
"""Its first requests are good ones; the line is cut behind them."""


async def throw(port: int, bomb: Bomb) -> tuple[list[int], bool]:
    """Return the statuses that came, and whether the server closed the line."""
    came, closed = bytearray(), False

    async def listen(line: http.Connection) -> None:
        nonlocal closed
        try:
            while piece := await line.reader.read(65_536):
                came.extend(piece[: max(0, 4 * MB - len(came))])
        except OSError:
            pass
        closed = True

    async with asyncio.timeout(BOUND_S), http.connect(port) as line:
        listening = asyncio.create_task(listen(line))
        try:
            async for piece in bomb(port):
                line.writer.write(piece)
                await line.writer.drain()
                if listening.done():
                    break
        except OSError:
            pass  # cut by the server in the middle, which is an answer
        await asyncio.wait({listening}, timeout=2)
        if not listening.done() and line.writer.can_write_eof():
            line.writer.write_eof()
            await asyncio.wait({listening}, timeout=BOUND_S / 2)
        listening.cancel()
    statuses = [int(part[:3]) for part in bytes(came).split(b"HTTP/1.1 ")[1:]]
    return [status for status in statuses if status != 100], closed


@pytest.fixture
async def server(serve: Serve) -> Server:
    made = serve()
    await made.start()
    return made


@pytest.mark.contract("TRU-11")
async def test_no_bomb_succeeds_breaks_or_stays_in_memory(server: Server) -> None:
    process = Process(server.process.pid)
    for name in ("depth 100,000 in lists", "10,000 parts", "lengths that differ"):
        await throw(server.port, BOMBS[name])  # what is loaded once is no growth
    before_mb, broken = process.rss_mb, list[str]()
    for name, bomb in BOMBS.items():
        mb = process.rss_mb
        statuses, closed = await throw(server.port, bomb)
        fine = all(400 <= status < 500 for status in statuses) or name in MAY_SUCCEED
        if not fine or not (statuses or closed) or (len(statuses) > 1 and name not in MAY_SUCCEED):
            broken.append(f"{name}: {statuses[:5]}, closed {closed}")
        print(
            f"{name}: {statuses[:3]}{'…' if len(statuses) > 3 else ''}, closed {closed}, {process.rss_mb - mb:+.1f} MB"
        )
    after_mb = process.rss_mb
    print(f"{len(BOMBS)} bombs: {before_mb:.0f} -> {after_mb:.0f} MB")
    assert not broken, "\n".join(broken)
    assert after_mb - before_mb < GROWTH_MB
    run = await server.run("echo", "still here", mode="wait")
    assert run["output"] == "still here"


@pytest.mark.contract("TRU-12", "TRU-11")
async def test_a_socket_takes_a_megabyte_and_no_more_however_it_is_cut_or_packed(server: Server) -> None:
    process = Process(server.process.pid)
    address = f"ws://127.0.0.1:{server.port}{API}/ws"

    async def closed_by(pieces: object, **options: object) -> int:
        async with open_socket(address, max_size=None, **options) as socket:  # type: ignore[arg-type]  # options of the client
            assert socket.protocol.extensions == [], "nothing may be packed"
            try:
                await socket.send(pieces)  # type: ignore[arg-type]  # text, or an iterable of it
                async with asyncio.timeout(BOUND_S):
                    while True:
                        await socket.recv()
            except websockets.ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006

    before_mb = process.rss_mb
    large = b" ".decode() * (MB + 1)
    assert await closed_by(large) == 1009
    cut = (1009, 1006)  # 1006 when the rest of what was sent comes after the end
    codes = [await closed_by([" " * 1_000] * 1_049) for _ in range(3)]
    assert 1009 in codes, "a message in pieces, of which the last is too much"
    assert set(codes) <= set(cut)
    assert await closed_by([" "] * 5_000) in cut, "pieces that weigh more than the message"
    assert await closed_by([""] * 20_000 + [" "]) in cut
    assert await closed_by(" " * 50 * MB) in cut
    after_mb = process.rss_mb
    print(f"sockets: {before_mb:.0f} -> {after_mb:.0f} MB")
    assert after_mb - before_mb < GROWTH_MB


@pytest.mark.contract("TRU-12")
async def test_pings_whose_pongs_nobody_reads_do_not_pile_up(server: Server) -> None:
    process = Process(server.process.pid)
    upgrade = (
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )  # fmt: skip
    async with http.connect(server.port, receive_buffer=4096) as line:
        line.writer.write(head("GET", f"{API}/ws", server.port, *upgrade))
        await line.reader.readuntil(b"\r\n\r\n")
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport as well
        before_mb, ping = process.rss_mb, b"\x89\xfd\0\0\0\0" + b"p" * 125
        cut = False
        try:
            async with asyncio.timeout(BOUND_S):
                for _ in range(1_000):
                    line.writer.write(ping * 500)
                    await line.writer.drain()
        except OSError:
            cut = True
    assert cut
    assert process.rss_mb - before_mb < GROWTH_MB


def filled(opening: bytes, value: bytes, closing: bytes, *, most: int = 10**9) -> bytes:
    """Return a value again and again, up to the limit on bodies or `most` times."""
    times = min(most, (MB - 400) // (len(value) + 1))
    return opening + b",".join([value] * times) + closing


def keyed(count: int) -> bytes:
    return json.dumps({f"k{number}": 0 for number in range(count)}).encode()


SHAPES: dict[str, bytes] = {
    "60,000 keys": keyed(60_000),
    "as many keys as may be": keyed(49_000),
    "lists": filled(b"[", b"[]", b"]"),
    "objects": filled(b"[", b"{}", b"]"),
    "objects with a key": filled(b"[", b'{"a":1}', b"]"),
    "lists in lists": filled(b"[", b"[" * 50 + b"]" * 50, b"]"),
    "numbers": filled(b"[", b"1", b"]"),
    "as many numbers as may be": filled(b"[", b"1", b"]", most=49_000),
    "as many objects as may be": filled(b"[", b'{"a":1}', b"]", most=24_000),
    "strings": filled(b"[", b'""', b"]"),
    "escapes": b'"' + b"\\u0441" * 170_000 + b'"',
    "one string": b'"' + b"a" * (MB - 400) + b'"',
    "commas": b'"' + b"," * (MB - 400) + b'"',
}

TAKERS: dict[str, tuple[str, str]] = {
    "runs": (f"{API}/runs", '{"agent": "echo", "mode": "wait", "input": @}'),
    "answers": (f"{API}/runs/none/answers", '{"answers": @}'),
    "fan-out": (f"{API}/fanout", '{"agents": @, "input": "x"}'),
    "OpenAI responses": ("/v1/responses", '{"model": "echo", "input": @}'),
    "OpenAI chat": ("/v1/chat/completions", '{"model": "echo", "messages": @}'),
    "A2A": ("/a2a/echo", '{"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": @}'),
    "AG-UI": (
        "/ag-ui/echo",
        '{"threadId": "t", "runId": "r", "tools": [], "context": [], "state": {}, "forwardedProps": {}, "messages": @}',
    ),
    "AG-UI content": (
        "/ag-ui/echo",
        '{"threadId": "t", "runId": "r", "tools": [], "context": [], "messages": [{"id": "1", "role": "user", "content": @}]}',
    ),
    "AI SDK": ("/ai/echo", '{"id": "c", "messages": @}'),
    "MCP": ("/mcp", '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": @}'),
    "FastAgency": ("/fastagency/initiate_workflow", '{"workflow_uuid": "x", "workflow_name": "echo", "params": @}'),
    "tutorials": ("/chat", '{"message": @}'),
    "tokens": (f"{API}/token", '{"username": @, "password": "x"}'),
}  # fmt: skip
"""Where JSON is taken; a shape goes in the place of `@`, and an object in place of the whole body as well."""

SPOKEN: dict[str, tuple[str, str]] = {
    "native": (f"{API}/ws", '{"op": "start", "agent": "echo", "input": @}'),
    "OpenAI": ("/v1/responses", '{"type": "response.create", "model": "echo", "input": @}'),
    "FastAgency": ("/fastagency/ws", "@"),
    "tutorials": ("/ws/me", '{"message": @}'),
}  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.contract("TRU-11")
async def test_no_shape_of_a_body_takes_much_memory_not_even_for_a_moment(serve: Serve) -> None:
    """A megabyte of any shape, at every door that takes JSON: its peak, not what is left after it."""
    server = serve(faces="all")
    await server.start()
    process, found = Process(server.process.pid), list[str]()
    lines = (JSON, "Accept: application/json, text/event-stream", "Connection: close")
    for path, _ in TAKERS.values():
        await throw(server.port, whole(path, b"{}", *lines))  # what is loaded once is no growth
    for name, shape in SHAPES.items():
        for taker, (path, around) in TAKERS.items():
            bodies = [around.encode().replace(b"@", shape)]
            if shape.startswith(b"{"):
                bodies.append(around.encode().replace(b"@", b'"x"')[:-1] + b", " + shape[1:])
            for body in bodies:
                before_mb = process.rss_mb
                process.forget_peak()
                statuses, closed = await throw(server.port, whole(path, body[:MB], *lines))
                grown_mb = process.peak_mb - before_mb
                if grown_mb > GROWTH_MB or not (statuses or closed) or any(s >= 500 for s in statuses):
                    found.append(f"{name} at {taker}: {statuses}, closed {closed}, {grown_mb:+.1f} MB")
        for taker, (path, around) in SPOKEN.items():
            before_mb = process.rss_mb
            process.forget_peak()
            async with open_socket(f"ws://127.0.0.1:{server.port}{path}", max_size=None) as socket:
                await socket.send(around.encode().replace(b"@", shape).decode())
                async with asyncio.timeout(BOUND_S):
                    with contextlib.suppress(websockets.ConnectionClosed):
                        await socket.recv()
            grown_mb = process.peak_mb - before_mb
            if grown_mb > GROWTH_MB:
                found.append(f"{name} told to {taker}: {grown_mb:+.1f} MB")
    assert not found, "\n".join(found)
