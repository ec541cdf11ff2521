"""Steering: new input for a run that is going on (RUN-6).

The input is an event of the run's log, on the disk before the client hears of it. The adapter takes it when it can; a
run that ends without having taken it leaves it to the thread as the next run, before all others in the queue. Its row
is written with the run's own, where it stands in the log, or when that next run begins: a message is in history once.
"""

from collections.abc import Awaitable, Callable

from landline.engine.admit import check_abilities
from landline.engine.drive import Driver
from landline.engine.log import Fenced
from landline.engine.registry import Registry
from landline.engine.segment import Segment, release
from landline.model.callers import SYSTEM, Caller
from landline.model.errors import Busy, Conflict, Invalid, Unavailable, Unsupported
from landline.model.events import InputReceived
from landline.model.runs import TERMINAL, Run
from landline.ports.routing import AUTO
from landline.ports.runs import Started, StartRun
from landline.ports.store import AcceptRun, NewMessage, Store

__all__ = ["Steering"]

Again = Callable[[], Awaitable[Started]]


class Steering:
    """Gives input to live runs."""

    def __init__(self, *, store: Store, driver: Driver, registry: Registry) -> None:
        self._store, self._driver, self._registry = store, driver, registry

    async def steer(
        self, caller: Caller, request: StartRun, accept: AcceptRun, run_id: str, *, again: Again
    ) -> Started:
        """Give what was admitted to the run that holds the thread; `again` accepts it anew when that has ended.

        Raises:
            Unsupported: The run's agent cannot be steered, or the request asks for more than to give input.
            Conflict: The run waits for an answer, or for a place.
        """
        segment: Segment | None = None
        try:
            run = await self._store.get_run(caller, run_id)
            message = self._check(request, accept, run)
            segment = await self._steerable(run)
            replayed = segment is not None and await self._give(segment, accept, message, request)
        except Fenced:  # somebody else drives it, or it has ended: nothing was written
            segment, replayed = None, False
        except BaseException:  # refused or broken off: what the host opened for the run is closed
            await release(request.context)
            raise
        if segment is None:
            return await again()
        if replayed:
            await release(request.context)
        return Started(run=await self._store.get_run(caller, run_id), replayed=replayed)

    def _check(self, request: StartRun, accept: AcceptRun, run: Run) -> NewMessage:
        if run.status == "waiting":
            raise Conflict(
                f"Run {run.id} waits for an answer and takes no other input; answer it or cancel it.",
                code="run_waiting",
            )
        spec, _, info = self._registry.runnable(SYSTEM, run.agent)
        if request.agent not in (None, AUTO, run.agent):
            raise Unsupported(
                f"The active run is of the agent {run.agent!r}; its input goes to no other.",
                code="steer_other_agent",
            )
        check_abilities(request, spec, info)
        own = {
            "settings": request.settings,
            "metadata": request.metadata,
            "deadline_s": request.deadline_s,
            "carried": request.carried,
        }
        told = [name for name, value in own.items() if value] + ["parent_id"] * (
            request.parent_id is not None
        )
        if told or accept.message is None:
            raise Unsupported(
                f"A run that is going on takes input only, no {told[0]}."
                if told
                else "Steering needs input.",
                code="steer_takes_input_only",
            )
        return accept.message

    async def _steerable(self, run: Run) -> Segment | None:
        """Return the run's segment once it takes input, or None when the run has ended."""
        if run.status in TERMINAL:
            return None
        segment = self._driver.live(run.id)
        if segment is None:
            if run.status == "running":
                raise Unavailable(f"Run {run.id} is not driven now.", code="run_not_driven", retry_after_s=1)
            raise Busy(run.id)
        if segment.queued:
            raise Conflict("The run has not begun; it takes no other input.", code="run_queued")
        await segment.begun.wait()
        if segment.closing or segment.stop is not None or segment.line is None:
            await segment.closed.wait()
            return None
        return segment

    async def _give(
        self, segment: Segment, accept: AcceptRun, message: NewMessage, request: StartRun
    ) -> bool:
        """Write the input into the run's log; tells whether its key was there already."""
        key = accept.idempotency
        before = segment.keys.get((key.route, key.key)) if key else None
        if key is not None and before is not None and before != key.body_hash:
            raise Invalid(
                "This Idempotency-Key came before with another request.", code="idempotency_key_reused"
            )
        run_log = segment.run_log
        if before is None:
            run_log.add(InputReceived(message_id=message.id, input=message.parts))
            for tripped in accept.carried.tripped if accept.carried else ():
                run_log.add(tripped)
            segment.given[message.id] = (accept.run_id, request.context)
            if key is not None:
                segment.keys[key.route, key.key] = key.body_hash
                run_log.keep(key)
        await run_log.durable()
        return before is not None
