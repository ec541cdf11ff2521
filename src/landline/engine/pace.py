"""When the log commits: at once for whoever waits or is told of a run as it goes on, else when something has gathered.

A commit costs a thread switch and a transaction however little is in it, and each one wakes the readers. A run that
nobody is told of needs only what must be on disk, and no more than 100 ms of it may be lost (EVT-6).
"""

import asyncio
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from landline.ports.clock import Clock, Timer

__all__ = ["Pace"]

PER_RUN_S = 0.0001
LEAST_S = 0.002
MOST_S = 0.05
"""Rest between two commits of tokens only: 0.1 ms a live run, nothing below 20 runs, at most half of what EVT-6 allows.

Hundreds of streaming runs are told in larger, rarer steps. What must be on disk ends the rest at once.
"""

UNREAD_S = 0.03
"""How long the events of a run gather that nobody is told of as they come. With the longest rest, and what a store may wait for a
busy loop (`backends.sql.gathering`), these are the 100 ms that EVT-6 allows."""


class Pace:
    """Says when the next commit is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wake = asyncio.Event()
        self._readers: Counter[str] = Counter()
        self._gathering: Timer | None = None
        self._awaited = False
        self._all = False
        self._rest: asyncio.Future[None] | None = None

    @contextmanager
    def read(self, run_id: str) -> Generator[None]:
        """Commit the run's events as they come while the block runs: somebody is told of each."""
        self._readers[run_id] += 1
        if self._gathering is not None:
            self._wake.set()
        try:
            yield
        finally:
            self._readers[run_id] -= 1
            if not self._readers[run_id]:
                del self._readers[run_id]

    def said(self, run_id: str) -> None:
        """Have a commit: there is something of this run to store."""
        if run_id in self._readers:
            self._wake.set()
        else:
            self.gather(UNREAD_S)

    def gather(self, within_s: float) -> None:
        """Have a commit within so many seconds, for what nobody is told of."""
        if self._gathering is None:
            self._gathering = self._clock.call_later(within_s, self._wake.set)

    def told(self, run_id: str) -> bool:
        """Whether somebody is told of the run as it goes on."""
        return run_id in self._readers

    def now(self) -> None:
        """Have all that has gathered committed, after a rest if there is one."""
        if self._gathering is not None:
            self._all = True
            self._wake.set()

    def hurry(self) -> None:
        """Commit without a rest: somebody waits for it."""
        self._awaited = True
        self._wake.set()
        self._end_rest()

    def _end_rest(self) -> None:
        if self._rest is not None and not self._rest.done():
            self._rest.set_result(None)

    async def due(self) -> bool:
        """Return when it is time for the next commit, and whether it is one of all that has gathered."""
        await self._wake.wait()
        self._wake.clear()
        self._awaited, gathering, self._gathering = False, self._gathering, None
        if gathering is not None:
            gathering.cancel()
        everything, self._all = self._all, False
        return everything

    async def rest(self, live: int) -> None:
        """Rest after a commit while so many runs are live, unless somebody waits already."""
        if (pace_s := min(MOST_S, live * PER_RUN_S)) >= LEAST_S and not self._awaited:
            self._rest = asyncio.get_running_loop().create_future()
            timer = self._clock.call_later(pace_s, self._end_rest)
            await self._rest
            timer.cancel()
