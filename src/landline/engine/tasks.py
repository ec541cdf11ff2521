"""The one place where background tasks are made: kept alive, named, counted, and never silent when they break."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

__all__ = ["Tasks"]

logger = logging.getLogger(__name__)


class Tasks:
    """The tasks of one engine."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

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
