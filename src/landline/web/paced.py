"""Large answers: sent in pieces, and kept on the disk for a reader that does not take them (REL-10).

A server takes a body as it is handed over. Of a hundred readers that ask for megabytes and read nothing it would hold
them all in memory until the last is cut off.
"""

import asyncio
import tempfile
from contextlib import suppress
from typing import IO, ClassVar, Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

__all__ = ["PIECE_BYTES", "Paced", "paced"]

PIECE_BYTES: Final = 64 * 1024
"""What is handed to the server at once; it takes more when the reader has taken most of that."""

LARGE_BYTES: Final = 128 * 1024

PATIENCE_S: Final = 0.5
"""How long a piece may wait for its reader before the rest of the answer leaves the memory."""

HURRY_S: Final = 0.01
HURRY_BYTES: Final = 16 * 1024 * 1024
"""From so much in all such answers together on, the patience is the short one."""


def paced(response: Response) -> Response:
    """Return an answer that takes little memory while it is read, however large it is."""
    size = len(getattr(response, "body", b""))
    return Paced(response) if size > LARGE_BYTES else response


class Paced(Response):
    """An answer that was made as a whole; its body is taken from it."""

    in_memory: ClassVar[int] = 0
    """Bytes of all answers that are being sent from memory."""

    def __init__(self, whole: Response) -> None:
        self.status_code, self.background = whole.status_code, whole.background
        self.raw_headers = whole.raw_headers
        self._body = bytes(whole.body)
        self._file: IO[bytes] | None = None
        whole.body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write it."""
        size = len(self._body)
        Paced.in_memory += size
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            for start in range(0, size, PIECE_BYTES):
                end = start + PIECE_BYTES
                piece = self._file.read(PIECE_BYTES) if self._file else self._body[start:end]
                message = {"type": "http.response.body", "body": piece, "more_body": end < size}
                await self._sent(send, message, end)
        finally:
            Paced.in_memory -= len(self._body)
            if self._file:
                self._file.close()
        if self.background is not None:
            await self.background()

    async def _sent(self, send: Send, message: Message, end: int) -> None:
        """Hand a piece over; while it waits for the reader, what comes after `end` goes to the disk."""
        sending = asyncio.ensure_future(send(message))
        try:
            patience_s = HURRY_S if Paced.in_memory > HURRY_BYTES else PATIENCE_S
            done, _ = await asyncio.wait({sending}, timeout=patience_s)
            if not done and self._file is None:
                with suppress(OSError):  # a full disk: it stays where it is
                    self._file = await asyncio.to_thread(_on_disk, memoryview(self._body)[end:])
                    Paced.in_memory -= len(self._body)
                    self._body = b""
            await sending
        finally:
            sending.cancel()


def _on_disk(rest: memoryview) -> IO[bytes]:
    """Return a file without a name that holds `rest`. Raises OSError."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it outlives this function; whoever sends it closes it
    try:
        file.write(rest)
        file.seek(0)
    except BaseException:  # a full disk too must not leave it open
        file.close()
        raise
    return file
