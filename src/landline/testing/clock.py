"""A clock that a test moves: no test of time waits for time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

__all__ = ["VirtualClock"]


@dataclass(slots=True)
class _Pending:
    due: float
    call: Callable[[], None]
    cancelled: bool = field(default=False)

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    """Stands still until `advance` is called; then every timer that is due fires in order."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._steady = 0.0
        self._timers: list[_Pending] = []

    def now(self) -> datetime:
        """Return the wall time: the start plus what was advanced."""
        return self._start + timedelta(seconds=self._steady)

    def steady(self) -> float:
        """Return what was advanced so far, in seconds."""
        return self._steady

    def call_later(self, delay_s: float, call: Callable[[], None]) -> _Pending:
        """Have `call` made once the clock was advanced by `delay_s`."""
        pending = _Pending(self._steady + delay_s, call)
        self._timers.append(pending)
        return pending

    async def sleep(self, delay_s: float) -> None:
        """Wait until the clock was advanced by `delay_s`."""
        woken = asyncio.get_running_loop().create_future()
        self.call_later(delay_s, lambda: None if woken.done() else woken.set_result(None))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move time on, firing timers in order and letting the loop react to each."""
        until = self._steady + seconds
        while True:
            due = [timer for timer in self._timers if not timer.cancelled and timer.due <= until]
            if not due:
                break
            first = min(due, key=lambda timer: timer.due)
            self._timers.remove(first)
            self._steady = max(self._steady, first.due)
            first.call()
            for _ in range(20):
                await asyncio.sleep(0)
        self._steady = until
        self._timers = [timer for timer in self._timers if not timer.cancelled]
        for _ in range(20):
            await asyncio.sleep(0)
