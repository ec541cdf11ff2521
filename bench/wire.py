"""HTTP/1.1 from the client's side at a few microseconds a read: one connection, one request at a time."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from bench.tokens import Answer, now_us

__all__ = ["Line", "Reply", "Said", "SseText", "connect", "request"]

Sink = Callable[[bytes, int], None]


@dataclass(slots=True)
class Reply:
    """How a request ended. `body` is empty where the request had a sink."""

    status: int = 0
    body: bytes = b""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """How a wire says text: each event ends with `gap`, and the text is the string after `mark`.

    With `only`, it is that of the events which hold these bytes, once in each; else each `mark` is followed by text.
    """

    mark: bytes = b'"delta":'
    gap: bytes = b"\n\n"
    only: bytes = b""

    def parts(self, events: bytes) -> list[bytes]:
        """Return what stands behind each mark."""
        if not self.only:
            return events.split(self.mark)[1:]
        return [
            event.split(self.mark, 1)[1]
            for event in events.split(self.gap)
            if self.only in event and self.mark in event
        ]


class SseText:
    """Takes the text out of a stream of server-sent events, and feeds an answer with it."""

    __slots__ = ("_answer", "_rest", "_said")

    def __init__(self, answer: Answer, said: Said) -> None:
        self._answer = answer
        self._said = said
        self._rest = b""

    def __call__(self, data: bytes, at_us: int) -> None:
        text = self._rest + data if self._rest else data
        end = text.rfind(self._said.gap)
        if end < 0:
            self._rest = text
            return
        self._rest = text[end + len(self._said.gap) :]
        for part in self._said.parts(text[:end]):
            start = part.index(b'"') + 1
            self._answer.feed(part[start : part.index(b'"', start)], at_us)


class Line(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._in_head = True
        self._chunked = False
        self._left = 0
        self._sink: Sink | None = None
        self._pieces: list[bytes] = []
        self._reply = Reply()
        self._done: asyncio.Future[Reply] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._finish(whole=False)

    async def ask(self, data: bytes, sink: Sink | None = None) -> Reply:
        """Send a request and return when its response has ended, whole or not."""
        if self._transport is None:
            return Reply()
        self._in_head, self._chunked, self._left = True, False, 0
        self._buffer, self._pieces, self._sink, self._reply = b"", [], sink, Reply()
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._done

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        at_us = now_us()
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        if self._in_head:
            head, gap, rest = data.partition(b"\r\n\r\n")
            if not gap:
                self._buffer = data
                return
            self._head(head)
            data = rest
        if self._chunked:
            self._take_chunks(data, at_us)
        else:
            self._take(data[: self._left], at_us)
            self._left -= len(data)
            if self._left <= 0:
                self._finish(whole=True)

    def _head(self, head: bytes) -> None:
        first, *lines = head.lower().split(b"\r\n")
        headers = dict(line.split(b":", 1) for line in lines)
        self._reply.status = int(first.split(b" ", 2)[1])
        self._chunked = headers.get(b"transfer-encoding", b"").strip() == b"chunked"
        self._left = int(headers.get(b"content-length", b"0"))
        self._in_head = False
        if self._reply.status != 200:
            self._sink = None

    def _take_chunks(self, data: bytes, at_us: int) -> None:
        at, end, pieces = 0, len(data), list[bytes]()
        whole = False
        while at < end:
            if self._left > 2:
                took = data[at : at + self._left - 2]
                pieces.append(took)
                at, self._left = at + len(took), self._left - len(took)
            elif self._left:
                took_bytes = min(self._left, end - at)
                at, self._left = at + took_bytes, self._left - took_bytes
            else:
                line_end = data.find(b"\r\n", at)
                if line_end < 0:
                    self._buffer = data[at:]
                    break
                size, at = int(data[at:line_end], 16), line_end + 2
                if not size:
                    whole = True
                    break
                self._left = size + 2
        if pieces:
            self._take(pieces[0] if len(pieces) == 1 else b"".join(pieces), at_us)
        if whole:
            self._finish(whole=True)

    def _take(self, data: bytes, at_us: int) -> None:
        if self._sink is not None:
            self._sink(data, at_us)
        else:
            self._pieces.append(data)

    def _finish(self, *, whole: bool) -> None:
        if self._done is not None and not self._done.done():
            self._reply.body, self._reply.whole = b"".join(self._pieces), whole
            self._done.set_result(self._reply)


async def connect(port: int) -> Line:
    """Return an open connection to a server on loopback."""
    _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
    return line


def request(path: str, headers: Mapping[str, str], body: object = None) -> bytes:
    """Return the bytes of a POST with a JSON body (bytes are taken as they are), or of a GET without one."""
    data = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is None:
        return "\r\n".join([*lines, "", ""]).encode()
    if "content-type" not in headers:
        lines.append("content-type: application/json")
    lines.append(f"content-length: {len(data)}")
    return "\r\n".join([*lines, "", ""]).encode() + data
