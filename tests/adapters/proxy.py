"""A TCP proxy that cuts each connection after so many bytes from the server, to see what a reader makes of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit


class CuttingProxy:
    """Stands before a server on loopback."""

    def __init__(self, target: str, *, cut_after: int) -> None:
        self._port = urlsplit(target).port or 80
        self._cut_after = cut_after
        self._server: asyncio.Server | None = None
        self.cuts = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        up = asyncio.create_task(self._pump(reader, back))
        sent = 0
        try:
            while data := await there.read(200):
                sent += len(data)
                writer.write(data)
                await writer.drain()
                if sent > self._cut_after:
                    self.cuts += 1
                    writer.transport.abort()
                    break
        except OSError:
            pass
        finally:
            up.cancel()
            writer.close()
            back.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
