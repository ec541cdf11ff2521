"""Servers of the MCP face for the end-to-end tests: the real engine on a real socket, and raw messages to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import BaseModel
from starlette.types import ASGIApp

import landline
from landline.adapters.plain import PlainRun
from landline.app.build import Landline
from landline.model.callers import ALL_SCOPES, Caller
from landline.model.errors import Unauthenticated
from landline.testing.faces.mcp import Answered, check_answer

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


class Order(BaseModel):
    item: str
    count: int = 1


class Bill(BaseModel):
    total: int


async def echo(run: PlainRun) -> str:
    """Say the message back, and how far it is."""
    await run.progress("half", fraction=0.5)
    return run.input


async def eraser(run: PlainRun) -> str:
    """Erase what the message names, if a human agrees."""
    await run.text("Let me see. ")
    erased = await run.tool("erase", _erase, name=run.input)
    return f"Let me see. {erased}"


async def _erase(name: str) -> str:
    return f"Erased {name}."


async def asks(run: PlainRun) -> str:
    """Ask for a name, then for a colour."""
    name = await run.ask("What is your name?")
    color = await run.ask("Which colour?", kind="choice", choices=["red", "blue"])
    return f"{name} likes {color}."


async def hold(run: PlainRun) -> None:
    """Say a word and wait to be cancelled."""
    await run.text("waiting")
    await run.progress("waiting")
    await asyncio.Event().wait()


async def fails(run: PlainRun) -> None:
    """Fail."""
    await run.text("So far.")
    raise RuntimeError("secret")


async def bill(order: Order) -> Bill:
    """Make out a bill."""
    return Bill(total=7 * order.count)


def agents() -> list[Any]:
    erase = {"erase": landline.tool(approval=True)}
    return [
        landline.agent(echo, name="echo", starters=["Hello"]),
        landline.agent(eraser, name="eraser", tools=erase),
        landline.agent(asks, name="asks"),
        landline.agent(hold, name="hold", labels={"mcp.message": "Wait."}),
        landline.agent(fails, name="fails"),
        landline.agent(bill, name="bill"),
    ]


class Keys:
    """Three callers: Ann, Bob, and Ann with a key that may only read."""

    open = False

    async def authenticate(self, credential: str | None) -> Caller:
        readers = frozenset({"agents:read", "threads:read", "runs:read"})
        known = {
            "ann": Caller(tenant="t", user="ann", key_id="k1"),
            "bob": Caller(tenant="t", user="bob", key_id="k2"),
            "reader": Caller(tenant="t", user="ann", scopes=readers, key_id="k3"),
            "starter": Caller(tenant="t", user="ann", scopes=ALL_SCOPES - {"approvals:answer"}, key_id="k4"),
        }
        if credential not in known:
            raise Unauthenticated("A valid credential is needed.")
        return known[credential]


@dataclass
class Line:
    """A server and raw messages to it; every answer is read strictly."""

    landline: Landline
    address: str

    @property
    def url(self) -> str:
        return f"http://{self.address}/mcp"

    async def post(
        self, body: bytes | Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with httpx.AsyncClient(timeout=20) as client:
            return await client.post(self.url, content=content, headers={**ACCEPT, **(headers or {})})

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        capabilities: Mapping[str, Any] | None = None,
        progress: str | None = None,
    ) -> Answered:
        """Send one message of the newer wire and return its answer."""
        response = await self.post(
            message(method, params, capabilities=capabilities, progress=progress),
            headers={**routing(method, params), **(headers or {})},
        )
        return check_answer(
            response.headers["content-type"], response.content, message_id=1, progress_token=progress
        )

    async def call(self, tool: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> Answered:
        """Call a tool on the newer wire."""
        extra = more.pop("params", {})
        return await self.ask("tools/call", {"name": tool, "arguments": arguments or {}, **extra}, **more)

    async def run(self, run_id: str, user: str = "local") -> Any:
        tenant = "local" if user == "local" else "t"
        return await self.landline.runs.get(Caller(tenant=tenant, user=user), run_id)


def routing(method: str, params: Mapping[str, Any] | None) -> dict[str, str]:
    name = (params or {}).get("name")
    return {"mcp-protocol-version": MODERN, "mcp-method": method, **({"mcp-name": name} if name else {})}


def message(
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    capabilities: Mapping[str, Any] | None = None,
    progress: str | None = None,
) -> dict[str, Any]:
    """Return a message of the newer wire."""
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": dict(capabilities or {}),
        **({"progressToken": progress} if progress else {}),
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve `app` with its lifespan on a free port of the loopback and yield its address."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="warning", lifespan="on", timeout_graceful_shutdown=1,
        server_header=False, proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, not an event
            await asyncio.sleep(0.01)
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def line(folder: Path, **settings: Any) -> AsyncGenerator[Line]:
    """Serve the agents of this module; open, unless an authenticator is given."""
    given: dict[str, Any] = {"faces": ("native", "mcp"), **settings}
    if "authenticator" not in given:
        given["open"] = True
    instance = Landline(given.pop("agents", None) or agents(), data=folder, **given)
    async with served(instance.app) as address:
        try:
            yield Line(instance, address)
        finally:
            instance.drain.start()  # ends what still streams, as a server of ours does
