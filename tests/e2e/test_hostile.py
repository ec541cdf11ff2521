"""Ten thousand hostile requests: no 5xx, no hang, and a healthy server afterwards (TRU-11)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.e2e import http
from tests.e2e.calls import Process, Server, bounded
from tests.e2e.conftest import Serve
from tests.e2e.fuzz import Fuzzer

BOUND_S = 10.0
AT_ONCE = 48
SILENCE_S = 0.5


async def _throw(port: int, raw: bytes) -> tuple[int, bytes]:
    """Send bytes and return the first status and all that came; 0 for a bare close.

    What is not a whole request waits for more, so after a silence the sending side is closed: then it must end.
    """
    came = b""
    try:
        async with asyncio.timeout(BOUND_S), http.connect(port) as line:
            line.writer.write(raw)
            try:
                async with asyncio.timeout(SILENCE_S):
                    came = await line.reader.read(65_536)
            except TimeoutError:
                line.writer.write_eof()
            while piece := await line.reader.read(65_536):
                came = (came + piece)[:200_000]
    except (OSError, EOFError):
        pass  # reset by the server in the middle of the sending; what came before it counts
    status = came.split(b" ", 2)[1:2] if came.startswith(b"HTTP/1.") else []
    return int(status[0]) if status else 0, came


@pytest.mark.contract("TRU-11")
@pytest.mark.parametrize(
    ("count", "seed"), [(500, 1), pytest.param(10_000, 2, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
async def test_hostile_requests_yield_no_5xx_and_no_hang(serve: Serve, count: int, seed: int) -> None:
    server = serve()
    await server.start()
    fuzzer = Fuzzer(seed, server.port)
    requests = [fuzzer.request() for _ in range(count)]
    statuses: Counter[int] = Counter()
    broken: list[str] = []

    async def throw(number: int) -> None:
        kind, raw = requests[number]
        try:
            status, came = await _throw(server.port, raw)
        except TimeoutError:
            broken.append(f"{kind} number {number} hung: {raw[:300]!r}")
            return
        statuses[status] += 1
        if status >= 500:
            broken.append(f"{kind} number {number} gave {status}: {raw[:600]!r} -> {came[-300:]!r}")
        elif b"Traceback" in came:
            broken.append(f"{kind} number {number} told a traceback: {raw[:300]!r}")

    before_mb = Process(server.process.pid).rss_mb
    await bounded(count, AT_ONCE, throw)
    print(
        f"{count} hostile requests, seed {seed}: {dict(sorted(statuses.items()))}, "
        f"{before_mb:.0f} -> {Process(server.process.pid).rss_mb:.0f} MB"
    )
    assert not broken, f"{len(broken)} broken:\n" + "\n".join(broken[:12])
    await _is_healthy(server)


async def _is_healthy(server: Server) -> None:
    assert server.process.running
    async with server.connect() as line:
        assert (await line.ask("GET", "/readyz")).status == 200
    run = await server.run("echo", "still here", mode="wait")
    assert run["output"] == "still here"
    errors = [
        line for line in server.process.output.read_text("utf-8").splitlines() if '"level": "error"' in line
    ]
    assert not errors, f"{len(errors)} errors in the log: {errors[0][:1500]}"
