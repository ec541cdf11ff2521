"""A small real MCP server in a process of its own, and how tests start, kill and watch it.

Every call, handshake and listing is a line in its log, so that a test can count them.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any


class Notes:
    """The server as a test sees it; over HTTP it keeps its port when it is started again."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "mcp.log"
        self.log.touch()
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def told(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def command(self, *how: str) -> list[str]:
        return [sys.executable, __file__, *how, str(self.log)]

    async def start(self, *extra: str) -> "Notes":
        self._process = await asyncio.create_subprocess_exec(
            *self.command("http"),
            str(self.port),
            *extra,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            self.port = int(await self._process.stdout.readline())
        return self

    async def kill(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def noted(self, line: str) -> None:
        """Wait until the server noted `line`."""
        async with asyncio.timeout(10):
            while line not in self.told:  # noqa: ASYNC110 - another process sets no event here
                await asyncio.sleep(0.02)


def serve(transport: str, log: Path, port: int, *extra: str) -> None:
    from mcp.server.mcpserver import MCPServer

    def note(*words: Any) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write(" ".join(str(word) for word in words) + "\n")

    server = MCPServer("notes")

    @server.tool()
    async def add(a: int, b: int) -> int:
        """Add two numbers."""
        note("add", a, b)
        return a + b

    @server.tool()
    async def forget(name: str) -> str:
        """Forget a note."""
        note("forget", name)
        return f"forgot {name}"

    @server.tool()
    async def wait() -> str:
        """Never return."""
        note("wait")
        try:
            await asyncio.Event().wait()
        finally:
            note("stopped")
        return "never"

    @server.tool()
    async def die() -> str:
        """Take the server down in mid-call."""
        note("die")
        os._exit(1)

    if "more" in extra:
        server.add_tool(lambda: "new", name="fresh", description="A tool that came with an update.")

    if transport == "stdio":
        note("process")
        server.run("stdio")
    else:
        serve_http(server.streamable_http_app(), port, note)


def serve_http(app: Any, port: int, note: Any) -> None:
    import uvicorn

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        async def read() -> Any:
            message = await receive()
            body = message.get("body", b"")
            if b'"server/discover"' in body or b'"initialize"' in body:
                note("handshake")
            elif b'"tools/list"' in body:
                note("list")
            return message

        await app(scope, receive if scope["type"] == "lifespan" else read, send)

    listening = socket.create_server(("127.0.0.1", port))

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(listening.getsockname()[1], flush=True)

    config = uvicorn.Config(noting, log_level="warning", timeout_graceful_shutdown=1)
    Server(config).run(sockets=[listening])


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        serve("stdio", Path(sys.argv[2]), 0, *sys.argv[3:])
    else:
        serve("http", Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
