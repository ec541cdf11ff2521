"""What the engine has of the event loop: the real clock, its tasks, and the bells that wake readers.

Time comes from here and tasks are made here, nowhere else in the engine (rule 10). The virtual clock for tests is in
`landline.testing`.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from landline.ports.clock import Timer

__all__ = ["Bells", "SystemClock", "Tasks", "over"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class SystemClock:
    """Wall time from the system, steady time from the event loop's own source."""

    def now(self) -> datetime:
        """Return the wall time, in UTC."""
        return datetime.now(UTC)

    def steady(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call `call` on the running loop after `delay_s` seconds."""
        return asyncio.get_running_loop().call_later(delay_s, call)

    async def sleep(self, delay_s: float) -> None:
        """Wait `delay_s` seconds."""
        await asyncio.sleep(delay_s)


class Tasks:
    """The background tasks of one engine: kept alive, named, counted, and never silent when they break."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    async def surely(self, work: Coroutine[Any, Any, T], *, name: str) -> T:
        """Return what `work` returns; it goes on to its end even when the caller is cancelled meanwhile."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._told)
        return await asyncio.shield(task)

    def _told(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever awaits it; if nobody does any more, nobody wants to know

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run `work` beside the caller; its task is kept until it ends, and an error in it is logged."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("task %s broke", task.get_name(), exc_info=error)

    async def stop(self, *, within_s: float) -> None:
        """Cancel what runs and wait for its end, at most `within_s` seconds; what is left is abandoned."""
        left = [task for task in self._running if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=within_s)


def over(run_id: str) -> str:
    """Return the key of the bell that rings only when a run's log has come to an end, or to a halt."""
    return f"over:{run_id}"


class Bells:
    """One bell per id that somebody waits for: a reader holds a cursor and waits; it never has a queue of its own."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)

    def listen(self, key: str) -> asyncio.Future[None]:
        """Return a future that the next `ring` of `key` resolves.

        Take it before looking at the log, so that no write between the look and the wait is missed.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting[key].append(future)
        return future

    def forget(self, key: str, future: asyncio.Future[None]) -> None:
        """Drop a future that nobody will await."""
        waiting = self._waiting.get(key)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._waiting[key]

    async def rung(self, key: str) -> None:
        """Return at the next `ring` of `key`."""
        future = self.listen(key)
        try:
            await future
        finally:
            self.forget(key, future)

    def ring(self, key: str) -> None:
        """Wake all who listen to `key`."""
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(None)
