"""A real issuer's key server on loopback, which a test may turn, slow down and break."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any


class Issuer:
    """What is at the address of the keys, and how often it was asked."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.status = 200
        self.body: bytes | None = None
        self.location: str | None = None
        self.hangs = False
        self.asked = 0
        self.port = 0
        self.let_go = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            if self.hangs:
                await self.let_go.wait()
            body = self.body if self.body is not None else json.dumps({"keys": self.keys}).encode()
            head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
            if self.location:
                head += f"Location: {self.location}\r\n"
            writer.write(head.encode() + b"\r\n" + body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def issuing() -> AsyncGenerator[Issuer]:
    """Serve an issuer on a free port."""
    issuer = Issuer()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    issuer.port = server.sockets[0].getsockname()[1]
    try:
        yield issuer
    finally:
        issuer.let_go.set()
        server.close()
        await server.wait_closed()
