"""The real clock; the virtual one for tests is in `landline.testing`."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from landline.ports.clock import Timer

__all__ = ["SystemClock"]


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
