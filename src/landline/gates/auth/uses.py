"""When keys were last used: noted in memory, written in one go, off the line of any request (TRU-1)."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from landline.model.callers import SYSTEM
from landline.model.errors import LandlineError
from landline.model.times import iso
from landline.ports.clock import Clock
from landline.ports.store import Store

__all__ = ["EVERY_S", "LOOK_S", "Uses"]

EVERY_S: Final = 60.0
"""The least time between two writes for one key."""
LOOK_S: Final = 10.0
"""How long a use waits to be written at most, when its key was not written in the last `EVERY_S`."""

_logger = logging.getLogger("landline.gates.auth")


class Uses:
    """The uses of one process. What it knows is bounded by the keys that were used in the last `EVERY_S`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._used: dict[str, float] = {}
        self._written: dict[str, float] = {}

    def note(self, key_id: str | None) -> None:
        """Note a use, now."""
        if key_id is not None:
            self._used[key_id] = self._clock.steady()

    async def write(self, *, all_: bool = False) -> None:
        """Write the uses that are due, or all."""
        now = self._clock.steady()
        self._written = {id_: at for id_, at in self._written.items() if now - at < EVERY_S}
        due = {id_: at for id_, at in self._used.items() if all_ or id_ not in self._written}
        if not due:
            return
        wall = self._clock.now().timestamp() - now
        try:
            await self._store.used_keys(SYSTEM, {id_: _iso(wall + at) for id_, at in due.items()})
        except LandlineError as error:
            _logger.warning("the last use of %d keys was not written: %s", len(due), error.code)
            return  # they stay noted, and the next look tries again
        for id_, at in due.items():
            self._written[id_] = now
            if self._used[id_] == at:
                del self._used[id_]

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Write while the block runs, and what is left at its end."""
        task = asyncio.create_task(self._keep(), name="landline-key-uses")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self.write(all_=True)

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(LOOK_S)
            await self.write()


def _iso(seconds: float) -> str:
    from datetime import UTC, datetime

    return iso(datetime.fromtimestamp(seconds, UTC))
