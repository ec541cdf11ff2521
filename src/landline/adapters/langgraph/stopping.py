"""Stopping a request to a model whose client lost the cancellation (RUN-5).

Up to Python 3.11 `asyncio.wait_for` swallows a cancellation that comes at the moment its answer comes; clients that wait for
each chunk with it then go on to wait for the next one, and the connection stays open.

Not everything that is being cancelled was asked to stop: anyio cancels a task to get it out of a scope of its own, as when a
connection is made, and takes that back a few turns of the loop later. On a busy loop such turns are long.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["stopped_for_sure"]

AGAIN_S = 0.25
"""How long a client may take to hang up before it is told again."""

TURNS = 50
"""Through how many turns of the loop a cancellation stands before it counts as lost; anyio takes its own back within ten."""


@contextmanager
def stopped_for_sure(loop: asyncio.AbstractEventLoop) -> Generator[None]:
    """Cancel the current task again while it is within and a cancellation of it is without effect."""
    task = asyncio.current_task()
    assert task is not None
    look = _Look(task, loop)
    try:
        yield
    finally:
        look.handle.cancel()


class _Look:
    """Looks at one task again and again. Not a function that knows itself: that stays until the collector looks."""

    def __init__(self, task: asyncio.Task[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._task, self._loop = task, loop
        self.handle: asyncio.Handle = loop.call_later(AGAIN_S, self._look)

    def _look(self, turns: int = TURNS) -> None:
        if turns and self._task.cancelling():
            self.handle = self._loop.call_soon(self._look, turns - 1)
            return
        if not turns:
            self._task.cancel()
        self.handle = self._loop.call_later(AGAIN_S, self._look)
