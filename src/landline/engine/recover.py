"""Recovery and time: runs whose owner is gone are taken up at start, open questions expire when their time is over."""

import logging

from landline.engine.drive import Driver
from landline.engine.loop import Tasks
from landline.engine.runs import EngineRuns
from landline.model.callers import SYSTEM
from landline.model.times import iso, parse_iso
from landline.ports.clock import Clock, Timer
from landline.ports.store import Store

__all__ = ["Recovery"]

logger = logging.getLogger(__name__)

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

    async def start(self) -> None:
        """Take up every run that nobody drives, and set the clock for open questions."""
        claims = await self._store.recover(SYSTEM, owner=self._owner, at=iso(self._clock.now()))
        for claim in claims:
            self._driver.launch(claim)
        if claims:
            logger.info("took up %d runs that had no owner", len(claims))
        self._driver.on_waiting = self.wake
        await self._expire()

    def wake(self) -> None:
        """Look again at when the next question expires."""
        self._tasks.spawn(self._expire(), name="expire questions")

    async def _expire(self) -> None:
        now = self._clock.now()
        for answered in await self._store.expire_questions(SYSTEM, at=iso(now), owner=self._owner):
            self._runs.go_on(answered)
        due = await self._store.next_expiry(SYSTEM)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            delay_s = max(0.0, (parse_iso(due) - now).total_seconds()) + MARGIN_S
            self._timer = self._clock.call_later(delay_s, self.wake)

    def stop(self) -> None:
        """Call the timer off."""
        if self._timer is not None:
            self._timer.cancel()
