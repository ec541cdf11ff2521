"""Lines a person types, read without blocking the loop and without a thread that outlives it; and Ctrl-C."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

CHUNK = 65536


class Typed:
    """The lines of stdin. Give `interrupt` a call and Ctrl-C makes it; without one Ctrl-C ends the reading."""

    def __init__(self) -> None:
        self.interrupt: Callable[[], None] | None = None
        self._held = b""
        self._ended = False
        self._waiting: asyncio.Future[None] | None = None
        self._interactive = sys.stdin.isatty()

    async def line(self, prompt: str) -> str | None:
        """Return the next line without its end, None at the end of the input or after Ctrl-C."""
        if self._interactive:
            print(prompt, end="", file=sys.stderr, flush=True)
        while b"\n" not in self._held and not self._ended:
            chunk = await self._chunk()
            self._ended = not chunk
            self._held += chunk
        if not self._held:
            return None
        line, _, self._held = self._held.partition(b"\n")
        return line.decode(errors="replace").strip()

    def watch_interrupts(self) -> None:
        """Take Ctrl-C over from Python for the life of the loop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupted)

    def _interrupted(self) -> None:
        if self.interrupt is not None:
            self.interrupt()
            return
        print(file=sys.stderr)
        self._held, self._ended = b"", True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _chunk(self) -> bytes:
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        waiting, number = self._waiting, sys.stdin.fileno()

        def ready() -> None:
            if not waiting.done():
                waiting.set_result(None)

        try:
            loop.add_reader(number, ready)
        except (PermissionError, OSError):
            return os.read(number, CHUNK)  # a regular file: it never makes anybody wait
        try:
            await waiting
        finally:
            loop.remove_reader(number)
        return b"" if self._ended else os.read(number, CHUNK)
