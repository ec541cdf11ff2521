"""Time as the engine sees it: a wall clock for records, a steady one for waiting (REL-9)."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

__all__ = ["Clock", "Timer"]


class Timer(Protocol):
    """A pending call."""

    def cancel(self) -> None:
        """Drop the call; harmless when it already ran."""
        ...


class Clock(Protocol):
    """Wall time is for people, steady time for order and deadlines."""

    def now(self) -> datetime:
        """Return the wall time, in UTC."""
        ...

    def steady(self) -> float:
        """Return seconds that only rise, from an unnamed start."""
        ...

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call `call` on the loop after `delay_s` seconds of steady time."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait `delay_s` seconds of steady time."""
        ...
