"""Who is slow on purpose is cut in time, and costs the others little (TRU-12)."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from tests.e2e import http
from tests.e2e.calls import API, Process, Server, percentile
from tests.e2e.conftest import Serve
from tests.e2e.http import Connection
from tests.e2e.test_readers import many_files

HEADERS_S, BODY_S, READER_S = 15.0, 30.0, 40.0
SLACK_S = 3.0
"""For a machine that does other things as well; the promise is without it."""

POST = "POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
GET = "GET /livez HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"

__all__ = ["many_files"]  # the fixture


async def drip(line: Connection, start: str, piece: bytes = b"", every_s: float = 1.0) -> None:
    """Send a start, then a piece every so often, until the server has enough of it."""
    line.writer.write(start.replace("{port}", str(line.port)).encode())
    while True:
        await asyncio.sleep(every_s)
        if piece:
            line.writer.write(piece)
            await line.writer.drain()


async def silent(line: Connection) -> None:
    await drip(line, "")


async def slow_headers(line: Connection) -> None:
    await drip(line, GET + "X-A: ", b"a")


async def slow_lines(line: Connection) -> None:
    await drip(line, GET, b"X-A: b\r\n")


async def slow_newlines(line: Connection) -> None:
    """Before the first request, and in place of a second."""
    await drip(line, GET + "\r\n", b"\r\n", 0.5)


async def slow_second(line: Connection) -> None:
    await drip(line, GET + "\r\n" + GET + "X-A: ", b"a")


async def stalled_body(line: Connection) -> None:
    await drip(line, POST + "Content-Length: 100\r\n\r\n{")


async def slow_body(line: Connection) -> None:
    await drip(line, POST + "Content-Length: 100000\r\n\r\n", b" ")


async def slow_chunks(line: Connection) -> None:
    await drip(line, POST + "Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")


async def slow_extension(line: Connection) -> None:
    await drip(line, POST + "Transfer-Encoding: chunked\r\n\r\n1;a=", b"b")


async def slow_upload(line: Connection) -> None:
    start = POST.replace("runs", "files").replace("application/json", "text/plain")
    await drip(line, start + "Content-Length: 100000\r\n\r\n", b"a")


async def slow_refused(line: Connection) -> None:
    """The answer came long ago; what is left of the body still comes."""
    await drip(line, POST.replace("runs", "nowhere") + "Content-Length: 100000\r\n\r\n", b" ")


Behave = Callable[[Connection], Awaitable[None]]
LATE: dict[Behave, float] = {
    silent: HEADERS_S,
    slow_headers: HEADERS_S,
    slow_lines: HEADERS_S,
    slow_newlines: HEADERS_S,
    slow_second: HEADERS_S,
    stalled_body: BODY_S,
    slow_body: BODY_S,
    slow_chunks: BODY_S,
    slow_extension: BODY_S,
    slow_upload: BODY_S,
    slow_refused: BODY_S,
}


async def lasts(port: int, behave: Behave) -> float:
    """Return after how many seconds the server cut the line; what it answers before is read and thrown away."""
    began = time.monotonic()
    async with http.connect(port) as line:
        behaving = asyncio.ensure_future(behave(line))
        with suppress(OSError):
            while await line.reader.read(65_536):
                pass
        behaving.cancel()
        await asyncio.wait({behaving})
        if not behaving.cancelled():
            behaving.exception()  # a write into the closed line
    return time.monotonic() - began


async def unread(port: int, path: str) -> bool:
    """Ask for something large and read nothing for a while; whether the line was cut meanwhile."""
    async with http.connect(port, receive_buffer=4096) as line:
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport as well
        await line.send("GET", path, headers={"Accept": "application/json"})
        await asyncio.sleep(READER_S)
        line.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a read transport as well
        try:
            await line.head()
            await line.body()
        except (http.CutOff, *http.Gone):
            return True
    return False


async def latencies(port: int, until: asyncio.Event) -> list[float]:
    """How long small requests take, one after the other with a pause, in milliseconds."""
    took: list[float] = []
    while not until.is_set():
        began = time.monotonic()
        assert (await http.ask(port, "GET", "/livez")).status == 200
        took.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(0.02)
    return took


async def _large(server: Server) -> str:
    """Make something that is too large for the buffers of a connection, and return its path."""
    run = await server.run("words", {"words": 1_000, "size": 2_000, "pause_s": 0.0})
    await server.ended(run["id"])
    path = f"/runs/{run['id']}"
    assert len((await server.ask("GET", path)).body) > 1_000_000
    return API + path


@pytest.mark.timeout(180)
@pytest.mark.contract("TRU-12")
@pytest.mark.parametrize("copies", [2, pytest.param(125, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
async def test_slow_clients_are_cut_in_time_while_the_others_are_served(serve: Serve, copies: int) -> None:
    """Eleven ways of being late and one of not reading, so many times at once: 24 connections, or 1,500."""
    server = serve()
    await server.start()
    path = await _large(server)
    process, done = Process(server.process.pid), asyncio.Event()
    quiet_until = asyncio.Event()
    quiet = asyncio.create_task(latencies(server.port, quiet_until))
    await asyncio.sleep(2)
    quiet_until.set()
    before_mb = process.rss_mb
    busy = asyncio.create_task(latencies(server.port, done))
    named = [behave for behave in LATE for _ in range(copies)]
    ends = asyncio.gather(*(lasts(server.port, behave) for behave in named))
    cuts = asyncio.gather(*(unread(server.port, path) for _ in range(copies)))
    await asyncio.sleep(8)
    held_mb = process.rss_mb
    times: defaultdict[str, list[float]] = defaultdict(list)
    for behave, seconds in zip(named, await ends, strict=True):
        times[getattr(behave, "__name__", "")].append(seconds)
    cut = await cuts
    done.set()
    for name, seconds in times.items():
        print(f"{name}: {min(seconds):.1f} to {max(seconds):.1f} s")
    before, under = await quiet, await busy
    print(
        f"{len(named) + copies} slow connections: {before_mb:.0f} -> {held_mb:.0f} MB; requests p50 "
        f"{percentile(before, 0.5):.1f} -> {percentile(under, 0.5):.1f} ms, p99 {percentile(before, 0.99):.1f} -> "
        f"{percentile(under, 0.99):.1f} ms"
    )
    for behave, most in LATE.items():
        assert max(times[getattr(behave, "__name__", "")]) < most + SLACK_S, behave
    assert all(cut), f"{cut.count(False)} readers that read nothing were waited for"
    if copies > 100:
        assert percentile(under, 0.99) < percentile(before, 0.99) * 5 + 250


@pytest.mark.timeout(90)
@pytest.mark.contract("TRU-12")
async def test_who_is_slow_for_a_reason_is_waited_for(serve: Serve) -> None:
    """An upload over a poor line, at 2 KB a second for longer than a stalled one would last."""
    server = serve()
    await server.start()
    size, piece, told = 70_000, b"a" * 2_048, "poor.txt"
    began = time.monotonic()
    async with server.connect() as line:
        headers = {"Content-Type": "text/plain", "Content-Length": str(size)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        line.writer.write(
            f"POST {API}/files?name={told} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{lines}\r\n".encode()
        )
        for start in range(0, size, len(piece)):
            line.writer.write(piece[: size - start])
            await asyncio.sleep(1)
        assert await line.head() == 201
    assert time.monotonic() - began > BODY_S
