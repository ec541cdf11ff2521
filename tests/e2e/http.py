"""A small HTTP/1.1 and SSE client on raw sockets: it can be cut, stalled and broken in ways a polite client cannot.

One `Connection` is one socket; requests on it follow each other. Everything it waits for has a bound.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_S = 30.0

Gone = (OSError, EOFError, asyncio.IncompleteReadError)
"""What a client sees when the server goes away in the middle."""


class CutOff(Exception):
    """The body ended before its framing said so: the server went away."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole response; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The `code` of a problem body, or ''."""
        if self.headers.get("content-type", "").startswith("application/problem+json"):
            return str(self.json["code"])
        return ""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One SSE frame; `seq` is its id."""

    event: str
    data: Any
    seq: int | None = None
    retry_ms: int | None = None


@dataclass
class Connection:
    """One socket to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    port: int
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Write a request; `body` is sent as JSON unless it is bytes."""
        lines = {"Host": f"127.0.0.1:{self.port}", "Accept": "*/*"}
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            lines |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        lines |= headers or {}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
        await self.writer.drain()

    async def head(self) -> int:
        """Read the status line and the headers of the next response."""
        block = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = block.rstrip().split("\r\n")
        self.status = int(first.split(" ", 2)[1])
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}
        return self.status

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises CutOff when it ends too early."""
        try:
            if self.headers.get("transfer-encoding") == "chunked":
                while size := int(await self.reader.readuntil(b"\r\n"), 16):
                    yield (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readuntil(b"\r\n")
            elif length := int(self.headers.get("content-length", "0")):
                yield await self.reader.readexactly(length)
        except Gone as error:
            raise CutOff from error

    async def body(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])

    async def frames(self) -> AsyncIterator[Frame]:
        """Yield the frames of an SSE body; comments are passed over."""
        rest = b""
        async for piece in self.pieces():
            rest += piece
            *whole, rest = rest.split(b"\n\n")
            for block in whole:
                if (frame := parse_frame(block.decode())) is not None:
                    yield frame

    async def ask(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and return its whole answer."""
        async with asyncio.timeout(TIMEOUT_S):
            await self.send(method, path, body=body, headers=headers)
            status = await self.head()
            return Answer(status=status, headers=self.headers, body=await self.body())

    def cut(self) -> None:
        """Drop the socket at once."""
        self.writer.transport.abort()


def parse_frame(block: str) -> Frame | None:
    """Return the frame of one block of lines, None for a comment."""
    fields: dict[str, str] = {}
    for line in block.split("\n"):
        name, _, value = line.partition(":")
        if name:
            fields[name] = fields[name] + "\n" + value.lstrip(" ") if name in fields else value.lstrip(" ")
    if "data" not in fields:
        return None
    return Frame(
        event=fields.get("event", "message"),
        data=json.loads(fields["data"]),
        seq=int(fields["id"]) if "id" in fields else None,
        retry_ms=int(fields["retry"]) if "retry" in fields else None,
    )


@asynccontextmanager
async def connect(port: int, *, receive_buffer: int | None = None) -> AsyncGenerator[Connection]:
    """Open a socket to the server; it is cut when the block is left."""
    sock = socket.socket()
    try:
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=sock)
    except BaseException:  # a timeout's cancel too must not leave the socket open
        sock.close()
        raise
    connection = Connection(reader, writer, port)
    try:
        yield connection
    finally:
        connection.cut()
        # One turn of the loop lets the transport close its socket.
        await asyncio.sleep(0)


async def ask(
    port: int, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request on a socket of its own."""
    async with connect(port) as connection:
        return await connection.ask(method, path, body=body, headers=headers)


@asynccontextmanager
async def stream(
    port: int,
    path: str,
    *,
    after: int | None = None,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncGenerator[Connection]:
    """Open an SSE response: a GET, resumed after `after`, or a POST when there is a body."""
    resumed = {"Last-Event-ID": str(after)} if after is not None else {}
    async with connect(port) as connection:
        async with asyncio.timeout(TIMEOUT_S):
            method = "GET" if body is None else "POST"
            await connection.send(method, path, body=body, headers={**resumed, **(headers or {})})
            await connection.head()
        yield connection
