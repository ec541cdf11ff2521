"""The body of an HTTP/1.1 response, from its bytes on the wire: chunks are opened, their events merged, and closed again.

What comes out is a body of the same framing for whoever parses it next. Frames that are not as RFC 9112 (section 7.1)
has them reach that parser too, so that it is the one to complain.
"""

import re
from collections.abc import Iterable
from typing import Protocol

from landline.upstream.streams.merging import Merging

__all__ = ["Body", "Chunked", "ToTheEnd", "body_of", "coding_of"]

_LONGEST_LINE = 32
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})(?: |$)")
_FRAMED_BY = (b"transfer-encoding", b"content-length", b"content-encoding", b"content-type")


class Body(Protocol):
    """A body that is being read."""

    def feed(self, data: bytes) -> bytes:
        """Return what the parser may have now that `data` was read; b"" when it has to wait for more."""
        ...

    def flush(self) -> bytes:
        """Return what was held back: the connection has ended or failed."""
        ...


class ToTheEnd:
    """A body without a frame, which ends with the connection."""

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events = Merging()

    def feed(self, data: bytes) -> bytes:
        """Return the events that are whole."""
        return self._events.feed(data)

    def flush(self) -> bytes:
        """Return what was held back."""
        return self._events.flush()


class Chunked:
    """A body in chunks. All that one read brings becomes one chunk, unless it is one as it is."""

    __slots__ = ("_events", "_left", "_line", "_over")

    def __init__(self) -> None:
        self._events = Merging()
        self._left = 0
        """Bytes of the chunk at hand that are still to come, with the line end that closes it."""
        self._line = b""
        self._over = False

    def feed(self, data: bytes) -> bytes:
        """Return the events that are whole, as one chunk, and at the end of the body what was held back too."""
        if self._over:
            return data
        if self._line:
            data, self._line = self._line + data, b""
        if not self._left and self._events.clean and (text := _only_chunk(data)):
            given = self._events.feed(text)
            return data if given is text else _chunk(given)
        pieces, rest = self._open(data)
        given = self._events.feed(b"".join(pieces)) if pieces else b""
        if self._over:
            given += self._events.flush()
        return _chunk(given) + rest

    def flush(self) -> bytes:
        """Return what was held back, as a chunk; the body has no end."""
        held = self._events.flush()
        line, self._line = self._line, b""
        return _chunk(held) + line

    def _open(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return what is in the chunks of `data`, and what of it comes after the last of them."""
        at, end, pieces = 0, len(data), list[bytes]()
        while at < end:
            if self._left > 2:
                piece = data[at : at + self._left - 2]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
            elif self._left:
                closing = data[at : at + self._left]
                if not b"\r\n"[2 - self._left :].startswith(closing):
                    return pieces, self._give_up(data[at:])
                at += len(closing)
                self._left -= len(closing)
            else:
                line_end = data.find(b"\r\n", at)
                if line_end < 0 and end - at <= _LONGEST_LINE:
                    self._line = data[at:]
                    break
                size = _size(data[at:line_end]) if line_end >= 0 else 0
                if not size:
                    self._over = True
                    return pieces, data[at:]
                start = line_end + 2
                at = start + size + 2
                if at <= end and data[at - 2 : at] == b"\r\n":
                    pieces.append(data[start : at - 2])
                else:
                    at, self._left = start, size + 2
        return pieces, b""

    def _give_up(self, rest: bytes) -> bytes:
        """Return bytes that no parser takes for a chunk: the one at hand is not closed as it should be."""
        self._over = True
        return b"\r\n" + rest


def body_of(head: bytes) -> Body | None:
    """Return the body that follows a response's head when it is a stream of events that can be merged.

    Args:
        head: From the status line to the last field, without the empty line.
    """
    status, *lines = head.split(b"\r\n")
    match = _STATUS.match(status)
    if match is None or match[1] != b"200":
        return None
    fields: list[tuple[bytes, bytes]] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            return None
        fields.append((name, value.strip(b" \t")))
    coding = coding_of(fields)
    if coding is None:
        return None
    return Chunked() if coding else ToTheEnd()


def coding_of(fields: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return how the body of a response is framed when it is a stream of events that can be merged.

    Args:
        fields: The head's, without white space around values.

    Returns:
        b"chunked", or b"" for a body that ends with the connection; None for all other responses.
    """
    framing: dict[bytes, bytes] = {}
    for field, value in fields:
        name = field.lower()
        if name in _FRAMED_BY:
            if name in framing:
                return None
            framing[name] = value.lower()
    kind, _, parameter = framing.get(b"content-type", b"").partition(b";")
    if kind.strip() != b"text/event-stream" or parameter.strip() not in (
        b"",
        b"charset=utf-8",
        b'charset="utf-8"',
    ):
        return None
    if framing.get(b"content-encoding", b"identity") != b"identity" or b"content-length" in framing:
        return None
    coding = framing.get(b"transfer-encoding", b"")
    return coding if coding in (b"", b"chunked") else None


def _only_chunk(data: bytes) -> bytes:
    """Return what is in the one chunk that `data` is, or b"" where it is anything else."""
    line_end = data.find(b"\r\n", 0, 12)
    if line_end < 1 or not data.endswith(b"\r\n") or _size(data[:line_end]) != len(data) - line_end - 4:
        return b""
    return data[line_end + 2 : -2]


def _size(line: bytes) -> int:
    """Return the size that a chunk's first line says; 0 for the last chunk, and for a line that says more or nothing."""
    return int(line, 16) if _SIZE.fullmatch(line) else 0


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
