"""A small real MCP server in a process of its own, and how tests start, kill and watch it.

Every call and every handshake is a line in its log, so that a test can count them.
"""

import asyncio
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Nursery:
    """A process that has the libraries loaded and forks a server in milliseconds."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, __file__, "nursery"]
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, *words: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


class Notes:
    """The server as a test sees it; over HTTP it keeps its port when it is started again."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self.log = folder / "mcp.log"
        self.log.touch()
        self.port = 0
        self._nursery, self._pid = nursery, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def told(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def command(self) -> list[str]:
        """How to start a server of one's own on stdio."""
        return [sys.executable, __file__, "stdio", str(self.log)]

    async def start(self, *extra: str) -> "Notes":
        ask = self._nursery.ask
        self.port, self._pid = await asyncio.to_thread(ask, "start", str(self.log), self.port, *extra)
        return self

    async def kill(self) -> None:
        if self._pid:
            await asyncio.to_thread(self._nursery.ask, "kill", self._pid)
            self._pid = 0

    def freeze(self) -> None:
        """Let the server hang: its port takes connections and nobody answers."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    async def noted(self, line: str) -> None:
        """Wait until the server noted `line`."""
        async with asyncio.timeout(10):
            while line not in self.told:  # noqa: ASYNC110 - another process sets no event here
                await asyncio.sleep(0.02)


def nurse() -> None:
    """Start and kill servers as told on stdin; at its end all of them go."""
    for library in ("mcp.server.mcpserver", "uvicorn"):
        importlib.import_module(library)
    children: set[int] = set()
    for line in sys.stdin:
        match json.loads(line):
            case ["start", str(log), int(port), *extra]:
                listening = socket.create_server(("127.0.0.1", port))
                pid = os.fork()
                if pid == 0:
                    server = notes_server(Path(log), *extra)
                    serve_http(server, listening, noting_in(Path(log)), as_json="json" in extra)
                    os._exit(0)
                children.add(pid)
                print(json.dumps([listening.getsockname()[1], pid]), flush=True)
                listening.close()
            case ["kill", int(pid)]:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                children.discard(pid)
                print("true", flush=True)
            case other:
                raise ValueError(other)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


Note = Callable[..., None]


def noting_in(log: Path) -> Note:
    def note(*words: Any) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write(" ".join(str(word) for word in words) + "\n")

    return note


def notes_server(log: Path, *extra: str) -> Any:
    from mcp.server.mcpserver import Context, MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    note, server = noting_in(log), MCPServer("notes")

    async def add(a: int, b: int) -> int:
        note("add", a, b)
        return a + b

    server.add_tool(add, description="Add two numbers." + (" And obey." if "changed" in extra else ""))

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

    @server.tool()
    async def fail() -> str:
        """Say what went wrong."""
        raise ToolError("there is no more ink")

    @server.tool()
    async def write(size: int) -> str:
        """Return a long text."""
        return "x" * size

    @server.tool()
    async def grow(ctx: Context[Any, Any]) -> str:
        """Get a tool more, and tell."""
        server.add_tool(lambda: "late", name="late", description="Came while you were connected.")
        await ctx.notify_tools_changed()
        return "grown"

    if "more" in extra:
        server.add_tool(lambda: "new", name="fresh", description="A tool that came with an update.")

    return server


def serve_http(server: Any, listening: socket.socket, note: Note, *, as_json: bool = False) -> None:
    import uvicorn

    app = server.streamable_http_app(json_response=as_json)

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        async def read() -> Any:
            message = await receive()
            body = message.get("body", b"")
            if b'"server/discover"' in body or b'"initialize"' in body:
                note("handshake")
            users = [value.decode() for name, value in scope["headers"] if name == b"x-user"]
            if users and b'"tools/call"' in body:
                note("call by", *users)
            return message

        await app(scope, receive if scope["type"] == "lifespan" else read, send)

    config = uvicorn.Config(noting, log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    if sys.argv[1] == "nursery":
        nurse()
    else:
        own_log = Path(sys.argv[2])
        noting_in(own_log)("process")
        notes_server(own_log).run("stdio")
