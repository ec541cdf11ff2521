"""A pool under httpx and httpx2 for the plain case: HTTP/1.1 to the provider itself, in the clear or under TLS (docs/adr/0014).

It stands where the core's pool stood, and has it inside for each request that is not plain. Requests, responses and errors are the core's.
"""

import asyncio
import ssl
import sys
from typing import Any

from landline.upstream.streams.asking import asked
from landline.upstream.streams.connection import Connection
from landline.upstream.streams.dialing import dial
from landline.upstream.streams.framing import coding_of
from landline.upstream.streams.merging import Merging
from landline.upstream.streams.places import Places

__all__ = ["Pool", "is_plain"]

_CORES = ("httpcore", "httpcore2")


def is_plain(pool: Any) -> bool:
    """Tell whether a core's pool is of the plain case: no proxy, HTTP/1.1 only, no retries, its own way to the network.

    What cannot be told, because a core keeps it under another name, is not plain.
    """
    core = _core_of(pool)
    cls: Any = pool.__class__
    if core is None or cls is not core.AsyncConnectionPool:
        return False
    kept: dict[str, Any] = pool.__dict__
    sends = _sends(pool)
    return (
        kept.get("_http1") is True
        and kept.get("_http2") is False
        and kept.get("_retries") == 0
        and all(kept.get(name, pool) is None for name in ("_proxy", "_uds", "_local_address"))
        and "_socket_options" in kept
        and _module(kept.get("_network_backend")) == f"{core.__name__}._backends.auto"
        and all(
            isinstance(kept.get(name), int) for name in ("_max_connections", "_max_keepalive_connections")
        )
        and "_keepalive_expiry" in kept
        and isinstance(kept.get("_ssl_context"), ssl.SSLContext)
        # Some record or replay requests by putting a function of their own there.
        and sends.__module__ == f"{core.__name__}._async.connection_pool"
        and not hasattr(sends, "__wrapped__")
    )


class Pool:
    """Carries plain requests by itself, and all others by `inner`. Limits are those that `inner` was made with."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self._core: Any = _core_of(inner)
        self._sends = _sends(inner)
        self._context: ssl.SSLContext = inner._ssl_context
        self._options: list[Any] = list(inner._socket_options or ())
        self._retired = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = self._new_places()

    @property
    def connections(self) -> list[Any]:
        """All connections that are open, in use or not."""
        return [*self._places.open, *self.inner.connections]

    async def handle_async_request(self, request: Any) -> Any:
        """Return the core's Response to the core's Request; its stream is read and closed by the caller.

        Raises:
            TimeoutException, NetworkError, ProtocolError: of the core.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # Trio, which the core knows.
            return await self.inner.handle_async_request(request)
        ours = None if self._retired or _sends(self.inner) is not self._sends else asked(request)
        if ours is None:
            return await self.inner.handle_async_request(request)
        if loop is not self._loop:
            # What is open belongs to a loop that can no longer be reached.
            self._loop, self._places = loop, self._new_places()
        places, core, timeouts = self._places, self._core, ours.timeouts
        connection = await places.take(ours.origin, timeouts.get("pool"))
        if connection is None:
            connection = Connection(core, ours.origin, places.lost)
            try:
                await dial(core, connection, self._context, self._options, timeouts.get("connect"))
            except BaseException:  # whatever it is, a cancellation above all: the place is for others
                places.give_up()
                raise
            places.open.add(connection)
        try:
            connection.begin()
            await ours.send(connection, core)
            timeout = timeouts.get("read")
            await connection.head(timeout)
        except BaseException:  # whatever it is, a cancellation above all: this connection is half used
            places.leave(connection)
            raise
        response = core.Response(
            connection.status,
            content=Body(connection, places, timeout),
            extensions={
                "http_version": connection.version,
                "reason_phrase": connection.reason,
                "network_stream": connection,
            },
        )
        # As they came: what the constructor would check are strings.
        response.headers = connection.headers
        return response

    def retire(self) -> None:
        """Take no more requests: idle connections are closed, others when their response is."""
        self._retired = True
        self._places.retire()

    async def aclose(self) -> None:
        """Close all connections."""
        if self._loop is asyncio.get_running_loop():
            self._places.close(self._core.ReadError("The pool was closed"))
            # The loop lets go of sockets in its next pass, and there may be none after this.
            await asyncio.sleep(0)
        await self.inner.aclose()

    async def __aenter__(self) -> "Pool":
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.aclose()

    def _new_places(self) -> Places:
        inner = self.inner
        return Places(
            self._core,
            most=inner._max_connections,
            most_idle=inner._max_keepalive_connections,
            idle_s=inner._keepalive_expiry,
        )


class Body:
    """The body of one response. Closing it gives its connection back when the response is whole, and else closes that."""

    __slots__ = ("_begun", "_connection", "_events", "_places", "_timeout")

    def __init__(self, connection: Connection, places: Places, timeout: float | None) -> None:
        self._connection: Connection | None = connection
        self._places = places
        self._timeout = timeout
        self._begun = False
        """Whether something of it was read: until then its run is one of those that others let go first."""
        streams = connection.status == 200 and coding_of(connection.headers) is not None
        self._events = Merging() if streams and connection.version == b"HTTP/1.1" else None

    def __aiter__(self) -> "Body":
        """Return itself: a body is read once."""
        return self

    async def __anext__(self) -> bytes:
        """Return all that has arrived, streamed events merged."""
        connection, events = self._connection, self._events
        if connection is None:
            raise StopAsyncIteration
        try:
            if events is None:
                data = await connection.read(self._timeout, patient=False)
            else:
                data = await self._merged(connection, events)
        except BaseException:  # whatever it is, a cancellation above all: nobody reads on after it
            self._close()
            raise
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Let the connection go."""
        self._close()

    async def _merged(self, connection: Connection, events: Merging) -> bytes:
        while True:
            try:
                data = await connection.read(self._timeout, patient=self._begun)
            except Exception:  # whatever it is, it comes after what was held back, as it does without us
                if held := events.flush():
                    return held
                raise
            given = events.feed(data) if data else events.flush()
            if given or not data:
                self._begun = True
                return given

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._places.leave(connection)


def _core_of(pool: Any) -> Any:
    name = _module(pool).partition(".")[0]
    return sys.modules.get(name) if name in _CORES else None


def _sends(pool: Any) -> Any:
    cls: Any = pool.__class__
    return cls.handle_async_request


def _module(thing: Any) -> str:
    return thing.__class__.__module__
