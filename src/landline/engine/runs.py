"""The six verbs of `ports.Runs`, on admission, the driver, the log and the store."""

from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial

from landline.engine.admit import Admission
from landline.engine.drive import Driver
from landline.engine.log import Log, RunLog
from landline.engine.loop import Bells, Tasks, over
from landline.engine.places import shown
from landline.engine.segment import release
from landline.engine.steer import Steering
from landline.model.callers import Caller
from landline.model.errors import Busy, Gone, LandlineError, NotFound
from landline.model.events import Stamped
from landline.model.runs import TERMINAL, Answer, Run
from landline.model.threads import Page
from landline.model.times import iso
from landline.ports.clock import Clock
from landline.ports.routing import AUTO
from landline.ports.runs import AnsweredRun, Started, StartRun
from landline.ports.store import AcceptRun, Answered, RunQuery, Store

__all__ = ["EngineRuns"]

PAGE = 500
WATCH_PAGE = 50


class EngineRuns:
    """Starts, follows, cancels and answers the caller's runs."""

    def __init__(  # noqa: PLR0913 - the composition root hands over the parts of the engine
        self,
        *,
        store: Store,
        admission: Admission,
        driver: Driver,
        steering: Steering,
        log: Log,
        bells: Bells,
        clock: Clock,
        tasks: Tasks,
        owner: str,
    ) -> None:
        self._tasks, self._steering = tasks, steering
        self._store, self._admission, self._driver = store, admission, driver
        self._log, self._bells, self._clock, self._owner = log, bells, clock, owner

    async def start(self, caller: Caller, request: StartRun) -> Started:
        """Accept a run and begin to drive it; durable when this returns."""
        # Whoever asked may be cancelled at any time; a run that is stored must be driven all the same.
        return await self._tasks.surely(self._start(caller, request), name="start")

    async def _start(self, caller: Caller, request: StartRun) -> Started:
        try:
            if request.agent == AUTO and (before := await self.repeated(caller, request)) is not None:
                return before  # whoever comes back does not ask the router again
            accept = await self._admission.admit(caller, request)
        except BaseException as refusal:  # noqa: BLE001 - raised again, unless the run is there already
            return await self._instead(caller, request, refusal)
        return await self.accept(caller, request, accept)

    async def _instead(self, caller: Caller, request: StartRun, refusal: BaseException) -> Started:
        """Return what the key made before: it is given back also while nothing new is taken (RUN-7). Else refuse."""
        before = None
        try:
            if isinstance(refusal, LandlineError):
                before = await self.repeated(caller, request)
        finally:
            if before is None:  # whatever the host opened for the run is closed
                await release(request.context)
        if before is None:
            raise refusal
        return before

    async def repeated(self, caller: Caller, request: StartRun) -> Started | None:
        """Return the run that the request's key made before. Raises Invalid when it came with another body."""
        run = await self._store.made_run(caller, request.idempotency) if request.idempotency else None
        if run is None:
            return None
        await release(request.context)
        return Started(run=run, replayed=True)

    async def accept(self, caller: Caller, request: StartRun, accept: AcceptRun) -> Started:
        """Store what was admitted, and begin to drive it."""
        try:
            accepted = await self._store.accept(caller, accept)
        except Busy as busy:
            if request.on_busy == "steer":
                again = partial(self.accept, caller, request, accept)
                self._admission.dropped(accept.run_id)  # it joins a run that holds what it needs
                return await self._steering.steer(caller, request, accept, busy.active_run_id, again=again)
            await self._given_up(request, accept)
            raise
        except BaseException:  # whatever the host opened for the run is closed
            await self._given_up(request, accept)
            raise
        if accepted.replayed:
            await self._given_up(request, accept)
        elif request.has_context:
            self._driver.give_context(accepted.run.id, request.context)
        self._bells.ring(f"thread:{accepted.run.thread_id}")
        if accepted.claim is not None:
            self._driver.launch(accepted.claim, accepted.events)
        elif request.on_busy == "interrupt" and accepted.active_run_id and not accepted.replayed:
            await self._end(caller, accepted.active_run_id)
            return Started(run=await self._store.get_run(caller, accepted.run.id))
        return Started(run=accepted.run, replayed=accepted.replayed)

    async def _given_up(self, request: StartRun, accept: AcceptRun) -> None:
        """Let go of what was held for a run that is not made."""
        self._admission.dropped(accept.run_id)
        await release(request.context)

    async def follow(
        self, caller: Caller, run_id: str, *, after: int = 0, live: bool = True, at_once: bool = True
    ) -> AsyncIterator[Sequence[Stamped]]:
        """Yield a run's events after `after` in batches until its end; see the port."""
        cursor, asked, key = after, False, run_id if at_once else over(run_id)
        held: RunLog | None = None
        with self._log.pace.read(run_id) if at_once else nullcontext():
            while True:
                held = self._log.live(run_id) or held
                batch = await self._read(caller, run_id, cursor, held)
                if live and not asked and held is not None and not held.closed and cursor >= held.written:
                    # Nothing was written up to here, where the bell hangs: no step of another task lies between.
                    await self._bells.rung(key)
                    continue
                if not batch:
                    bell, ended = self._bells.listen(key), False
                    try:
                        # Looked at again under the bell: what was written since the last look rang before it hung.
                        batch = await self._read(caller, run_id, cursor, held)
                        if not batch:
                            ended = await self._ended(caller, run_id, cursor)
                            if ended:  # it may have ended between the look at the log and the look at the run
                                batch = await self._read(caller, run_id, cursor, held)
                        if not batch:
                            # A question ends the stream only where the log ends too: a replay passes old ones (WIRE-2).
                            if asked or not live or ended:
                                return
                            await bell
                            continue
                    finally:
                        self._bells.forget(key, bell)
                cursor, asked = batch[-1].seq, batch[-1].type == "run.waiting"
                yield batch
                if batch[-1].terminal:
                    return

    async def _read(self, caller: Caller, run_id: str, cursor: int, held: RunLog | None) -> Sequence[Stamped]:
        """Return what is stored after `cursor`, from memory where a live log still has it, or `held` that has closed."""
        run_log = self._log.live(run_id) or held
        if run_log is not None:
            if not caller.owns(run_log.caller.tenant, run_log.caller.user):
                raise NotFound(f"No run has the id {run_id}.", code="run_not_found")
            if cursor > run_log.written and not run_log.closed:
                raise Gone("The cursor lies beyond the run's log; read it again from the start.")
            batch = run_log.since(cursor)
            if batch or (batch is not None and not run_log.closed):
                return batch
        stored = await self._store.events(caller, run_id, after=cursor, limit=PAGE)
        if run_log is None or run_log.closed or not stored:
            return stored
        # The store may be a commit ahead of what this process has told: all readers move with the log.
        return [event for event in stored if event.seq <= run_log.written]

    async def _ended(self, caller: Caller, run_id: str, cursor: int) -> bool:
        """Tell whether nothing can come after `cursor`; a cursor beyond the log is refused."""
        if self._log.live(run_id) is not None:
            return False
        run = await self._store.get_run(caller, run_id)
        if cursor and not await self._store.events(caller, run_id, after=cursor - 1, limit=1):
            if run.status in TERMINAL:
                return True
            raise Gone("The cursor lies beyond the run's log; read it again from the start.")
        return run.status in TERMINAL

    async def cancel(self, caller: Caller, run_id: str) -> Run:
        """Stop a run and return it once it has ended."""
        await self._tasks.surely(self._end(caller, run_id), name=f"cancel {run_id}")
        return await self._store.get_run(caller, run_id)

    async def _end(self, caller: Caller, run_id: str) -> None:
        while True:
            at = iso(self._clock.now())
            cancelled = await self._store.cancel(caller, run_id, by=caller.user, at=at, owner=self._owner)
            if cancelled.claim is not None:
                self._driver.launch(cancelled.claim)
            if cancelled.settled:
                break
            await self._driver.stop(run_id, by=caller.user)
            if (await self._store.get_run(caller, run_id)).status != "waiting":
                break
            # It asked a question instead of ending: now it waits, and is ended as one that waits.
        self._admission.dropped(run_id)  # it may have been queued, and never on a line
        await self._driver.drop_context(run_id)
        self._bells.ring(run_id)
        self._bells.ring(over(run_id))
        self._bells.ring(f"thread:{cancelled.run.thread_id}")

    async def answer(self, caller: Caller, run_id: str, answers: Sequence[Answer]) -> AnsweredRun:
        """Settle open questions; the run goes on when none is left."""
        answered = await self._tasks.surely(self._answer(caller, run_id, answers), name=f"answer {run_id}")
        run = await self._store.get_run(caller, run_id) if answered.own else None
        return AnsweredRun(run=run, questions=answered.questions)

    async def _answer(self, caller: Caller, run_id: str, answers: Sequence[Answer]) -> Answered:
        with suppress(NotFound):  # an approver may answer what it cannot read
            self._admission.check_agent((await self._store.get_run(caller, run_id)).agent)
        answers = await self._admission.answering(caller, run_id, answers)
        at = iso(self._clock.now())
        answered = await self._store.answer(caller, run_id, answers, at=at, owner=self._owner)
        self.go_on(answered)
        return answered

    def go_on(self, answered: Answered) -> None:
        """Wake readers of an answered run, and drive it when nothing is open any more."""
        if answered.claim is not None:
            self._driver.launch(answered.claim)
        self._bells.ring(answered.run.id)

    async def get(self, caller: Caller, run_id: str) -> Run:
        """Return the run with its open questions."""
        return shown(await self._store.get_run(caller, run_id), self._driver.live(run_id))

    async def history(self, caller: Caller, query: RunQuery) -> Page[Run]:
        """Return a page of the caller's runs, newest first."""
        page = await self._store.list_runs(caller, query)
        items = [shown(run, self._driver.live(run.id)) for run in page.items]
        return Page(items=items, next_cursor=page.next_cursor)

    async def watch(
        self, caller: Caller, thread_id: str, *, after_run: str | None = None
    ) -> AsyncIterator[str]:
        """Yield the ids of a thread's runs as they are made; see the port."""
        await self._store.get_thread(caller, thread_id)
        newest = after_run
        while True:
            bell = self._bells.listen(f"thread:{thread_id}")
            try:
                if newest is None:
                    # What was made before this moment counts if it goes on; all that comes later counts.
                    page = await self._store.list_runs(caller, RunQuery(thread_id=thread_id, limit=1))
                    newest = page.items[0].id if page.items else ""
                    for run_id in await self._going_on(caller, thread_id, newest):
                        yield run_id
                for run in await self._made_after(caller, thread_id, newest):
                    newest = run.id
                    yield run.id
                await bell
            finally:
                self._bells.forget(f"thread:{thread_id}", bell)

    async def _going_on(self, caller: Caller, thread_id: str, newest: str) -> list[str]:
        """Return the thread's runs up to `newest` that have not ended, oldest first, however many ended after them."""
        found: set[str] = set()
        # A run may begin, ask or be answered between two looks: in this order none slips through.
        for status in ("queued", "running", "waiting", "running"):
            query = RunQuery(thread_id=thread_id, status=status, limit=WATCH_PAGE)
            while True:
                page = await self._store.list_runs(caller, query)
                found |= {run.id for run in page.items if run.id <= newest}
                if page.next_cursor is None:
                    break
                query = replace(query, cursor=page.next_cursor)
        return sorted(found)

    async def _made_after(self, caller: Caller, thread_id: str, newest: str) -> list[Run]:
        """Return the thread's runs with ids after `newest`, oldest first."""
        found: list[Run] = []
        query = RunQuery(thread_id=thread_id, limit=WATCH_PAGE)
        while True:
            page = await self._store.list_runs(caller, query)
            wanted = [run for run in page.items if run.id > newest]
            found += wanted
            if page.next_cursor is None or not wanted:
                return found[::-1]
            query = replace(query, cursor=page.next_cursor)
