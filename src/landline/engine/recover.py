"""Recovery and time: runs whose owner is gone are taken up at start, open questions expire when their time is over."""

import logging

from landline.engine.drive import Driver
from landline.engine.loop import Tasks
from landline.engine.runs import EngineRuns
from landline.model.callers import SYSTEM
from landline.model.errors import StorageFailed
from landline.model.times import iso, parse_iso
from landline.ports.clock import Clock, Timer
from landline.ports.store import Store

__all__ = ["Recovery"]

logger = logging.getLogger(__name__)

RETRY_S = 1.0
"""After a disk that refused, open questions are looked at again."""

MARGIN_S = 0.01
"""Rows keep milliseconds: a timer fires this much after the moment it is set for."""


class Recovery:
    """What happens without a request: at start, and when time has passed."""

    def __init__(
        self, *, store: Store, driver: Driver, runs: EngineRuns, clock: Clock, tasks: Tasks, owner: str
    ) -> None:
        self._store, self._driver, self._runs = store, driver, runs
        self._clock, self._tasks, self._owner = clock, tasks, owner
        self._timer: Timer | None = None
        self._looking = self._again = False

    async def start(self) -> None:
        """Take up every run that nobody drives, and set the clock for open questions."""
        claims = await self._store.recover(SYSTEM, owner=self._owner, at=iso(self._clock.now()))
        for claim in claims:
            self._driver.launch(claim)
        if claims:
            logger.info("took up %d runs that had no owner", len(claims))
        self._driver.on_waiting = self.wake
        await self._expire()

    async def release(self) -> None:
        """Say that this process lets go of its runs: it stops in order, so nothing is lost (REL-3)."""
        await self._store.release(SYSTEM, owner=self._owner)

    def wake(self) -> None:
        """Look again at when the next question expires."""
        self._again = True
        if not self._looking:
            self._looking = True
            self._tasks.spawn(self._look(), name="expire questions")

    async def _look(self) -> None:
        try:
            while self._again:
                self._again = False
                await self._expire()
        except StorageFailed as error:
            logger.warning("open questions could not be looked at, trying again: %s", error.detail)
            self._arm(RETRY_S)
        finally:
            self._looking = False

    async def _expire(self) -> None:
        now = self._clock.now()
        for answered in await self._store.expire_questions(SYSTEM, at=iso(now), owner=self._owner):
            self._runs.go_on(answered)
        due = await self._store.next_expiry(SYSTEM)
        self.stop()
        if due is not None:
            try:
                self._arm(max(0.0, (parse_iso(due) - now).total_seconds()) + MARGIN_S)
            except (
                ValueError,
                TypeError,
            ):  # one row that is no time must not keep the others waiting (TRU-15)
                logger.warning("a question's expiry is no time; looking again")
                self._arm(RETRY_S)

    def _arm(self, delay_s: float) -> None:
        self.stop()
        self._timer = self._clock.call_later(delay_s, self.wake)

    def stop(self) -> None:
        """Call the timer off."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
