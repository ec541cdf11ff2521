"""The driver: takes a claimed run, pulls its adapter, hands each event to the log, and closes the segment.

A run's task outlives the request that started it. Whatever goes wrong in an agent ends its run in exactly one state;
only a lost claim ends it silently, because then somebody else writes its log (REL-2).
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from landline.engine.admit import drop
from landline.engine.carried import client_tool_names, history_of, tools_of
from landline.engine.deadlines import watch
from landline.engine.fold import Fold
from landline.engine.history import History, log_of
from landline.engine.line import RunLine, taken_of
from landline.engine.log import Fenced, Log
from landline.engine.loop import Bells, Tasks
from landline.engine.places import place
from landline.engine.registry import Registry
from landline.engine.segment import SAFE_TEXT, Ending, Segment, release
from landline.engine.tools import ToolRules, made_by
from landline.engine.window import Window
from landline.model.agents import AgentInfo
from landline.model.callers import SYSTEM
from landline.model.errors import AgentFailed, ErrorInfo, NotFound, Unavailable
from landline.model.events import RunResumed, RunStarted, Stamped
from landline.model.messages import Part
from landline.model.times import iso
from landline.ports.adapter import Adapter, AgentSpec, BringsTools, Finished, Suspended, Turn
from landline.ports.clock import Clock
from landline.ports.gates import Gate, GatedRun, Price
from landline.ports.runs import Files, HeldContext
from landline.ports.store import Claim, Store

__all__ = ["Driver"]

logger = logging.getLogger(__name__)

POISON_ATTEMPTS = 3
"""A run that lost its worker so often without adding to its journal is stopped (REL-3)."""

STOP_S = 1.0
"""How long an agent may take to let go when its run is stopped; then the run ends without it."""

_CONTEXT_LOST = "The run's context came with its first request and is gone; give the agent a `context=`."


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
        self._leaving = False
        self._stranded: dict[str, Claim] = {}
        self.on_waiting: Callable[[], None] = lambda: None
        self.bring: BringsTools | None = None
        self.gates: Sequence[Gate] = ()
        self.price: Price | None = None
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

    def launch(self, claim: Claim, written: Sequence[Stamped] = ()) -> None:
        """Drive the claimed run beside the caller; while the process stops it is left for the next start.

        `written` are the last events of its log, where they are at hand: readers need not fetch them.
        """
        if self._leaving:
            return
        run_log = self._log.open(claim)
        run_log.stored(written)
        segment = Segment(claim=claim, run_log=run_log, clock=self._clock, began=self._clock.steady())
        task = self._tasks.spawn(self._drive(segment), name=f"run {claim.run.id}")
        self._segments[claim.run.id] = (segment, task)

    async def stop(self, run_id: str, *, by: str) -> None:
        """Stop a live run and return when it has ended; one that is not live here is left alone."""
        await self._stop(run_id, why="cancel", by=by)

    def live(self, run_id: str) -> Segment | None:
        """Return the segment of a run that is driven here."""
        return self._segments.get(run_id, (None,))[0]

    def let_go(self) -> None:
        """Treat every cancelled task as a process that ends; what `leave` and tests of crashes begin with."""
        self._leaving = True

    async def leave(self) -> None:
        """Let go of all live runs without ending them: the next start takes them up (REL-4)."""
        self.let_go()
        tasks = [task for _, task in self._segments.values()]
        for segment, task in list(self._segments.values()):
            if segment.stoppable and not segment.closing:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)
        for run_id in list(self._contexts):
            await self.drop_context(run_id)

    async def _stop(self, run_id: str, *, why: str, by: str) -> None:
        stranded = self._stranded.pop(run_id, None)
        if stranded is not None:
            self.launch(replace(stranded, cancel_by=by))
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
        try:
            async with asyncio.timeout(STOP_S if segment.stoppable else None):
                await segment.closed.wait()
        except TimeoutError:
            # The agent does not let go (a thread that cannot be stopped): its run ends without it, and what it
            # still writes is refused by the log.
            await self._close(segment, segment.ending())

    def _stop_with(self, segment: Segment, error: ErrorInfo) -> None:
        """Stop a run that a gate ends; the agent's task is cancelled before it can do anything more."""
        if segment.refused is None and segment.line is not None:
            segment.refused, segment.line.stopping = error, True
            run_id = segment.claim.run.id
            self._tasks.spawn(self._stop(run_id, why="gate", by="gate"), name=f"gate {run_id}")

    async def _drive(self, segment: Segment) -> None:
        run_id = segment.claim.run.id
        try:
            await self._close(segment, await self._outcome(segment))
        except Fenced:
            logger.info("run %s is driven by somebody else or has ended", run_id)
        finally:
            self._forget(segment)
            self._let_through(segment)
            await self.drop_context(run_id)
            for _, context in segment.given.values():
                await release(context)

    def _let_through(self, segment: Segment) -> None:
        """Tell the gates that the segment is over, also one that ended before it had a line."""
        if segment.line is not None:
            segment.line.close_gates()
        else:
            drop(self.gates, segment.claim.run.id)

    def _forget(self, segment: Segment) -> None:
        segment.run_log.close()
        segment.begun.set()
        segment.closed.set()
        if self.live(segment.claim.run.id) is segment:
            del self._segments[segment.claim.run.id]

    async def _outcome(self, segment: Segment) -> Ending | None:
        """Run the agent and return how the segment must end; None leaves it for the next start."""
        try:
            return partial(segment.complete, await self._run_agent(segment))
        except Suspended:
            return segment.wait
        except (Fenced, KeyboardInterrupt):
            raise
        except asyncio.CancelledError as error:
            if segment.stop is None and not self._leaving:
                return segment.failing(error)  # the agent's own: it awaited something it had cancelled
            return segment.ending()
        except BaseExceptionGroup as group:
            # An agent that asked inside a task group.
            asked = group.subgroup(Suspended) is not None
            return segment.wait if asked else segment.failing(AgentFailed(SAFE_TEXT, code="agent_error"))
        except BaseException as error:  # noqa: BLE001 - an agent is anybody's code: its error ends the run, never the server
            return segment.ending() if segment.stop else segment.failing(error)

    async def _close(self, segment: Segment, ending: Ending | None) -> None:
        """End the segment once, whoever comes first, and return when it is ended."""
        if not segment.closing:
            segment.closing = True
            # A task of its own: the end and what follows from it happen as one, whoever is cancelled meanwhile.
            self._tasks.spawn(self._end(segment, ending), name=f"end {segment.claim.run.id}")
        await segment.closed.wait()

    async def _end(self, segment: Segment, ending: Ending | None) -> None:
        try:
            if ending is None:
                # Left for the next start: what was streamed so far is stored, and the run keeps its state.
                await segment.run_log.durable()
            else:
                await self._settle(segment, ending)
        except Fenced:
            logger.info("run %s is driven by somebody else or has ended", segment.claim.run.id)
        finally:
            self._forget(segment)
            self._let_through(segment)

    async def _settle(self, segment: Segment, ending: Ending) -> None:
        claim = segment.claim
        if segment.line is None and segment.fold.inputs:  # it ends before its journal was read
            segment.taken = taken_of(await self._store.records(claim.caller, claim.run.id))
        try:
            appended = await ending()
        except Exception as error:  # noqa: BLE001 - an answer that cannot be stored must still end its run
            appended = await segment.failing(error, keep=False)()
        if segment.rows:
            self._history.extend(segment.claim.run.thread_id, segment.claim.parent_id, segment.spoken())
        self._contexts |= segment.left
        if appended.promoted is not None:
            self._bells.ring(appended.promoted.run.id)
            self.launch(appended.promoted)
        self._bells.ring(f"thread:{segment.claim.run.thread_id}")
        if ending == segment.wait:
            self.on_waiting()

    async def _run_agent(self, segment: Segment) -> Finished:
        claim = segment.claim
        if claim.last_seq > 1:
            segment.run_log.fold = Fold(await log_of(self._store, claim))
        # From here on a stop cancels the task; before, it would lose what the log holds, or the task altogether.
        segment.stoppable = True
        if claim.cancel_by is not None and segment.stop is None:
            segment.stop, segment.stopped_by = "cancel", claim.cancel_by
        if segment.stop is not None or self._leaving:
            raise asyncio.CancelledError
        if claim.attempts_without_progress >= POISON_ATTEMPTS:
            raise AgentFailed("The run lost its worker again and again and was stopped.", code="poisoned")
        try:
            # Admission has decided that the caller may use it.
            spec, adapter, info = self._registry.runnable(SYSTEM, claim.run.agent)
        except (NotFound, Unavailable):
            # Its agent is not served by this process, or is broken today: the run is left until it is back.
            logger.warning(
                "run %s waits for its agent %r, which cannot be run", claim.run.id, claim.run.agent
            )
            self._stranded[claim.run.id] = claim
            segment.stop = "leave"
            raise asyncio.CancelledError from None
        stop = partial(self._time_over, claim.run.id)
        if self.gates:
            await place(segment, spec, self.gates, deadline_s=self.deadline_s, stop=stop)
        segment.line = line = await self._line(segment, adapter, spec)
        segment.begun.set()
        call_off = watch(segment, spec, deadline_s=self.deadline_s, idle_s=self.idle_timeout_s, stop=stop)
        try:
            return await self._pull(line, adapter, await self._turn(segment, adapter, spec, info))
        finally:
            call_off()

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
        return await line.finish(finished) if line.gates else finished

    async def _line(self, segment: Segment, adapter: Adapter, spec: AgentSpec) -> RunLine:
        """Say that the segment begins, load what earlier ones left, and return its line."""
        claim, fold, again = segment.claim, segment.fold, segment.fold.attempt > 0
        if not again:
            segment.run_log.started(iso(self._clock.now()))
            segment.run_log.add(RunStarted(agent=claim.run.agent, attempt=claim.run.attempt))
            for tripped in claim.carried.tripped if claim.carried else ():
                segment.run_log.add(tripped)
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
        line = RunLine(
            price=self.price,
            run_log=segment.run_log,
            records=records,
            answers=answers,
            caller=caller,
            files=self._files,
            store=self._store,
            clock=self._clock,
            tasks=self._tasks,
            client_tools=client_tool_names(claim),
        )
        gated = GatedRun(
            run=claim.run,
            caller=caller,
            spec=spec,
            again=again,
            stop=partial(self._stop_with, segment),
            line=line,
            spent=msgspec.structs.replace(fold.spent, seconds=claim.spent_s),
        )
        line.gates = [line_gate for gate in self.gates if (line_gate := gate.on_line(gated)) is not None]
        if line.gates:  # what they count in seconds must survive a crash
            segment.run_log.spent = lambda: segment.spent_s
        return line

    async def _turn(self, segment: Segment, adapter: Adapter, spec: AgentSpec, info: AgentInfo) -> Turn:
        claim = segment.claim
        assert segment.line is not None
        context = await self._context(claim, spec)
        again = claim.input_message_id is None
        messages, tokens, window = spec.history_messages, spec.history_tokens, None
        if messages is not None or tokens is not None:
            window = Window(messages=messages, tokens=tokens, besides=int(again))
        history = await self._history.upto(claim.caller, claim.run.thread_id, claim.parent_id, window)
        given: list[Part] = list(claim.input)
        if again and history:
            # Answer again: the message to answer is the branch's last, and its history is what came before it.
            given, history = list(history[-1].parts), history[:-1]
        agent = spec.agent
        if spec.make is not None:
            made = spec.make(context)
            agent = await made if inspect.isawaitable(made) else made
        tools = list(await self.bring(spec, claim.caller)) if spec.mcp and self.bring else []
        tools += tools_of(claim.carried, tools) if claim.carried else []
        tools = [tool for tool in tools if not tool.policy.deny]
        spec = spec.with_policies(tools) if tools else spec
        made_for_it = spec.make is not None
        segment.line.rules = ToolRules(
            spec, tools, info, late=partial(adapter.describe, made_by(spec, agent)) if made_for_it else None
        )
        return Turn(
            run_id=claim.run.id,
            thread_id=claim.run.thread_id,
            caller=claim.caller,
            spec=spec,
            agent=agent,
            input=given,
            history=[*history_of(claim), *history],
            context=context,
            settings=claim.settings,
            attempt=claim.run.attempt,
            line=segment.line,
            tools=tools,
            output_schema=claim.carried.output_schema if claim.carried else None,
            metadata=claim.run.metadata,
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

    def _time_over(self, run_id: str, why: str) -> None:
        self._tasks.spawn(self._stop(run_id, why=why, by=why), name=f"{why} {run_id}")
