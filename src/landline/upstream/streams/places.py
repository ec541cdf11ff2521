"""The places of a pool: how many connections may be open, which of them are idle, and who waits for one."""

import asyncio
from collections import OrderedDict
from typing import Any

from landline.upstream.streams.connection import Connection

__all__ = ["Places"]

_Origin = tuple[bytes, bytes, int]


class Places:
    """What one event loop's connections share. Nothing here walks over all of them for a request."""

    def __init__(self, core: Any, *, most: int, most_idle: int, idle_s: float | None) -> None:
        self.open: set[Connection] = set()
        self._core = core
        self._most, self._most_idle, self._idle_s = most, most_idle, idle_s
        self._taken = 0
        """Places that are in use: by a connection, idle ones too, or by somebody who is opening one."""
        self._idle: dict[_Origin, OrderedDict[Connection, None]] = {}
        """By origin, the last one that came back at the end: it is the likeliest to be open still."""
        self._since: OrderedDict[Connection, None] = OrderedDict()
        """All idle ones, the longest idle first."""
        self._waiting: OrderedDict[asyncio.Future[Connection | None], _Origin] = OrderedDict()
        self._retired = False

    async def take(self, origin: _Origin, within: float | None) -> Connection | None:
        """Return an idle connection, or None when the caller has the place for a new one: then it opens one or calls `give_up`.

        Raises:
            PoolTimeout: of the core; no place became free in `within` seconds.
        """
        self._drop_expired()
        idle = self._idle.get(origin)
        if idle:
            return self._if_quiet(next(reversed(idle)))
        if self._taken < self._most:
            self._taken += 1
            return None
        if self._since:
            self._close_idle(next(iter(self._since)))
            return None
        return self._if_quiet(await self._wait(origin, within))

    def give_up(self) -> None:
        """Free a place, for the first who waits if anybody does."""
        if not self._hand_over(None):
            self._taken -= 1

    def leave(self, connection: Connection) -> None:
        """Take a connection back: for the next one, or to be closed when its response is not whole or it may not be kept."""
        if not connection.rest() or self._retired:
            connection.close()
            self.open.discard(connection)
            self.give_up()
            return
        while self._waiting:
            waiter, origin = self._waiting.popitem(last=False)
            if waiter.done():
                continue
            if origin == connection.origin:
                waiter.set_result(connection)
            else:
                connection.close()
                self.open.discard(connection)
                waiter.set_result(None)
            return
        if self._idle_s is not None:
            connection.expires_at = asyncio.get_running_loop().time() + self._idle_s
        self._idle.setdefault(connection.origin, OrderedDict())[connection] = None
        self._since[connection] = None
        if len(self._since) > self._most_idle:
            self._close_idle(next(iter(self._since)))
            self.give_up()

    def lost(self, connection: Connection) -> None:
        """Forget an idle connection that has ended; one in use is given back by who uses it."""
        if connection in self._since:
            self._close_idle(connection)
            self.give_up()

    def retire(self) -> None:
        """Keep nothing idle from now on."""
        self._retired = True
        for connection in list(self._since):
            self._close_idle(connection)
            self.give_up()

    def close(self, error: Exception) -> None:
        """Close all connections; who reads from one gets `error`."""
        for connection in list(self._since):
            self._close_idle(connection)
            self.give_up()
        for connection in list(self.open):
            connection.close(error)

    def _close_idle(self, connection: Connection) -> None:
        """Close an idle connection; its place remains taken."""
        self._forget_idle(connection)
        self.open.discard(connection)
        connection.close()

    def _forget_idle(self, connection: Connection) -> None:
        del self._since[connection]
        of_origin = self._idle[connection.origin]
        del of_origin[connection]
        if not of_origin:
            del self._idle[connection.origin]

    def _drop_expired(self) -> None:
        if self._idle_s is None or not self._since:
            return
        now = asyncio.get_running_loop().time()
        while self._since and (oldest := next(iter(self._since))).expires_at < now:
            self._close_idle(oldest)
            self.give_up()

    def _if_quiet(self, connection: Connection | None) -> Connection | None:
        """Return a connection for its next request, or None, which leaves its place, when it has ended or said something unasked."""
        if connection is None:
            return None
        if connection in self._since:
            self._forget_idle(connection)
        if connection.quiet:
            return connection
        connection.close()
        self.open.discard(connection)
        return None

    async def _wait(self, origin: _Origin, within: float | None) -> Connection | None:
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = origin
        try:
            async with asyncio.timeout(within):
                return await waiter
        except BaseException as error:  # a cancellation above all: what was handed over must not be lost
            self._waiting.pop(waiter, None)
            if waiter.done() and not waiter.cancelled():
                # It was given a place in the very moment in which it stopped waiting.
                given = waiter.result()
                if given is None:
                    self.give_up()
                else:
                    self.leave(given)
            if isinstance(error, TimeoutError):
                raise self._core.PoolTimeout from error
            raise

    def _hand_over(self, connection: Connection | None) -> bool:
        while self._waiting:
            waiter, _ = self._waiting.popitem(last=False)
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False
