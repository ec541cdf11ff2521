"""The agents' MCP servers: one connection a process, shared by all runs and opened anew when it broke (ADP-6).

The SDK leaves a server's connection to whoever made the server, and never opens a broken one again. Here a server that
nobody connected is connected for the first run that needs it and stays so until the adapter closes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from landline.adapters.openai_agents.own_context import in_own_context
from landline.model.errors import AgentFailed
from landline.ports.adapter import Turn

__all__ = ["McpServers", "RunServers"]

LIST_S = 15.0
"""How long a server may take to list its tools before its connection counts as broken."""

PROBE_S = 2.0
"""The same, right after a call failed."""

_DOWN = "A tool server of the agent cannot be reached or does not answer."
_CALLED = "The connection to the tool's server broke; whether the call was carried out is not known."


def _unavailable(*, called: bool = False) -> AgentFailed:
    return AgentFailed(_CALLED if called else _DOWN, code="mcp_unavailable")


class McpServers:
    """The connections of this process, by server object."""

    def __init__(self) -> None:
        self._kept: dict[Any, _Kept] = {}
        self._seen: WeakSet[Any] = WeakSet()

    def of_run(self, turn: Turn) -> "RunServers":
        """Return what one run needs of its servers."""
        return RunServers(self, per_run=turn.spec.make is not None)

    async def close(self) -> None:
        """Close what this event loop opened; a later run opens it again."""
        kept, self._kept = self._kept, {}
        for server in kept.values():
            if server.loop is asyncio.get_running_loop():
                await server.close()

    def lasts(self, server: Any, *, per_run: bool) -> bool:
        """Tell whether other runs will come with this server; one that a factory makes per run goes with its run."""
        lasts = not per_run or server in self._seen
        self._seen.add(server)
        return lasts

    def keep(self, server: Any) -> "_Kept":
        """Return the connection of `server` on this event loop."""
        kept = self._kept.get(server)
        if kept is None or kept.loop is not asyncio.get_running_loop():
            kept = self._kept[server] = _Kept(server)
        return kept


class RunServers:
    """The servers of one run."""

    def __init__(self, servers: McpServers, *, per_run: bool) -> None:
        self._servers, self._per_run = servers, per_run
        self._by_name: dict[str, _Kept] = {}
        self._known: dict[Any, _Kept] = {}
        self._own: list[_Kept] = []

    async def ready(self, servers: Sequence[Any]) -> None:
        """Connect `servers`, the first time the run needs them.

        Raises:
            AgentFailed: `mcp_unavailable`: one cannot be reached or does not answer.
        """
        for server in servers:
            if server in self._known:
                continue
            if self._servers.lasts(server, per_run=self._per_run):
                kept = self._servers.keep(server)
            else:
                kept = _Kept(server)
                self._own.append(kept)
            self._known[server] = self._by_name[server.name] = kept
            await kept.check()

    def known(self, tool: Any, servers: Sequence[Any]) -> bool:
        """Tell whether a tool of one of `servers` was there when its server was first asked."""
        _, name, at = getattr(tool, "_mcp_tool_binding", None) or (None, None, None)
        return at is not None and name in self._known[servers[at]].first

    async def call(self, tool: Any, run: Callable[[], Awaitable[Any]]) -> Any:
        """Call a tool, of whatever kind.

        Raises:
            AgentFailed: `mcp_unavailable`: the connection broke, and nobody knows whether the call was carried out.
        """
        binding = getattr(tool, "_mcp_tool_binding", None)
        kept = self._by_name.get(binding[0]) if binding else None
        if kept is None:
            return await run()
        await kept.revive()
        try:
            return await run()
        except Exception as error:  # any failure of the call
            # What a broken connection raises differs by transport and by the client's version: ask the server.
            if await kept.answers():
                raise
            raise _unavailable(called=True) from error

    async def close(self) -> None:
        """Close the connections that go with the run."""
        for kept in self._own:
            await kept.close()


class _Kept:
    """The connection of one server, on one event loop."""

    def __init__(self, server: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self._server, self._opening = server, asyncio.Lock()
        self._opened = False
        self._openings = 0
        self._failure: Exception | None = None
        self._first: frozenset[str] | None = None

    @property
    def _connected(self) -> bool:
        return getattr(self._server, "session", self._opened or None) is not None

    async def check(self) -> None:
        """Ask the server for its tools, over a new connection if the old one is broken."""
        openings = self._openings
        if not (self._connected and await self.answers(LIST_S)):
            await self._open_once(openings)
            if not await self.answers(LIST_S):
                raise _unavailable()

    @property
    def first(self) -> frozenset[str]:
        """What the server had when it was first asked: a tool that comes later arrived at run time."""
        return self._first or frozenset()

    async def revive(self) -> None:
        """Open a connection that is known to be gone."""
        if not self._connected:
            await self._open_once(self._openings)

    async def answers(self, within_s: float = PROBE_S) -> bool:
        """Tell whether the server answers on its connection."""
        # The server object may answer out of its own memory; its client cannot.
        source = getattr(self._server, "session", None) or self._server
        try:
            async with asyncio.timeout(within_s):
                await self._note(source, await source.list_tools())
        except Exception:  # noqa: BLE001 - whatever it raises, this connection serves nobody
            return False
        return True

    async def _note(self, source: Any, page: Any) -> None:
        if self._first is not None:
            return
        names = [tool.name for tool in getattr(page, "tools", page)]
        while cursor := getattr(page, "next_cursor" if hasattr(page, "next_cursor") else "nextCursor", None):
            from mcp.types import PaginatedRequestParams  # loaded already: only a server has pages

            page = await source.list_tools(params=PaginatedRequestParams(cursor=cursor))
            names += [tool.name for tool in page.tools]
        self._first = frozenset(names)

    async def close(self) -> None:
        """Close the connection, and a server process that was started for it, if it was opened here."""
        if self._opened:
            self._opened = False
            with suppress(Exception):  # it is on its way out: how it breaks on the way concerns nobody
                await self._server.cleanup()

    async def _open_once(self, openings: int) -> None:
        """Open, unless somebody did since `openings` was read; then what came of that holds for this run too."""
        async with self._opening:
            if self._openings == openings:
                self._failure = None
                try:
                    await in_own_context(self._open())
                except Exception as error:  # noqa: BLE001 - whatever it is, each run that waits for this opening fails by it
                    self._failure = error
                self._openings += 1
            if self._failure is not None:
                raise _unavailable() from self._failure

    async def _open(self) -> None:
        if self._connected:
            with suppress(Exception):  # closing a broken connection raises what broke it
                await self._server.cleanup()
        await self._server.connect()
        self._opened = True
