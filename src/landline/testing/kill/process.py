"""`landline serve` as a process of its own, on loopback, that a test may kill at any moment and start again.

Only the process this object started is ever signalled, by its own id.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from landline.testing.kill.warm import WarmProcess

__all__ = ["NotReady", "ServedProcess"]

POLL_S = 0.02


class NotReady(Exception):
    """The server ended, or did not get ready in time; the text holds the end of its output."""


class ServedProcess:
    """A server on a free loopback port that keeps its port and its data folder from start to start.

    Args:
        targets: What `landline serve` is to serve.
        data: The data folder; the server's output goes to `server.log` beside it.
        environ: Variables on top of this process's own; the `LANDLINE_*` of this process are not passed on.
        options: More words for the command line.
        prefix: A command that runs the server (such as a tracer that keeps the server's process id).
        warm: Modules that the agents import: the server is forked from a process that has them already, which takes
            a fraction of a second; None runs a new interpreter. Without effect together with `prefix`.
    """

    def __init__(
        self,
        *targets: str | Path,
        data: Path,
        environ: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        prefix: Sequence[str] = (),
        warm: Sequence[str] | None = None,
    ) -> None:
        self.data = data
        self.port = free_port()
        self.output = data.parent / "server.log"
        self._environ, self._prefix = dict(environ or {}), tuple(prefix)
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--data", str(data))
        self._words = ("serve", *map(str, targets), *where, *options)
        self._warm = warm
        self._process: subprocess.Popen[bytes] | WarmProcess | None = None

    @property
    def command(self) -> Sequence[str]:
        """What is run; a server that is a module of its own puts that in its place."""
        return (sys.executable, "-m", "landline.cli.main", *self._words)

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The id of the process. Raises NotReady when none was started."""
        if self._process is None:
            raise NotReady("the server was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process without waiting for it."""
        if self.running:
            raise RuntimeError(f"the server runs already, as {self.pid}")
        own = {name: value for name, value in os.environ.items() if not name.startswith("LANDLINE_")}
        environ = {**own, "PYTHONUNBUFFERED": "1", **self._environ}
        if self._warm is not None and not self._prefix:
            self._process = WarmProcess(
                self._words, preload=self._warm, environ=environ, cwd=self.data.parent, output=self.output
            )
            return
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is this interpreter's own and the test's
                (*self._prefix, *self.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.data.parent,
                env=environ,
            )

    async def ready(self, timeout_s: float = 30.0) -> float:
        """Return once `/readyz` says 200, with the seconds that took.

        Raises:
            NotReady: The process ended, or time ran out.
        """
        began = time.monotonic()
        while time.monotonic() - began < timeout_s:
            if not self.running:
                raise NotReady(f"the server ended with {self.exit_code}:\n{self.tail()}")
            if await self._says_ready():
                return time.monotonic() - began
            await asyncio.sleep(POLL_S)
        raise NotReady(f"the server was not ready after {timeout_s} s:\n{self.tail()}")

    async def start(self, timeout_s: float = 30.0) -> float:
        """Launch and wait until it is ready; returns the seconds that took."""
        self.launch()
        return await self.ready(timeout_s)

    def kill(self) -> None:
        """Kill the process with SIGKILL and reap it; nothing happens when it is not there."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def terminate(self) -> None:
        """Ask the process to stop (SIGTERM), without waiting."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGTERM)

    async def stop(self, timeout_s: float = 30.0) -> int:
        """Ask the process to stop and return its exit code; one that does not stop in time is killed.

        Raises:
            TimeoutError: It had to be killed.
        """
        self.terminate()
        return await self.ended(timeout_s)

    async def ended(self, timeout_s: float = 30.0) -> int:
        """Return the exit code once the process has ended; one that does not end in time is killed.

        Raises:
            TimeoutError: It had to be killed.
        """
        until = time.monotonic() + timeout_s
        while self.running:
            if time.monotonic() > until:
                self.kill()
                raise TimeoutError(f"the server did not stop within {timeout_s} s:\n{self.tail()}")
            await asyncio.sleep(POLL_S)
        code = self.exit_code
        assert code is not None
        return code

    @property
    def exit_code(self) -> int | None:
        """How the process ended: None while it runs, negative for a signal."""
        return self._process.poll() if self._process is not None else None

    def tail(self, lines: int = 40) -> str:
        """Return the end of what all starts so far have printed."""
        if not self.output.exists():
            return ""
        text = self.output.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    async def _says_ready(self) -> bool:
        try:
            async with asyncio.timeout(2.0):
                return await _status(self.port, "/readyz") == 200
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            return False


async def _status(port: int, path: str) -> int:
    """Return the status of a GET; this room has no HTTP client of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        return int(line.split(b" ", 2)[1]) if line.startswith(b"HTTP/1.1 ") else 0
    finally:
        writer.transport.abort()


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
