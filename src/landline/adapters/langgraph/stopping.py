"""Stopping a request to a model whose client lost the cancellation (RUN-5).

Up to Python 3.11 `asyncio.wait_for` swallows a cancellation that comes at the moment its answer comes; clients that wait for
each chunk with it then go on to wait for the next one, and the connection stays open.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["stopped_for_sure"]

AGAIN_S = 0.25
"""How long a client may take to hang up before it is told again."""


@contextmanager
def stopped_for_sure(loop: asyncio.AbstractEventLoop) -> Generator[None]:
    """Cancel the current task again while it is within and a cancellation of it is without effect."""
    task = asyncio.current_task()
    assert task is not None
    timer: asyncio.TimerHandle | None = None

    def look() -> None:
        nonlocal timer
        if task.cancelling():
            task.cancel()
        timer = loop.call_later(AGAIN_S, look)

    look_first = loop.call_later(AGAIN_S, look)
    try:
        yield
    finally:
        look_first.cancel()
        if timer is not None:
            timer.cancel()
