"""Peers that vanish, stall or begin wrongly: what they hold has an end (TRU-12, TRU-11, REL-10)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e import http
from tests.e2e.calls import API, Process, Server
from tests.e2e.conftest import Serve
from tests.e2e.test_readers import many_files

__all__ = ["many_files"]  # the fixture

DEAD_S = 60.0
UPGRADE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip

CLIENT = """
import socket, sys
line = socket.socket()
line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
line.connect(("127.0.0.1", int(sys.argv[1])))
line.sendall(bytes.fromhex(sys.argv[2]))
line.recv(1)
print("up", flush=True)
while line.recv(4096):
    pass
"""


def sockets_of(server: Server) -> int:
    """Return how many sockets the server's process has."""
    links = list[str]()
    for entry in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            links.append(os.readlink(entry))  # noqa: PTH115 - a pseudo-link, whose target is no path
    return sum(link.startswith("socket:") for link in links)


@asynccontextmanager
async def client(port: int, sent: bytes) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A process that sends something and reads what comes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, str(port), sent.hex(), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(10):
            assert await process.stdout.readline() == b"up\n"
        yield process
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def silent_proxy(port: int) -> AsyncGenerator[tuple[int, asyncio.Event]]:
    """Forward to the server until the event is set; from then on nothing passes, and no line is closed."""
    deaf, lines = asyncio.Event(), list[asyncio.StreamWriter]()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not deaf.is_set() and (data := await reader.read(4096)):
            writer.write(data)
            await writer.drain()
        await asyncio.Event().wait()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        lines.extend([writer, downstream])
        with suppress(OSError):
            await asyncio.gather(forward(reader, downstream), forward(upstream, writer))

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], deaf
    finally:
        server.close()
        for line in lines:
            line.transport.abort()


def subscription(port: int, run_id: str) -> bytes:
    """Return a handshake and the message that follows a run, as a client sends them together."""
    head = "\r\n".join([f"GET {API}/ws HTTP/1.1", f"Host: 127.0.0.1:{port}", *UPGRADE, "", ""])
    told = json.dumps({"op": "subscribe", "run_id": run_id}).encode()
    return head.encode() + b"\x81" + bytes([0x80 | len(told)]) + b"\0\0\0\0" + told


def stream(port: int, run_id: str) -> bytes:
    return f"GET {API}/runs/{run_id}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


async def gone(server: Server, sockets: int) -> float:
    """Return after how many seconds the server has so few sockets again."""
    began = time.monotonic()
    async with asyncio.timeout(DEAD_S + 30):
        while sockets_of(server) > sockets:  # noqa: ASYNC110 - another process rings no bell
            await asyncio.sleep(0.25)
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.contract("TRU-12")
@pytest.mark.parametrize("kind", ["a stream", "a socket", "a quiet socket", "a stream behind a proxy"])
async def test_a_peer_that_is_silent_without_a_word_holds_its_stream_a_minute(
    serve: Serve, kind: str
) -> None:
    """Stopped in the middle, so that no FIN and no RST comes: it takes nothing more, or answers no ping."""
    server = serve()
    await server.start()
    plan = {"words": 4_000, "size": 2_000, "pause_s": 0.02}
    if kind == "a quiet socket":
        plan = {"words": 100, "size": 10, "pause_s": 1.0}
    run = await server.run("words", plan)
    before = sockets_of(server)
    request = subscription if "socket" in kind else stream
    if "proxy" in kind:
        async with silent_proxy(server.port) as (port, deaf), http.connect(port) as line:
            line.writer.write(request(server.port, run["id"]))
            await line.reader.readexactly(10_000)
            assert sockets_of(server) > before
            deaf.set()
            took = await gone(server, before)
    else:
        async with client(server.port, request(server.port, run["id"])) as peer:
            assert sockets_of(server) > before
            peer.send_signal(signal.SIGSTOP)
            took = await gone(server, before)
    print(f"{kind}: {took:.1f} s")
    assert took < DEAD_S
    answer = await server.ask("GET", f"/runs/{run['id']}")
    assert answer.json["status"] in {"running", "completed"}, "its reader is gone, and not the run"


@pytest.mark.contract("TRU-11")
@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Authorization: Bearer " + "a" * 9_000], 431),
        ([f"X-{number}: a" for number in range(140)], 431),
        (["Content-Length: 5"], 400),
        (["Authorization: Bearer " + "a" * 7_000], 101),
    ],
    ids=["a line over 8 KB", "140 headers", "a body", "a line below 8 KB"],
)
async def test_a_handshake_is_answered_however_it_looks(serve: Serve, lines: list[str], status: int) -> None:
    server = serve()
    await server.start()
    head = [f"GET {API}/ws HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *UPGRADE, *lines, "", ""]
    async with http.connect(server.port) as line:
        line.writer.write("\r\n".join(head).encode())
        async with asyncio.timeout(5):
            assert await line.head() == status
            if status != 101:
                assert json.loads(await line.body())["status"] == status
                assert await line.reader.read() == b"", "the line is closed"
    assert (await server.ask("GET", "/agents")).status == 200


@pytest.mark.contract("REL-10")
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("count", [40, 125])
async def test_stalled_readers_of_a_large_answer_cost_little_and_get_it_all_the_same(
    serve: Serve, count: int
) -> None:
    server = serve()
    await server.start()
    run = await server.run("words", {"words": 1_000, "size": 2_000, "pause_s": 0.0})
    await server.ended(run["id"])
    path, process = f"{API}/runs/{run['id']}", Process(server.process.pid)
    whole = b""
    for _ in range(3):  # the first ones widen the memory for good
        whole = (await http.ask(server.port, "GET", path)).body
    assert len(whole) > 2_000_000
    before_mb = process.rss_mb
    async with AsyncExitStack() as stack:
        stalled = list[http.Connection]()
        for _ in range(count):
            line = await stack.enter_async_context(http.connect(server.port, receive_buffer=4096))
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport as well
            await line.send("GET", path)
            stalled.append(line)
        await asyncio.sleep(4)
        held_mb = process.rss_mb - before_mb
        line = stalled[-1]
        line.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a read transport as well
        assert await line.head() == 200
        assert await line.body() == whole
    print(f"{count} stalled readers of {len(whole)} bytes: {held_mb:+.0f} MB")
    all_mb = count * len(whole) / 2**20
    assert held_mb < 40 + 0.3 * all_mb, (
        f"of {all_mb:.0f} MB; 40 are what the allocator keeps, however many there are"
    )
