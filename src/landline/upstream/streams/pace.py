"""Letting others go first in a loop that does not keep up."""

import asyncio
from collections import deque
from math import ceil
from time import perf_counter
from weakref import WeakKeyDictionary

__all__ = ["BUSY_S", "give_way"]

BUSY_S = 0.001
"""A pass of the loop that took longer is one in which others waited. One that feeds 200 streams took 200 ms."""
_PASS_S = 0.005
"""What streams may make of one pass. A run that starts needs some dozens of passes, one that commits a few."""
_MOST_PASSES = 16
"""A stream's turn comes within so many passes, however long they take: tokens have to go on in a loop that never keeps up."""


class _Turnstile:
    """Lets the readers of one loop through in the order they came, so many in a pass as keep it short.

    It does not hold the loop, which could otherwise never be forgotten.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._at_once = 8
        self._passes = 0
        self._passed_at = 0.0

    def turn(self) -> asyncio.Future[None]:
        """Return what is done when it is the caller's turn."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        if not self._waiting:
            self._passed_at = perf_counter()
            loop.call_soon(self._pass)
        self._waiting.append((self._passes, turn))
        return turn

    def _pass(self) -> None:
        now = perf_counter()
        if now - self._passed_at > _PASS_S:
            self._at_once = max(1, self._at_once // 2)
        else:
            self._at_once += 1
        self._passes += 1
        self._passed_at = now
        left = max(1, self._waiting[0][0] + _MOST_PASSES - self._passes)
        for _ in range(min(len(self._waiting), max(self._at_once, ceil(len(self._waiting) / left)))):
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._pass)
        else:
            # How many are too many is not known of a pass that has room for all.
            self._at_once = min(self._at_once, _MOST_PASSES)


_turnstiles: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turnstile] = WeakKeyDictionary()


async def give_way() -> None:
    """Wait for this stream's turn.

    A stream's reader calls this before it takes what has arrived. In a loop that keeps up it costs one empty pass; in one that
    does not, tokens gather meanwhile and are decoded as one, and what starts or commits is not behind all streams in each pass.
    """
    loop = asyncio.get_running_loop()
    if (turnstile := _turnstiles.get(loop)) is None:
        turnstile = _turnstiles[loop] = _Turnstile()
    await turnstile.turn()
