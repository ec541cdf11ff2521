"""A small real MCP server for tests: `python mcp_notes.py stdio LOG` or `python mcp_notes.py http LOG [PORT]`.

Over HTTP it prints its port. Every call is a line in LOG, and so is every handshake, so a test can count both.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer

transport, log = sys.argv[1], Path(sys.argv[2])


def note(*words: Any) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(" ".join(str(word) for word in words) + "\n")


server = MCPServer("notes", instructions="Notes of the test.")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    note("add", a, b)
    return a + b


@server.tool()
def forget(name: str) -> str:
    """Forget a note."""
    note("forget", name)
    return f"forgot {name}"


@server.tool()
def refuse() -> str:
    """Fail."""
    note("refuse")
    raise ValueError("there is no such note")


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
def die() -> str:
    """Kill this server in mid-call."""
    note("die")
    os._exit(1)


if transport == "stdio":
    note("process")
    server.run("stdio")
else:
    listening = socket.create_server(("127.0.0.1", int(sys.argv[3]) if len(sys.argv) > 3 else 0))
    print(listening.getsockname()[1], flush=True)
    app = server.streamable_http_app()

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        """Note each request's MCP method; the body is small and comes whole."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        message = await receive()
        if b'"server/discover"' in message["body"] or b'"initialize"' in message["body"]:
            note("handshake")
        elif b'"tools/list"' in message["body"]:
            note("list")
        first = [message]
        await app(scope, lambda: asyncio.sleep(0, first.pop()) if first else receive(), send)

    config = uvicorn.Config(noting, log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listening])
