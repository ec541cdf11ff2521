"""The wire under httpx and httpx2: connections whose streamed answers are merged before anyone parses them.

Both clients stand on an HTTP core that takes a network backend of one shape (connect_tcp, connect_unix_socket, sleep),
and so nothing of either is imported. A read asks the connection's own stream once and takes what the kernel has by
then: between two reads that stream reads nothing, so a slow reader is felt by the provider through its window.
"""

import re
import ssl
from typing import Any, Protocol

from landline.upstream.streams.framing import Body, body_of
from landline.upstream.streams.pace import give_way

__all__ = ["Backend", "MergingBackend", "Stream"]

_LONGEST_HEAD = 128 * 1024
_MOST_AT_ONCE = 256 * 1024
"""Bytes that one read takes at most out of a TLS connection that has more."""
_REQUEST = re.compile(rb"(?:POST|GET) \S+ HTTP/1\.1\r\n")


class Stream(Protocol):
    """One connection, as httpcore and httpcore2 know it; times are in seconds."""

    async def read(self, *args: Any, **kwargs: Any) -> bytes:
        """Read (max_bytes, timeout)."""
        ...

    async def write(self, buffer: bytes, *args: Any, **kwargs: Any) -> None:
        """Write (buffer, timeout)."""
        ...

    async def aclose(self) -> None:
        """Close."""
        ...

    async def start_tls(self, *args: Any, **kwargs: Any) -> "Stream":
        """Return the connection under TLS (ssl_context, server_hostname, timeout)."""
        ...

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection."""
        ...


class Backend(Protocol):
    """What opens connections, as httpcore and httpcore2 know it."""

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> Stream:
        """Open a TCP connection."""
        ...

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> Stream:
        """Open a connection to a Unix socket."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        ...


class MergingBackend:
    """Opens connections by another backend, and merges what they stream."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self._claims = 1

    def claim(self) -> None:
        """Count one more who wants it."""
        self._claims += 1

    def release(self) -> bool:
        """Count one less, and tell whether nobody is left."""
        self._claims -= 1
        return self._claims == 0

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> Stream:
        """Open a TCP connection; arguments, timeouts and errors are the inner backend's."""
        return MergingStream(await self.inner.connect_tcp(*args, **kwargs))

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> Stream:
        """Open a connection to a Unix socket; arguments, timeouts and errors are the inner backend's."""
        return MergingStream(await self.inner.connect_unix_socket(*args, **kwargs))

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await self.inner.sleep(seconds)


class MergingStream:
    """A connection that looks for the head of a response after each request, and at its body when that streams events.

    Everything else passes as it is: other responses, HTTP/2, tunnels.
    """

    __slots__ = ("_body", "_error", "_head", "_inner", "_tls")

    def __init__(self, inner: Stream) -> None:
        self._inner = inner
        self._head: bytes | None = None
        """What was read of a response's head while it is looked for."""
        self._body: Body | None = None
        self._error: Exception | None = None
        self._tls: Any = None

    async def read(self, *args: Any, **kwargs: Any) -> bytes:
        """Return bytes for the parser: at least what one read of the connection brought, b"" at its end.

        With TLS that may be more than was asked for. Errors are the connection's; they come after what was held back.
        """
        while True:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._body is not None:
                await give_way()
            try:
                data = await self._inner.read(*args, **kwargs)
            except Exception as error:  # whatever the connection raises: it is told by the next read
                # First the parser gets what would have been there without us.
                held = self._held()
                if not held:
                    raise
                self._error = error
                return held
            if self._body is None and self._head is None:
                return data
            if not data:
                return self._held()
            given = self._taken(data)
            if given:
                return given

    async def write(self, buffer: bytes, *args: Any, **kwargs: Any) -> None:
        """Write; the head of a request says that a response comes next."""
        if buffer.startswith((b"POST ", b"GET ")) and _REQUEST.match(buffer):
            self._head, self._body = b"", None
        await self._inner.write(buffer, *args, **kwargs)

    async def aclose(self) -> None:
        """Close the connection."""
        self._head = self._body = self._error = None
        await self._inner.aclose()

    async def start_tls(self, *args: Any, **kwargs: Any) -> Stream:
        """Return the same connection under TLS."""
        return MergingStream(await self._inner.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str) -> Any:
        """Return what the connection knows."""
        return self._inner.get_extra_info(info)

    def _held(self) -> bytes:
        body, self._body = self._body, None
        return body.flush() if body is not None else b""

    def _taken(self, data: bytes) -> bytes:
        if self._body is not None:
            return self._body.feed(self._with_waiting(data))
        read = (self._head or b"") + data
        while (end := read.find(b"\r\n\r\n")) >= 0 and read.startswith(b"HTTP/1.1 1"):
            read = read[end + 4 :]
        if end < 0:
            self._head = read if len(read) <= _LONGEST_HEAD else None
            return data
        self._head, self._body = None, body_of(read[:end])
        rest = read[end + 4 :]
        if self._body is None:
            return data
        self._tls = self._inner.get_extra_info("ssl_object")
        return data[: len(data) - len(rest)] + (self._body.feed(rest) if rest else b"")

    def _with_waiting(self, data: bytes) -> bytes:
        """Return `data` and what TLS has already received after it: a read brings one record, of one token each."""
        if self._tls is None:
            return data
        pieces, size = [data], len(data)
        while size < _MOST_AT_ONCE:
            try:
                piece: bytes = self._tls.read(65536)
            except ssl.SSLError:
                # Nothing more waits, or the connection's own next read finds what is wrong.
                break
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces) if len(pieces) > 1 else data
