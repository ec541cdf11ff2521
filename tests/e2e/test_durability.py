"""Accepted means on disk: the system calls between a request and its 2xx are looked at (REL-1, RUN-2)."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.e2e.calls import asked
from tests.e2e.conftest import Serve

CALLS = "trace=fsync,fdatasync,read,recvfrom,recvmsg,readv,write,sendto,sendmsg,writev"
SYNCED = re.compile(
    r"(?:f(?:data)?sync\(\d+<[^>]*landline\.db(?:-wal)?>\)|<\.\.\. f(?:data)?sync resumed>\)).*= 0"
)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.contract("REL-1", "RUN-2")
@pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed: nothing can be seen of system calls"
)
@pytest.mark.parametrize("mode", ["background", "stream"])
async def test_an_fsync_lies_between_the_request_and_its_2xx(serve: Serve, mode: str) -> None:
    server = serve(prefix=("strace", "-D", "-f", "-y", "-s", "4096", "-e", CALLS, "-o", "trace.txt"))
    await server.start()
    trace = server.process.data.parent / "trace.txt"
    for number in range(5):
        mark = f"mark-{mode}-{number}"
        answer = await server.ask("POST", "/runs", body=asked("echo", mark, mode=mode))
        assert answer.status in (200, 202)
    await server.process.stop()
    lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
    for number in range(5):
        mark = f"mark-{mode}-{number}"
        asked_at = next(n for n, line in enumerate(lines) if mark in line and "POST " in line)
        answered_at = next(n for n, line in enumerate(lines) if n > asked_at and "HTTP/1.1 20" in line)
        between = lines[asked_at:answered_at]
        assert any(SYNCED.search(line) for line in between), "\n".join(between)
