"""One connection to an MCP server, opened and closed by a task of its own, with the tools that the server lists.

The client's cancel scopes must be entered and left in one task, and that task must outlive the run that happens to come
first. So each connection has an owner task, in an empty context: it would otherwise carry the first run's trace and
caller. Requests go out from the runs' own tasks, so that a cancelled run takes back its request and nothing else.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, cast

from landline.model.version import VERSION
from landline.ports.mcp import McpServer
from landline.upstream.mcp.definitions import Definition
from landline.upstream.mcp.faults import BadResult, Lost, NotSent, Refused, TimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp import Client
    from mcp.client._transport import Transport
    from mcp.shared.exceptions import MCPError
    from mcp_types import CallToolResult

__all__ = ["Connection"]

logger = logging.getLogger(__name__)

FRESH_S = 60.0
"""How long a list of tools holds from a server that does not say when it changes."""

LISTEN_S = 5.0
"""What a server gets to agree that it will say so."""

MOST_TOOLS, MOST_PAGES = 1_000, 50
LONGEST_DEFINITION = 64 * 1024
CLOSE_S = 8.0


class Connection:
    """Open from `start` until it is closed, breaks, or is `idle_s` without a call."""

    def __init__(self, server: McpServer, headers: Mapping[str, str], *, idle_s: float | None) -> None:
        self._server, self._headers, self._idle_s = server, headers, idle_s
        self._opened, self._closing = asyncio.Event(), asyncio.Event()
        self._client: Client | None = None
        self._owner: asyncio.Task[None] | None = None
        self._listening = False
        self._listener: asyncio.Task[None] | None = None
        self._relisting: asyncio.Task[bool] | None = None
        self._definitions: dict[str, Definition] = {}
        self._stale, self._listed_at = True, 0.0
        self._calls, self._used_at = 0, 0.0

    # -- its life

    def start(self) -> None:
        """Begin to open; `opened` waits for it."""
        self._owner = _spawn(self._own(), f"mcp {self._server.name}")

    @property
    def alive(self) -> bool:
        """Whether a new call may use it, once it is open."""
        return not self._closing.is_set()

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and nobody has seen it break."""
        return self._client is not None

    @property
    def busy(self) -> bool:
        """Whether calls are on their way."""
        return self._calls > 0

    async def opened(self) -> None:
        """Wait until it is open. Raises NotSent when it could not be opened."""
        await self._opened.wait()
        if self._client is None:
            raise NotSent

    def retire(self) -> None:
        """Take no more calls; those on their way go on, and then it closes."""
        self._closing.set()

    async def close(self) -> None:
        """Close it now, and end the process that was started for it."""
        self.retire()
        if self._owner is not None and not self._owner.done():
            self._calls = 0
            if self._relisting is not None:
                self._relisting.cancel()
            await asyncio.wait([self._owner], timeout=CLOSE_S)
            self._owner.cancel()
            await asyncio.wait([self._owner], timeout=1.0)

    async def _own(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                # Not a cancel scope of anyio's: those opened inside stay open beyond it.
                async with asyncio.timeout(self._server.connect_timeout_s):
                    client = await stack.enter_async_context(await self._new_client(stack))
                    await self._list(client)
                self._client = client
                self._opened.set()
                try:
                    await self._until_done()
                finally:
                    await self._stop_listening()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        except Exception as error:  # noqa: BLE001 - a server is anybody's program, and so is what its connection raises
            # No text of the exception: it may quote the address with its credentials.
            logger.warning("the connection to the MCP server %s at %s failed: %s",
                           self._server.name, self._server.address, _kinds(error))  # fmt: skip
        finally:
            self._closing.set()
            self._client = None
            self._opened.set()

    async def _until_done(self) -> None:
        loop = asyncio.get_running_loop()
        self._used_at = loop.time()
        while self.alive:
            left = None if self._idle_s is None else self._used_at + self._idle_s - loop.time()
            if left is not None and left <= 0 and not self.busy:
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(left if left is None or left > 0 else self._idle_s):
                    await self._closing.wait()
        self._closing.set()
        while self.busy:  # noqa: ASYNC110 - a rare end: nobody is told when the last call returns
            await asyncio.sleep(0.05)

    async def _new_client(self, stack: AsyncExitStack) -> "Client":
        from mcp import Client
        from mcp_types import Implementation, ToolListChangedNotification

        async def told(message: Any) -> None:
            if isinstance(message, ToolListChangedNotification):
                self._stale = True

        transport = await _http(self._server, self._headers, stack) if self._server.url else self._process()
        return Client(
            transport,
            cache=None,
            message_handler=told,
            client_info=Implementation(name="landline", version=VERSION),
        )

    def _process(self) -> "Transport":
        from mcp.client.stdio import StdioServerParameters, stdio_client

        command, *args = self._server.command
        parameters = StdioServerParameters(command=command, args=args, env=dict(self._server.env))
        # The stream of now: the library's default is the one of when it was imported.
        return _watched(stdio_client(parameters, errlog=sys.__stderr__ or sys.stderr), self.retire)

    # -- its tools

    async def definitions(self) -> Mapping[str, Definition]:
        """Return the tools the server lists, by name; asked again only when they may have changed.

        Raises:
            NotSent: It cannot be asked any more.
        """
        loop = asyncio.get_running_loop()
        if self._stale or (not self._listening and loop.time() - self._listed_at > FRESH_S):
            if self._relisting is None or self._relisting.done():
                self._relisting = _spawn(self._relist(), f"mcp tools of {self._server.name}")
            if not await asyncio.shield(self._relisting):
                raise NotSent
        return self._definitions

    async def _relist(self) -> bool:
        client = self._client
        try:
            if client is None:
                return False
            async with asyncio.timeout(self._server.connect_timeout_s):
                await self._list(client)
        except Exception:  # noqa: BLE001 - whatever it is, a new connection is the answer to it
            self.retire()
            return False
        return True

    async def _list(self, client: "Client") -> None:
        if not self._listening:
            await self._stop_listening()
            answered = asyncio.Event()
            self._listener = _spawn(self._listen(client, answered), f"mcp changes of {self._server.name}")
            await answered.wait()
        self._stale = False
        cursor: str | None = None
        found: dict[str, Definition] = {}
        for _ in range(MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            listed = [
                Definition(name=tool.name, description=tool.description, parameters=tool.input_schema)
                for tool in page.tools
            ]
            found |= {definition.name: definition for definition in listed if self._fits(definition)}
            cursor = page.next_cursor
            if cursor is None:
                break
        if cursor is not None or len(found) > MOST_TOOLS:
            raise BadResult
        self._definitions, self._listed_at = found, asyncio.get_running_loop().time()

    def _fits(self, definition: Definition) -> bool:
        fits = definition.size <= LONGEST_DEFINITION
        if not fits:
            logger.warning("a tool of the MCP server %s is left out: its definition is too long",
                           self._server.name)  # fmt: skip
        return fits

    async def _listen(self, client: "Client", answered: asyncio.Event) -> None:
        """Hear of changes for as long as the server tells of them; older ones tell without being asked."""
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
        from mcp.shared.exceptions import MCPError

        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(LISTEN_S):
                    changes = await stack.enter_async_context(client.listen(tools_list_changed=True))
                self._listening = bool(changes.honored.tools_list_changed)
                answered.set()
                async for _ in changes:
                    self._stale = True
        except (ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
            pass
        finally:
            if self._listening:
                self._listening, self._stale = False, True
            answered.set()

    async def _stop_listening(self) -> None:
        if self._listener is not None and not self._listener.done():
            self._listener.cancel()
            await asyncio.wait([self._listener], timeout=1.0)

    # -- its calls

    async def call(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> "CallToolResult":
        """Call a tool and return the server's result, which may be an error of the tool's own.

        Raises:
            Fault: There is no result; the kind of fault says what is known.
        """
        from mcp.shared.exceptions import MCPError

        client = self._client
        if client is None or not self.alive:
            raise NotSent
        self._calls += 1
        try:
            return await client.call_tool(name, dict(arguments), read_timeout_seconds=timeout_s)
        except MCPError as error:
            raise self._fault(error) from error
        except (RuntimeError, ValueError) as error:
            # What the client raises for a result that is not what the tool declares, or not of the protocol.
            raise BadResult from error
        except Exception as error:  # whatever else comes out of a connection: it may have been sent
            self.retire()
            raise Lost from error
        finally:
            self._calls -= 1
            self._used_at = asyncio.get_running_loop().time()

    def _fault(self, error: "MCPError") -> Exception:
        from mcp_types import CONNECTION_CLOSED, INVALID_PARAMS, PARSE_ERROR, REQUEST_TIMEOUT

        from landline.upstream.mcp.http import BODY_BYTES, LOST, NOT_SENT, TOO_LONG

        if error.code == NOT_SENT:
            self.retire()
            return NotSent()
        if error.code == REQUEST_TIMEOUT:
            return TimedOut()
        if error.code in (CONNECTION_CLOSED, PARSE_ERROR, LOST):
            if TOO_LONG in error.message:
                return BadResult(longer_than=BODY_BYTES)
            self.retire()
            return Lost()
        # Which argument was wrong is the one thing of it that a model can use.
        return Refused(error.message[:500] if error.code == INVALID_PARAMS else None)


def _spawn(work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    return asyncio.create_task(work, name=name, context=Context())


async def _http(server: McpServer, headers: Mapping[str, str], stack: AsyncExitStack) -> "Transport":
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    from landline.upstream.mcp.http import BODY_BYTES, Telling

    assert server.url is not None
    # Calls have their own limit; a stream of changes is silent for hours.
    timeout = httpx2.Timeout(server.connect_timeout_s, read=None)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
    transport = Telling(httpx2.AsyncHTTPTransport(limits=limits))
    client = httpx2.AsyncClient(headers=dict(headers), timeout=timeout, transport=transport)
    await stack.enter_async_context(client)
    return streamable_http_client(server.url, http_client=client, max_sse_event_size=BODY_BYTES)


@asynccontextmanager
async def _watched(
    transport: "AbstractAsyncContextManager[Any]", ended: Callable[[], None]
) -> "AsyncGenerator[Any]":
    """Enter the transport and call `ended` when the other side closes it, which the client itself tells nobody."""
    async with transport as (read, write):
        yield _Watched(read, ended), write


class _Watched:
    """A stream of messages that says when it ends."""

    def __init__(self, inner: Any, ended: Callable[[], None]) -> None:
        self._inner, self._ended = inner, ended

    async def receive(self) -> Any:
        return await self._inner.receive()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> "_Watched":
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._inner.__anext__()
        except StopAsyncIteration:
            self._ended()
            raise

    async def __aenter__(self) -> "_Watched":
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._inner.__aexit__(*error)


def _kinds(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return ", ".join(_kinds(inner) for inner in group.exceptions[:3])
    return type(error).__name__
