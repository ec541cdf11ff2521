"""Which requests our own pool takes, and how one goes out: the head as its client wrote it, then the body in its pieces."""

import re
from collections.abc import AsyncIterable
from typing import Any

from landline.upstream.streams.connection import Connection

__all__ = ["Asked", "asked"]

_PORTS = {b"http": 80, b"https": 443}
_FIELD = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+: [^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?\r\n"
_HEAD = re.compile(rb"(?:GET|POST) [\x21-\x7e]+ HTTP/1\.1\r\n(?:" + _FIELD + rb")+")
"""A head as RFC 9112 has it, without what it merely allows."""
_FRAME = re.compile(
    rb"\r\n(host|content-length|transfer-encoding|connection|upgrade|expect|te|trailer|http2-settings): ([^\r]*)",
    re.IGNORECASE,
)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_WITH_HEAD = 64 * 1024
"""Bytes of a body's first piece that are copied to go out with the head: one packet is better than two."""


class Asked:
    """One request that our pool can carry."""

    __slots__ = ("_body", "_head", "_length", "origin", "timeouts")

    def __init__(self, request: Any, head: bytes, length: int | None) -> None:
        url = request.url
        self.origin: tuple[bytes, bytes, int] = (url.scheme, url.host, url.port or _PORTS[url.scheme])
        self.timeouts: dict[str, float | None] = request.extensions.get("timeout") or {}
        """Seconds for "pool", "connect", "write" and "read"; None or nothing for no limit."""
        self._head = head
        self._length = length
        """Of the body; None when it goes out in chunks."""
        self._body: AsyncIterable[bytes] = request.stream

    async def send(self, connection: Connection, core: Any) -> None:
        """Write the request, as far as the provider takes it: one that has answered already may not want the rest.

        Raises:
            WriteTimeout, LocalProtocolError: of the core; the second when the body is not as long as its head says.
        """
        head, left = self._head, self._length
        pieces = aiter(self._body)
        try:
            async for piece in pieces:
                if not piece:
                    continue
                if left is not None:
                    left -= len(piece)
                    if left < 0:
                        raise core.LocalProtocolError("Too much data for declared Content-Length")
                _write(connection, head, piece if left is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
                head = b""
                if not connection.writable:
                    await connection.drain(self.timeouts.get("write"))
                if connection.over:
                    return
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()
        if left:
            raise core.LocalProtocolError("Too little data for declared Content-Length")
        if head or left is None:
            connection.write(head + (b"0\r\n\r\n" if left is None else b""))
        connection.sent = not connection.over


def _write(connection: Connection, head: bytes, data: bytes) -> None:
    if head and len(data) > _WITH_HEAD:
        connection.write(head)
        connection.write(data)
    else:
        connection.write(head + data)


def asked(request: Any) -> Asked | None:
    """Return the request as our pool sends it, or None where the pool of the core had better.

    That is for each request with anything unusual: another method than GET and POST, a scheme of another protocol, a trace, a name for
    TLS of its own, a head that says more of the connection than `keep-alive`, or one that no parser would take. The core
    knows how, or which error to raise.
    """
    extensions = request.extensions
    if request.url.scheme not in _PORTS or "trace" in extensions or "sni_hostname" in extensions:
        return None
    if not hasattr(request.stream, "__aiter__"):
        return None
    fields: list[tuple[bytes, bytes]] = request.headers
    lines = [b"%b %b HTTP/1.1" % (request.method, request.url.target)]
    lines += [b"%b: %b" % field for field in fields]
    head = b"\r\n".join(lines) + b"\r\n"
    # A line end within a value would begin another line, so their number is looked at too.
    if head.count(b"\n") != len(fields) + 1 or _HEAD.fullmatch(head) is None:
        return None
    found = _FRAME.findall(head)
    frame = {name.lower(): value for name, value in found}
    if len(frame) != len(found) or b"host" not in frame:
        return None
    if frame.pop(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    coding, length = frame.pop(b"transfer-encoding", None), frame.pop(b"content-length", None)
    if len(frame) > 1 or (coding is not None and (coding.lower() != b"chunked" or length is not None)):
        return None
    if length is not None and _LENGTH.fullmatch(length) is None:
        return None
    return Asked(request, head + b"\r\n", None if coding is not None else int(length or 0))
