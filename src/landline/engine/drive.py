"""The driver: takes a claimed run, pulls its adapter, hands each event to the log, and closes the segment.

A run's task outlives the request that started it. Whatever goes wrong in an agent ends its run in exactly one state;
only a lost claim ends it silently, because then somebody else writes its log (REL-2).
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from landline.engine.fold import Fold
from landline.engine.history import History
from landline.engine.line import RunLine
from landline.engine.log import Fenced, Log
from landline.engine.loop import Bells, Tasks
from landline.engine.registry import Registry
from landline.engine.segment import Segment
from landline.model.errors import AgentFailed, ErrorInfo, LandlineError
from landline.model.events import RunResumed, RunStarted, Stamped
from landline.model.messages import Message, Part
from landline.model.times import iso
from landline.ports.adapter import Adapter, AgentSpec, Finished, Suspended, Turn
from landline.ports.clock import Clock
from landline.ports.runs import Files, HeldContext
from landline.ports.store import Appended, Claim, Store

__all__ = ["Driver", "release"]

logger = logging.getLogger(__name__)

POISON_ATTEMPTS = 3
"""A run that lost its worker so often without adding to its journal is stopped (REL-3)."""

STOP_S = 1.0
"""How long an agent may take to let go when its run is stopped; then the run ends without it."""

PAGE = 1_000

Ending = Callable[[], Awaitable[Appended]]

_TIMED_OUT = {
    "deadline": ErrorInfo(code="timed_out", message="The run took longer than its deadline."),
    "idle": ErrorInfo(code="timed_out", message="The agent was silent for too long."),
}
_CONTEXT_LOST = (
    "The run's context came with its first request and is gone; register the agent with `context=`."
)
_SAFE_TEXT = "The agent failed. The log has the details under this run's id."


async def release(context: Any) -> None:
    """Close what a host app opened for a run."""
    if isinstance(context, HeldContext):
        try:
            await context.release()
        except Exception:  # the host's code: closing it badly must not break the run
            logger.exception("the host's context did not close")


class Driver:
    """Drives the live runs of this process."""

    def __init__(  # noqa: PLR0913 - the composition root hands over what driving needs
        self,
        *,
        store: Store,
        log: Log,
        registry: Registry,
        history: History,
        files: Files,
        clock: Clock,
        tasks: Tasks,
        bells: Bells,
    ) -> None:
        self._store, self._log, self._registry, self._history = store, log, registry, history
        self._files, self._clock, self._tasks, self._bells = files, clock, tasks, bells
        self._segments: dict[str, tuple[Segment, asyncio.Task[None]]] = {}
        self._contexts: dict[str, Any] = {}
        self.on_waiting: Callable[[], None] = lambda: None
        self.deadline_s: float | None = None
        self.idle_timeout_s: float | None = None

    def __len__(self) -> int:
        return len(self._segments)

    def give_context(self, run_id: str, context: Any) -> None:
        """Hold a request's context for the first segment of its run; it is in memory only (AGT-6)."""
        self._contexts[run_id] = context

    async def drop_context(self, run_id: str) -> None:
        """Let go of a context that no segment will use any more."""
        context = self._contexts.pop(run_id, None)
        if context is not None:
            await release(context)

    def launch(self, claim: Claim) -> None:
        """Drive the claimed run beside the caller."""
        segment = Segment(
            claim=claim, run_log=self._log.open(claim), clock=self._clock, began=self._clock.steady()
        )
        task = self._tasks.spawn(self._drive(segment), name=f"run {claim.run.id}")
        self._segments[claim.run.id] = (segment, task)

    async def stop(self, run_id: str, *, by: str) -> None:
        """Stop a live run and return when it has ended; one that is not live here is left alone."""
        await self._stop(run_id, why="cancel", by=by)

    async def leave(self) -> None:
        """Let go of all live runs without ending them: the next start takes them up (REL-4)."""
        for segment, task in list(self._segments.values()):
            segment.stop = segment.stop or "leave"
            if segment.stoppable and not segment.closing:
                task.cancel()
        tasks = [task for _, task in self._segments.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)

    async def _stop(self, run_id: str, *, why: str, by: str) -> None:
        live = self._segments.get(run_id)
        if live is None:
            return
        segment, task = live
        if segment.stop is None and not segment.closing:
            segment.stop, segment.stopped_by = why, by
            if segment.line is not None:
                segment.line.stopping = True
            if segment.stoppable:
                task.cancel()
        done, _ = await asyncio.wait([task], timeout=STOP_S)
        if not done and segment.closing:
            await asyncio.wait([task])
        elif not done:
            # The agent does not let go (a thread that cannot be stopped): its run ends without it, and what it
            # still writes is refused by the log.
            await self._close(segment, self._ending(segment))

    async def _drive(self, segment: Segment) -> None:
        run_id = segment.claim.run.id
        try:
            ending = await self._outcome(segment)
            if not segment.closing:
                await self._close(segment, ending)
        except Fenced:
            logger.info("run %s is driven by somebody else or has ended", run_id)
        finally:
            segment.run_log.close()
            await self.drop_context(run_id)
            if self._segments.get(run_id, (None,))[0] is segment:
                del self._segments[run_id]

    async def _outcome(self, segment: Segment) -> Ending | None:
        """Run the agent and return how the segment must end; None leaves it for the next start."""
        try:
            return partial(segment.complete, await self._run_agent(segment))
        except Suspended:
            return segment.wait
        except asyncio.CancelledError:
            return self._ending(segment)
        except Exception as error:  # noqa: BLE001 - an agent is anybody's code: its error ends the run, never the server
            return self._ending(segment) if segment.stop else self._failing(segment, error)

    def _failing(self, segment: Segment, error: Exception, *, keep: bool = True) -> Ending:
        run_id = segment.claim.run.id
        if isinstance(error, LandlineError):
            logger.warning("run %s failed: %s", run_id, error.code, exc_info=error)
            return partial(segment.fail, error.info, keep=keep)
        logger.error("run %s: the agent raised", run_id, exc_info=error)
        return partial(segment.fail, ErrorInfo(code="agent_error", message=_SAFE_TEXT), keep=keep)

    def _ending(self, segment: Segment) -> Ending | None:
        match segment.stop:
            case "cancel":
                return segment.cancel
            case "deadline" | "idle":
                return partial(segment.fail, _TIMED_OUT[segment.stop])
            case _:
                return None

    async def _close(self, segment: Segment, ending: Ending | None) -> None:
        # From here on nobody cancels the segment's task: the end and what follows from it happen as one.
        segment.closing = True
        if ending is None:
            # Left for the next start: what was streamed so far is stored, the run stays `running` without an owner.
            await segment.run_log.flushed()
            return
        try:
            appended = await ending()
        except Exception as error:  # noqa: BLE001 - an answer that cannot be stored must still end its run
            appended = await self._failing(segment, error, keep=False)()
        if segment.rows:
            self._history.extend(segment.claim.run.thread_id, segment.claim.parent_id, segment.spoken())
        if appended.promoted is not None:
            self._bells.ring(appended.promoted.run.id)
            self.launch(appended.promoted)
        self._bells.ring(f"thread:{segment.claim.run.thread_id}")
        if ending == segment.wait:
            self.on_waiting()

    async def _run_agent(self, segment: Segment) -> Finished:
        claim = segment.claim
        if claim.last_seq > 1:
            segment.run_log.fold = Fold(await self._stored(claim))
        # From here on a stop cancels the task; before, it would lose what the log holds, or the task altogether.
        segment.stoppable = True
        if claim.cancel_by is not None and segment.stop is None:
            segment.stop, segment.stopped_by = "cancel", claim.cancel_by
        if segment.stop is not None:
            raise asyncio.CancelledError
        if claim.attempts_without_progress >= POISON_ATTEMPTS:
            raise AgentFailed("The run lost its worker again and again and was stopped.", code="poisoned")
        spec, adapter, _ = self._registry.runnable(claim.caller, claim.run.agent)
        segment.line = line = await self._line(segment, adapter)
        turn = await self._turn(segment, spec, adapter)
        watch = self._watch(segment, spec)
        try:
            return await self._pull(line, adapter, turn)
        finally:
            watch()

    async def _pull(self, line: RunLine, adapter: Adapter, turn: Turn) -> Finished:
        finished: Finished | None = None
        stream = adapter.run(turn)
        try:
            async for item in stream:
                if isinstance(item, Finished):
                    finished = item
                else:
                    await line.emit(item)
        finally:
            close: Callable[[], Awaitable[None]] | None = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        if finished is None:
            raise AgentFailed("The agent ended without an answer.", code="no_answer")
        return finished

    async def _line(self, segment: Segment, adapter: Adapter) -> RunLine:
        """Say that the segment begins, load what earlier ones left, and return its line."""
        claim, fold = segment.claim, segment.fold
        if fold.attempt == 0:
            segment.run_log.started(iso(self._clock.now()))
            segment.run_log.add(RunStarted(agent=claim.run.agent, attempt=claim.run.attempt))
        elif claim.run.attempt > fold.attempt:
            cut = fold.open_message if adapter.partial_text == "drop" else None
            dropped = cut.id if cut else None
            segment.run_log.add(
                RunResumed(attempt=claim.run.attempt, reason="recovered", drop_message_id=dropped)
            )
        caller, run_id = claim.caller, claim.run.id
        records, answers = {}, {}
        if claim.last_seq > 1:
            records = await self._store.records(caller, run_id)
            answers = {
                settled.key: settled for settled in await self._store.settled_questions(caller, run_id)
            }
        return RunLine(
            run_log=segment.run_log,
            records=records,
            answers=answers,
            caller=caller,
            files=self._files,
            store=self._store,
            clock=self._clock,
            tasks=self._tasks,
        )

    async def _stored(self, claim: Claim) -> list[Stamped]:
        events: list[Stamped] = []
        while page := await self._store.events(
            claim.caller, claim.run.id, after=events[-1].seq if events else 0, limit=PAGE
        ):
            events += page
        return events

    async def _turn(self, segment: Segment, spec: AgentSpec, adapter: Adapter) -> Turn:
        claim = segment.claim
        assert segment.line is not None
        context = await self._context(claim, spec)
        history = await self._history.upto(
            claim.caller, claim.run.thread_id, claim.parent_id, limit=spec.history_messages
        )
        given: list[Part] = list(claim.input)
        if claim.input_message_id is None and history:
            # Answer again: the message to answer is the branch's last, and its history is what came before it.
            again: Message = history[-1]
            given, history = list(again.parts), history[:-1]
        agent = spec.agent
        if spec.make is not None:
            made = spec.make(context)
            agent = await made if inspect.isawaitable(made) else made
        return Turn(
            run_id=claim.run.id,
            thread_id=claim.run.thread_id,
            caller=claim.caller,
            spec=spec,
            agent=agent,
            input=given,
            history=history,
            context=context,
            settings=claim.settings,
            attempt=claim.run.attempt,
            line=segment.line,
        )

    async def _context(self, claim: Claim, spec: AgentSpec) -> Any:
        if claim.run.id in self._contexts:
            given = self._contexts[claim.run.id]
            return given.value if isinstance(given, HeldContext) else given
        if spec.context is not None:
            made = spec.context(claim.caller, claim.run)
            return await made if inspect.isawaitable(made) else made
        if claim.needs_context:
            raise AgentFailed(_CONTEXT_LOST, code="context_lost")
        return None

    def _watch(self, segment: Segment, spec: AgentSpec) -> Callable[[], None]:
        """Stop the run at its deadline, or when the agent is silent for too long; returns how to call it off."""
        clock, line, run_id = self._clock, segment.line, segment.claim.run.id
        own = spec.deadline_s if spec.deadline_s is not None else self.deadline_s
        limits = [d for d in (segment.claim.deadline_s, own) if d is not None]
        deadline = min(limits) - segment.claim.spent_s + segment.began if limits else None
        idle_s = spec.idle_timeout_s if spec.idle_timeout_s is not None else self.idle_timeout_s
        if line is None or (deadline is None and idle_s is None):
            return lambda: None
        timers: list[Any] = []

        def check() -> None:
            now = clock.steady()
            if deadline is not None and now >= deadline:
                self._tasks.spawn(
                    self._stop(run_id, why="deadline", by="deadline"), name=f"deadline {run_id}"
                )
            elif idle_s is not None and not line.tools_running and now >= line.last_activity + idle_s:
                self._tasks.spawn(self._stop(run_id, why="idle", by="idle"), name=f"idle {run_id}")
            else:
                arm(now)

        def arm(now: float) -> None:
            due = [] if deadline is None else [deadline]
            if idle_s is not None:
                due.append(max(line.last_activity, now if line.tools_running else 0.0) + idle_s)
            timers[:] = [clock.call_later(max(0.0, min(due) - now), check)]

        arm(clock.steady())

        def call_off() -> None:
            for timer in timers:
                timer.cancel()

        return call_off
