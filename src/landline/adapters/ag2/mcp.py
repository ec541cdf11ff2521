"""The agents' MCP servers: one connection a process and server, shared by all runs and opened anew when it broke (ADP-6).

AG2 opens a connection for each call. Its connections belong to the task that opens them, so each one kept here has a
task of its own, in the scope of an AG2 stream that only holds them. Nothing of MCP is loaded for an agent without it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["McpConnections"]

T = TypeVar("T")

_CONNECTION_CLOSED = -32000
"""The MCP client's own code for a request whose answer will never come."""

OPEN_S = 15.0
"""How long a server may take to greet before it counts as unreachable."""


class McpConnections:
    """The connections of this process, by what leads to the server."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._first: WeakKeyDictionary[Any, frozenset[str]] = WeakKeyDictionary()

    def first(self, toolkit: Any, names: Iterable[str]) -> frozenset[str]:
        """Return what the toolkit's server had when it was first asked; `names` is what it has now."""
        return self._first.setdefault(toolkit, frozenset(names))

    async def call(self, config: Any, request: Callable[[Any], Awaitable[T]]) -> T:
        """Send a request over the connection that `config` leads to.

        Raises:
            Exception: What the client raises; the connection is opened anew for the next request.
        """
        key = repr(config)
        kept = self._kept.get(key)
        if kept is None or kept.loop is not asyncio.get_running_loop():
            kept = self._kept[key] = _Kept(config)
        return await kept.call(request)

    async def close(self) -> None:
        """Close what this event loop opened; a later run opens it again."""
        kept, self._kept = self._kept, {}
        for connection in kept.values():
            if connection.loop is asyncio.get_running_loop():
                await connection.close()


class _Kept:
    """A connection on one event loop."""

    def __init__(self, config: Any) -> None:
        from ag2 import MemoryStream

        self.loop = asyncio.get_running_loop()
        self._config, self._opening = config, asyncio.Lock()
        self._stream = MemoryStream()
        self._session: Any = None
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def call(self, request: Callable[[Any], Awaitable[T]]) -> T:
        session = await self._open()
        try:
            return await request(session)
        except Exception as error:  # a client whose connection breaks raises no class of its own
            if _broken(error):
                await self._drop(session)
            if not _refused(error):
                raise
        # The server did not know the connection, so it took no call over it: it was started anew meanwhile.
        session = await self._open()
        try:
            return await request(session)
        except Exception as error:  # as above
            if _broken(error):
                await self._drop(session)
            raise

    async def close(self) -> None:
        self._over.set()
        if self._task is not None:
            with suppress(Exception):  # how a connection breaks on its way out concerns nobody
                await self._task

    async def _open(self) -> Any:
        async with self._opening:
            if self._session is None:
                await self.close()
                self._over = asyncio.Event()
                ready: asyncio.Future[Any] = self.loop.create_future()
                # In an empty context: it lives longer than the run that happens to open it (ADP-9).
                self._task = Context().run(self._stream.spawn_background, self._hold(ready, self._over))
                self._session = await ready
            return self._session

    async def _drop(self, session: Any) -> None:
        async with self._opening:
            if self._session is session:
                self._session = None
                await self.close()

    async def _hold(self, ready: "asyncio.Future[Any]", over: asyncio.Event) -> None:
        from ag2.tools.toolkits.mcp_server.toolkit import (
            _mcp_session,  # pyright: ignore[reportPrivateUsage] - there is no public way to open one for longer
        )

        held: Any = None
        try:
            async with asyncio.timeout(OPEN_S) as greeting, _mcp_session(self._config) as session:
                greeting.reschedule(None)
                held = self._session = session
                if not ready.done():
                    ready.set_result(session)
                await over.wait()
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the run that waits for the opening, or to nobody
            if not ready.done():
                ready.set_exception(error)
        finally:
            if self._session is held:
                self._session = None
            if not ready.done():
                ready.cancel()


def _broken(error: BaseException) -> bool:
    """Tell whether the connection is gone, and not only this call: other users' calls are on it too."""
    if type(error).__module__.startswith("mcp"):
        return getattr(error, "code", None) == _CONNECTION_CLOSED or _refused(error)
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in {
        "anyio",
        "httpx2",
        "httpcore2",
    }


def _refused(error: BaseException) -> bool:
    """Tell whether the server said that it does not know the session: then it did not take the call."""
    text = str(error).lower()
    return type(error).__module__.startswith("mcp") and (
        "session terminated" in text or "session not found" in text
    )
