"""The way from the SDK's tasks to the one task that pulls the adapter: in order, and with a point where all is told.

The SDK runs its loop in tasks of its own. What a model says goes through here to whoever pulls; before a tool starts
or a response is recorded, everything said before it must be in the log.
"""

import asyncio
from collections.abc import AsyncIterator

from landline.model.events import Event

__all__ = ["Channel"]

AHEAD = 64
"""Events a model may be ahead of the log."""


class Channel:
    """Events of one segment, for one reader."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._closed = False

    async def send(self, event: Event) -> None:
        """Hand over an event; waits while the reader is far behind."""
        self._queue.put_nowait(event)
        if self._queue.qsize() > AHEAD:
            await self._queue.join()

    async def told(self) -> None:
        """Wait until the reader has passed on everything that was sent."""
        await self._queue.join()

    def close(self) -> None:
        """Nothing follows; the reader gets what was sent before."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)

    async def events(self) -> AsyncIterator[Event]:
        """Yield what is sent until it is closed."""
        while (event := await self._queue.get()) is not None:
            yield event
            self._queue.task_done()
        self._queue.task_done()
