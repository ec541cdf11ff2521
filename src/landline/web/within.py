"""A limit in time that costs nothing when there is nothing to wait for."""

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any

__all__ = ["Overdue", "within"]


class Overdue(Exception):
    """The limit is over, and the work was cancelled."""


async def within(limit_s: float, work: Awaitable[object]) -> None:
    """Do `work` in the caller's task, in at most `limit_s` seconds.

    A piece that a socket takes at once is by far the most common; only work that has to wait gets a timer.

    Raises:
        Overdue: It took longer. Whatever `work` itself raises, a `TimeoutError` too, is raised as it is.
    """
    steps = work.__await__()
    try:
        waits_for = next(steps)
    except StopIteration:
        return
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            await _Begun(steps, waits_for)
    except TimeoutError:
        if limit.expired():
            raise Overdue from None
        raise


class _Begun:
    """Work that is under way, and what it waits for."""

    __slots__ = ("_steps", "_waits_for")

    def __init__(self, steps: Generator[Any, Any, object], waits_for: Any) -> None:
        self._steps, self._waits_for = steps, waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        try:
            while True:
                try:
                    came = yield self._waits_for
                except BaseException as error:  # noqa: BLE001 - whatever it is, a cancellation too, is the work's to deal with
                    self._waits_for = self._steps.throw(error)
                else:
                    self._waits_for = self._steps.send(came)
        except StopIteration:
            return
