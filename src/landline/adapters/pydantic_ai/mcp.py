"""The agents' MCP servers: one connection a process, shared by all runs and opened anew when it broke (ADP-6).

Pydantic AI's toolset closes its connection when no run uses it, and never opens a broken one again while a run does.
So it is entered once more and kept so. The connection lives in a task of the MCP client's own: a cancelled run takes
back its request and leaves the connection as it is. Nothing of MCP is loaded for an agent without MCP servers.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from landline.adapters.pydantic_ai.mcp_failures import broken_by, unavailable
from landline.adapters.pydantic_ai.own_context import in_own_context
from landline.ports.adapter import Turn

if TYPE_CHECKING:
    from pydantic_ai.mcp import MCPToolset
    from pydantic_ai.toolsets import AbstractToolset

__all__ = ["McpServers", "RunServers", "names_of_run"]

LIST_S = 15.0
"""How long a server may take to list its tools before its connection counts as broken."""


class McpServers:
    """The connections of this process, by toolset."""

    def __init__(self) -> None:
        self._kept: dict[MCPToolset[Any], _Kept] = {}
        self._seen: WeakSet[MCPToolset[Any]] = WeakSet()

    async def ready(self, turn: Turn) -> "RunServers":
        """Return the servers of the turn's agent, each connected and with the tools it has now.

        Raises:
            AgentFailed: `mcp_unavailable`: a server cannot be reached or does not answer.
        """
        found = [toolset for toolset in _toolsets(turn.agent) if self._lasts(toolset, turn)]
        servers = {toolset: self._keep(toolset) for toolset in found}
        for server in servers.values():
            await server.check()
        if servers:
            turn.line.knows(*_names(turn.agent, servers))
        of_run = len(servers) < len(_toolsets(turn.agent)) or any(one.per_run for one in servers.values())
        return RunServers(servers, of_run=of_run)

    async def close(self) -> None:
        """Close what this event loop opened; a later run opens it again."""
        kept, self._kept = self._kept, {}
        for server in kept.values():
            if server.loop is asyncio.get_running_loop():
                await server.close()

    def _lasts(self, toolset: "MCPToolset[Any]", turn: Turn) -> bool:
        """Tell whether other runs will come with this toolset; one that a factory makes per run goes with its run."""
        lasts = turn.spec.make is None or toolset in self._seen
        self._seen.add(toolset)
        return lasts

    def _keep(self, toolset: "MCPToolset[Any]") -> "_Kept":
        kept = self._kept.get(toolset)
        if kept is None or kept.loop is not asyncio.get_running_loop():
            kept = self._kept[toolset] = _Kept(toolset)
        return kept


class RunServers:
    """What one run needs of its servers."""

    def __init__(
        self, servers: "dict[MCPToolset[Any], _Kept] | None" = None, *, of_run: bool = False
    ) -> None:
        self._servers = servers or {}
        self.of_run = of_run
        """Whether some are connected for this run only."""

    async def call(self, handler: Callable[[dict[str, Any]], Awaitable[Any]], args: dict[str, Any]) -> Any:
        """Call a tool, of whatever kind.

        A call is sent again only if the server said that it does not know the session: then it did not take it.

        Raises:
            AgentFailed: `mcp_unavailable`: the connection broke, and nobody knows whether the call was carried out.
        """
        for server in self._servers.values():
            await server.revive()
        try:
            return await handler(args)
        except Exception as error:  # a client whose connection breaks raises no class of its own
            broken = broken_by(error)
            if broken is None:
                raise
            server = self._servers.get(broken.toolset)
            if server is None or not broken.refused:
                raise unavailable(called=True) from error
        await server.check()
        try:
            return await handler(args)
        except Exception as error:  # as above
            if broken_by(error) is None:
                raise
            raise unavailable(called=True) from error


class _Kept:
    """A toolset that stays entered, on one event loop."""

    def __init__(self, toolset: "MCPToolset[Any]") -> None:
        self.loop = asyncio.get_running_loop()
        self._toolset, self._opening = toolset, asyncio.Lock()
        self._entered = self._usable = self.per_run = False
        self._openings = 0
        self._failure: Exception | None = None
        self.first: frozenset[str] | None = None
        """What the server had when it was first asked: a tool that comes later arrived at run time."""

    @property
    def _connected(self) -> bool:
        return self.per_run or (self._usable and self._toolset.client.is_connected())

    async def check(self) -> None:
        """Ask the server for its tools, over a new connection if the old one is broken."""
        openings = self._openings
        if self._connected:
            try:
                return await self._list()
            except Exception as error:  # any refusal of the server or failure of the client
                if broken_by(error) is None and not isinstance(error, TimeoutError):
                    raise unavailable() from error
        await self._open_once(openings)
        try:
            await self._list()
        except Exception as error:  # as above
            raise unavailable() from error
        return None

    async def revive(self) -> None:
        """Open a connection that is known to be gone."""
        if not self._connected:
            await self._open_once(self._openings)

    async def close(self) -> None:
        """Close the connection, and a server process that was started for it."""
        with suppress(Exception):  # it is on its way out: how it breaks on the way concerns nobody
            if self._entered and not self.per_run:
                await self._toolset.__aexit__(None, None, None)
        with suppress(Exception):  # as above
            await self._toolset.client.close()

    async def _list(self) -> None:
        if self.per_run:
            return
        # While the toolset stays entered it would keep its first list for good: there is no public way to drop it.
        self._toolset._cached_tools = None  # pyright: ignore[reportPrivateUsage] - no public way to drop it
        async with asyncio.timeout(LIST_S):
            listed = await self._toolset.list_tools()
        if self.first is None:
            self.first = frozenset(tool.name for tool in listed)

    async def _open_once(self, openings: int) -> None:
        """Open, unless somebody did since `openings` was read; then what came of that holds for this run too."""
        async with self._opening:
            if self._openings == openings:
                self._failure, self._usable = None, False
                try:
                    await in_own_context(self._open())
                    self._usable = True
                except Exception as error:  # noqa: BLE001 - whatever it is, each run that waits for this opening fails by it
                    self._failure = error
                self._openings += 1
            if self._failure is not None:
                raise unavailable() from self._failure

    async def _open(self) -> None:
        toolset, client = self._toolset, self._toolset.client
        if not self._entered:
            await toolset.__aenter__()
            self._entered = True
            # One that takes headers or credentials from the run's context is copied and connected by each run.
            self.per_run = not toolset.is_running
            if self.per_run or client.is_connected():
                return
        with suppress(Exception):  # closing a broken connection raises what broke it
            await client.close()
        await client.__aenter__()


def _names(agent: Any, servers: "dict[MCPToolset[Any], _Kept]") -> list[str]:
    """Return the names that the model sees of what the servers had when they were first asked."""

    def first(toolset: Any) -> dict[str, None]:
        server = cast("MCPToolset[Any]", toolset)
        kept = servers.get(server) if isinstance(toolset, MCPToolset) else None
        return {} if kept is None else dict.fromkeys(kept.first or ())

    from pydantic_ai.mcp import MCPToolset

    from landline.adapters.pydantic_ai.named import by_name

    return [name for toolset in agent.toolsets for name in by_name(toolset, first)]


async def names_of_run(toolset: "AbstractToolset[Any]") -> list[str]:
    """Return the names of what the servers have now that are connected for one run, from the run's own toolset."""
    if "pydantic_ai.mcp" not in sys.modules:
        return []
    from pydantic_ai.mcp import MCPToolset

    from landline.adapters.pydantic_ai.named import by_name

    found: list[MCPToolset[Any]] = []

    def note(leaf: Any) -> dict[str, None]:
        if isinstance(leaf, MCPToolset):
            found.append(cast("MCPToolset[Any]", leaf))
        return {}

    by_name(toolset, note)
    listed = {id(server): dict.fromkeys(tool.name for tool in await server.list_tools()) for server in found}
    return list(by_name(toolset, lambda leaf: listed.get(id(leaf), {})))


def _toolsets(agent: Any) -> "Sequence[MCPToolset[Any]]":
    if "pydantic_ai.mcp" not in sys.modules:
        return ()
    from pydantic_ai.mcp import MCPToolset

    found: list[MCPToolset[Any]] = []

    def visit(toolset: "AbstractToolset[Any]") -> None:
        if isinstance(toolset, MCPToolset):
            found.append(toolset)

    for toolset in agent.toolsets:
        toolset.apply(visit)
    return found
