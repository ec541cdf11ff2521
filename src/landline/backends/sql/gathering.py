"""What a loop has for a store's threads is handed over together, once the loop has nothing else to do.

A thread that is given one operation while the loop is busy fights with it for the interpreter, and its answer sends one
turn alone through code that all the others need a moment later. Gathered, the operations of a dozen turns share a commit,
and the turns go on side by side: the same code for each, while the processor still has it in its caches.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["MOST_S", "Gathering"]

T = TypeVar("T")

CALM_S = 0.0001
"""A pass of the loop that took less had nothing to do but to wait. A step of a turn takes a multiple."""

MOST_S = 0.02
"""How long an operation waits in a loop that is never calm; a pass that is under way is not interrupted."""


class Gathering(Generic[T]):
    """Calls `hand` with what was added in one loop: in the next pass if the loop is calm, within `MOST_S` if it is not.

    Any number of loops may add; `hand` is called in the loop of what it is given.
    """

    def __init__(self, hand: Callable[[list[T]], None]) -> None:
        self._hand = hand
        self._batches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Batch[T]] = WeakKeyDictionary()

    def add(self, loop: asyncio.AbstractEventLoop, item: T) -> None:
        """Have `item` handed over soon. `loop` is the running one."""
        batch = self._batches.get(loop) or self._batches.setdefault(loop, _Batch())
        batch.items.append(item)
        if len(batch.items) == 1:
            batch.since = batch.passed_at = perf_counter()
            loop.call_soon(self._pass, loop, batch)

    def _pass(self, loop: asyncio.AbstractEventLoop, batch: "_Batch[T]") -> None:
        now = perf_counter()
        if now - batch.passed_at >= CALM_S and now - batch.since < MOST_S:
            batch.passed_at = now
            loop.call_soon(self._pass, loop, batch)
        else:
            self._hand(batch.taken())


class _Batch(Generic[T]):
    """What has gathered in one loop, since when, and when the loop's last pass was."""

    __slots__ = ("items", "passed_at", "since")

    def __init__(self) -> None:
        self.items: list[T] = []
        self.since = self.passed_at = 0.0

    def taken(self) -> list[T]:
        items, self.items = self.items, []
        return items
