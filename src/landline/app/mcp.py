"""MCP servers for agents: how an owner names them, whether they can be used here, and their approval from the command line."""

from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from landline.app.settings import Settings
from landline.app.storing import open_store
from landline.model.agents import LoadError
from landline.ports.adapter import AgentSpec
from landline.ports.documents import Documents
from landline.ports.mcp import HeadersOf, McpServer

if TYPE_CHECKING:
    from landline.upstream.mcp import McpTools, Pinned

__all__ = ["approve_mcp", "bringing", "mcp", "mcp_stdio", "mcp_tools", "unusable"]

INSTALL = "an agent with MCP servers needs the client: pip install 'landline[mcp]'"

_OWN_PATHS = ("", "/", "/mcp", "/mcp/")
"""Paths that say nothing about which server it is."""

_LAUNCHERS = {"python", "python3", "node", "npx", "uvx", "bunx"}
"""Commands that say as little; their first argument that is no option says more."""


def mcp(  # noqa: PLR0913 - part of the public surface; every argument but the first is a keyword
    url: str,
    *,
    name: str | None = None,
    headers: Mapping[str, str] | HeadersOf | None = None,
    tools: Collection[str] | None = None,
    prefix: str | None = None,
    approval: bool | Collection[str] = False,
    idempotent: bool | Collection[str] = False,
    call_timeout_s: float = 60.0,
) -> McpServer:
    """Name an MCP server over streamable HTTP, for `landline.agent(..., mcp=[...])`.

    Its tools are approved as they are when Landline first sees them. One that changes or comes later is off until
    `landline mcp approve`.

    Args:
        url: Its address, such as `https://notes.example/mcp`.
        name: What it is called in approvals and logs; the address's host without this. Keep it: what is approved is
            kept under it.
        headers: Sent with every request; or a function of the caller that returns them (it may be async). Each set of
            headers has a connection of its own, so what one caller may see is not shown to another.
        tools: The names of the tools to take; all of them without this.
        prefix: Stands before their names and a `_`, for servers whose tools have the same names.
        approval: A human must agree to calls of all of its tools, or of those named.
        idempotent: All of its tools, or those named, may run again when it is not known whether they did.
        call_timeout_s: How long a call may take, in seconds.

    Raises:
        ValueError: The address is not one of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            "an MCP server's address begins with http:// or https://; for a command use landline.mcp_stdio"
        )
    host = parts.hostname + (f":{parts.port}" if parts.port else "")
    return McpServer(
        name=_named(name or host + ("" if parts.path in _OWN_PATHS else parts.path)),
        url=url,
        headers=headers if headers is None or callable(headers) else dict(headers),
        tools=_names(tools, "tools"),
        prefix=prefix,
        approval=approval if isinstance(approval, bool) else _names(approval, "approval") or False,
        idempotent=idempotent if isinstance(idempotent, bool) else _names(idempotent, "idempotent") or False,
        call_timeout_s=call_timeout_s,
    )


def mcp_stdio(  # noqa: PLR0913 - part of the public surface; every argument but the first few is a keyword
    command: str,
    *args: str,
    name: str | None = None,
    env: Mapping[str, str] | None = None,
    tools: Collection[str] | None = None,
    prefix: str | None = None,
    approval: bool | Collection[str] = False,
    idempotent: bool | Collection[str] = False,
    call_timeout_s: float = 60.0,
) -> McpServer:
    """Name an MCP server that is started from its command and spoken to on its standard streams; see `mcp`.

    One process serves all runs. It gets `env` and little else of the environment (PATH, HOME and the like).

    Raises:
        ValueError: The command is empty.
    """
    if not command:
        raise ValueError("an MCP server on stdio needs a command")
    return McpServer(
        name=_named(name or _program(command, args)),
        command=(command, *args),
        env=dict(env or {}),
        tools=_names(tools, "tools"),
        prefix=prefix,
        approval=approval if isinstance(approval, bool) else _names(approval, "approval") or False,
        idempotent=idempotent if isinstance(idempotent, bool) else _names(idempotent, "idempotent") or False,
        call_timeout_s=call_timeout_s,
    )


def _program(command: str, args: Sequence[str]) -> str:
    own = PurePath(command).name
    told = next((arg for arg in args if not arg.startswith("-")), None) if own in _LAUNCHERS else None
    return PurePath(told).name if told else own


def _named(name: str) -> str:
    if not name.isprintable() or len(name) > 128 or any(c.isspace() for c in name):
        raise ValueError(f"MCP server name {name!r}: use up to 128 characters without spaces")
    return name


def _names(names: Collection[str] | None, what: str) -> Collection[str] | None:
    if isinstance(names, str):
        raise ValueError(f"{what} is a list of names: [{names!r}]")  # noqa: TRY004 - one kind of error for an owner's mistakes
    return None if names is None else frozenset(names)


def unusable(spec: AgentSpec, others: Sequence[AgentSpec]) -> LoadError | None:
    """Return why the agent's servers cannot be used, beside those of the agents before it."""
    if not spec.mcp:
        return None
    if any(not isinstance(server, McpServer) for server in spec.mcp):  # pyright: ignore[reportUnnecessaryIsInstance] - the owner's code is not typed
        return LoadError(message="mcp= takes what landline.mcp and landline.mcp_stdio return")
    if find_spec("mcp") is None:
        return LoadError(message=INSTALL)
    known = [*spec.mcp, *(server for other in others for server in other.mcp)]
    for server in spec.mcp:
        if any(other.name == server.name and not _same(other, server) for other in known):
            # What is approved is kept by name: two servers under one name would approve each other's tools.
            return LoadError(
                message=f"two MCP servers are named {server.name!r}; give one another name: landline.mcp(..., name=...)"
            )
    return None


def _same(one: McpServer, other: McpServer) -> bool:
    return (one.url, tuple(one.command)) == (other.url, tuple(other.command))


def bringing(specs: Sequence[AgentSpec], documents: Documents) -> "McpTools | None":
    """Return what brings tools to runs, or None when no agent has MCP servers: then nothing of it is loaded."""
    if not any(spec.mcp for spec in specs):
        return None
    from landline.upstream.mcp import McpTools

    return McpTools(documents)


async def mcp_tools(settings: Settings) -> "list[Pinned]":
    """Return every tool of every MCP server that was ever seen, with its state."""
    from landline.upstream.mcp import Pins

    async with open_store(settings) as store:
        return await Pins(store).all()


async def approve_mcp(settings: Settings, server: str, tool: str | None) -> "list[Pinned]":
    """Approve what a server says now of its tools, or of one; a running server sees it with its next run.

    Raises:
        NotFound: No such server or tool was ever seen.
    """
    from landline.upstream.mcp import Pins

    async with open_store(settings) as store:
        return await Pins(store).approve(server, tool)
