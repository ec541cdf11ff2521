"""The limits on runs, behind every face: how often one may begin, and how many go on at once (TRU-8, RES-6).

A run holds its place from its admission until it ends or waits: queued and running count, waiting for a human does not.
One that goes on after an answer or after a crash is never refused, and counts again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from landline.gates.limits.limiter import Limiter
from landline.gates.limits.windows import Wanted
from landline.model.agents import AgentInfo
from landline.model.callers import SYSTEM, Caller
from landline.model.errors import NotFound, RateLimited
from landline.model.events import Event
from landline.ports.adapter import Finished, ToolCall
from landline.ports.clock import Clock
from landline.ports.gates import GatedRun
from landline.ports.runs import StartRun
from landline.ports.store import Store

__all__ = ["RunLimits"]

_YOUNG_S: Final = 10.0
"""A run that was admitted so lately may not be stored yet."""

_LOOK_S: Final = 1.0
"""How often at most a full limit is a reason to look at what is stored."""

_logger = logging.getLogger("landline.limits")


@dataclass(slots=True)
class _Held:
    wanted: Sequence[Wanted]
    since: float
    on_line: str | None = None
    """The thread, while a segment goes on."""


class RunLimits:
    """The gate of limits."""

    def __init__(self, limiter: Limiter, store: Store, clock: Clock) -> None:
        self._limiter, self._store, self._clock = limiter, store, clock
        self._held: dict[str, _Held] = {}
        self._looked = -_LOOK_S

    async def admit(self, caller: Caller, request: StartRun, agent: AgentInfo) -> StartRun:
        """Count the run and hold its place. Raises RateLimited."""
        places = self._limiter.places_of_run(caller, agent.name, asked=True)
        if places and request.run_id is not None and not self._takes_over(request):
            await self._take(places, request.run_id)
        try:
            await self._limiter.run(caller, agent.name)
        except BaseException:  # refused, or whoever asked was cancelled: the place is free again
            if request.run_id is not None:
                self.dropped(request.run_id)
            raise
        return request

    def _takes_over(self, request: StartRun) -> bool:
        """Whether the request joins, or ends, a run that holds a place here already."""
        return request.on_busy in ("steer", "interrupt") and any(
            held.on_line == request.thread_id for held in self._held.values() if held.on_line
        )

    async def _take(self, places: Sequence[Wanted], run_id: str) -> None:
        try:
            await self._limiter.take(places, run_id)
        except RateLimited:
            if not await self._looked_again():
                raise
            await self._limiter.take(places, run_id)
        self._held[run_id] = _Held(places, self._clock.steady())

    async def _looked_again(self) -> bool:
        """Let go of runs that ended without a word, such as queued ones of a thread that was removed; whether any did."""
        now = self._clock.steady()
        if now - self._looked < _LOOK_S:
            return False
        self._looked = now
        over: list[str] = []
        for run_id, held in list(self._held.items()):
            if held.on_line is not None or now - held.since < _YOUNG_S:
                continue
            try:
                status = (await self._store.get_run(SYSTEM, run_id)).status
            except NotFound:
                status = "gone"
            if status not in ("queued", "running"):
                over.append(run_id)
        for run_id in over:
            self.dropped(run_id)
        return bool(over)

    def dropped(self, run_id: str) -> None:
        """Let go of a run that does not go on."""
        held = self._held.pop(run_id, None)
        if held is not None:
            self._limiter.give_back(held.wanted, run_id)

    def on_line(self, gated: GatedRun) -> "_Line | None":
        """Hold the place of a segment that begins."""
        run_id = gated.run.id
        held = self._held.get(run_id)
        if held is None:
            places = self._limiter.places_of_run(gated.caller, gated.run.agent, asked=False)
            if not places:
                return None
            self._limiter.hold(places, run_id)
            held = self._held[run_id] = _Held(places, self._clock.steady())
        held.on_line = gated.run.thread_id
        return _Line(self, run_id)


class _Line:
    """Lets everything through, and the place go at the end."""

    def __init__(self, runs: RunLimits, run_id: str) -> None:
        self._runs, self._run_id = runs, run_id

    async def passing(self, event: Event) -> Sequence[Event]:
        return (event,)

    def seen(self, event: Event) -> None:
        pass

    async def before_tool(self, call: ToolCall) -> None:
        pass

    async def finishing(self, finished: Finished) -> tuple[Sequence[Event], Finished]:
        return (), finished

    def closed(self, last: str | None) -> None:
        self._runs.dropped(self._run_id)
