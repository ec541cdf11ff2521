"""Fan-out: one input to several agents at once, each in a run and a thread of its own (RUN-11)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from landline.engine.admit import Admission
from landline.engine.loop import Tasks
from landline.engine.runs import EngineRuns
from landline.engine.segment import release
from landline.model.callers import Caller
from landline.model.errors import Invalid, LandlineError
from landline.ports.routing import AUTO
from landline.ports.runs import Started, StartRun
from landline.ports.store import AcceptRun

__all__ = ["EngineFanout"]

MOST_AGENTS: Final = 16


class EngineFanout:
    """Starts the runs; each of them is like any other from then on."""

    def __init__(self, *, runs: EngineRuns, admission: Admission, tasks: Tasks) -> None:
        self._runs, self._admission, self._tasks = runs, admission, tasks

    async def start(self, caller: Caller, requests: Sequence[StartRun]) -> list[Started | LandlineError]:
        """Accept one run for each request; see the port."""
        keyed = [_keyed(request, place) for place, request in enumerate(requests)]
        return await self._tasks.surely(self._start(caller, keyed), name="fan-out")

    async def _start(self, caller: Caller, requests: Sequence[StartRun]) -> list[Started | LandlineError]:
        taken = 0
        accepts: list[AcceptRun | LandlineError] = []
        try:
            # The first run's key stands for the fan-out: it is the first to be stored, or nothing is.
            again = (
                await self._runs.repeated(caller, replace(requests[0], context=None)) if requests else None
            )
            await self._admit_all(caller, requests, accepts, again=again is not None)
            started: list[Started | LandlineError] = []
            for request, accept in zip(requests, accepts, strict=True):
                taken += 1
                started.append(await self._accepted(caller, request, accept, first=not started))
        except BaseException:  # broken off or refused: what the host opened for the runs is closed
            for accept in accepts[taken:]:
                if isinstance(accept, AcceptRun):
                    self._admission.dropped(accept.run_id)
            for request in requests[taken:]:
                await release(request.context)
            raise
        return started

    async def _admit_all(
        self,
        caller: Caller,
        requests: Sequence[StartRun],
        accepts: list[AcceptRun | LandlineError],
        *,
        again: bool,
    ) -> None:
        """Admit all or none into `accepts`; of a fan-out that is there already, whatever is missing and may be made."""
        names = [request.agent for request in requests]
        if not 0 < len(names) <= MOST_AGENTS:
            raise Invalid(f"A fan-out takes 1 to {MOST_AGENTS} agents.", code="too_many_agents")
        if AUTO in names:
            raise Invalid(
                "A fan-out names its agents; the router chooses for one run.", code="agent_not_named"
            )
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise Invalid(f"The agent {twice!r} is named twice.", code="agent_twice")
        for request in requests:
            try:
                accepts.append(await self._admission.admit(caller, request, beside=len(accepts)))
            except LandlineError as refusal:
                if not again:
                    raise
                accepts.append(refusal)

    async def _accepted(
        self, caller: Caller, request: StartRun, accept: AcceptRun | LandlineError, *, first: bool
    ) -> Started | LandlineError:
        try:
            if isinstance(accept, AcceptRun):
                return await self._runs.accept(caller, request, accept)
            before = await self._runs.repeated(caller, request)
        except LandlineError as error:
            if first:
                raise
            return error
        if before is None:
            await release(request.context)
        return before or accept


def _keyed(request: StartRun, place: int) -> StartRun:
    """Give each run of a fan-out a place of its own under the one key."""
    key = request.idempotency
    return (
        request if key is None else replace(request, idempotency=replace(key, route=f"{key.route}#{place}"))
    )
