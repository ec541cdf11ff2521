"""Connections of workflows that wait for an answer: FastAgency keeps a workflow only as long as its socket is open.

This is the one thing of a remote agent that a process of ours holds in memory. When it is lost the run does not go on by
itself: a human decides whether the workflow begins again.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import Any

__all__ = ["Parked"]

MOST = 256
"""Waiting workflows of this process; the oldest is let go when there are more."""
PARK_S = 24 * 3600.0


class Parked:
    """Sockets by run."""

    def __init__(self) -> None:
        self._sockets: OrderedDict[str, tuple[Any, asyncio.TimerHandle]] = OrderedDict()

    def put(self, run_id: str, socket: Any) -> None:
        """Keep a socket while its run waits."""
        timer = asyncio.get_running_loop().call_later(PARK_S, self._drop, run_id)
        self._sockets[run_id] = (socket, timer)
        while len(self._sockets) > MOST:
            self._drop(next(iter(self._sockets)))

    def take(self, run_id: str) -> Any | None:
        """Return the socket of a run, which is not kept any more; None when it is lost."""
        found = self._sockets.pop(run_id, None)
        if found is None:
            return None
        socket, timer = found
        timer.cancel()
        return socket

    def _drop(self, run_id: str) -> None:
        socket = self.take(run_id)
        if socket is not None:
            socket.transport.abort()

    async def close(self) -> None:
        """Close all."""
        for run_id in list(self._sockets):
            socket: Any = self.take(run_id)
            with suppress(Exception):  # a socket that does not close is gone all the same
                async with asyncio.timeout(1.0):
                    await socket.close()
