"""The way from the SDK's tasks to the one task that pulls the adapter: in order, and with a point where all is told.

The SDK runs its loop in tasks of its own. What a model says goes through here to whoever pulls; before a tool starts
or a response is recorded, everything said before it must be in the log. A queue of asyncio would do, at three times the
calls a token.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from landline.model.events import Event

__all__ = ["Channel"]

AHEAD = 64
"""Events a model may be ahead of the log."""


class Channel:
    """Events of one segment, for one reader."""

    def __init__(self) -> None:
        self._sent: deque[Event | None] = deque()
        """What the reader has not taken; None is the end."""
        self._passing = False
        self._closed = False
        self._reader: asyncio.Future[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []

    async def send(self, event: Event) -> None:
        """Hand over an event; waits while the reader is far behind."""
        self._put(event)
        if len(self._sent) > AHEAD:
            await self.told()

    async def told(self) -> None:
        """Wait until the reader has passed on everything that was sent."""
        if self._sent or self._passing:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def close(self) -> None:
        """Nothing follows; the reader gets what was sent before."""
        if not self._closed:
            self._closed = True
            self._put(None)

    def _put(self, event: Event | None) -> None:
        self._sent.append(event)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def events(self) -> AsyncIterator[Event]:
        """Yield what is sent until it is closed."""
        while True:
            while self._sent:
                event = self._sent.popleft()
                if event is None:
                    self._all_told()
                    return
                self._passing = True
                yield event
                self._passing = False
            self._all_told()
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader

    def _all_told(self) -> None:
        if self._sent:
            return  # said after the end: nobody will take it, and who waits for it has been stopped
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
