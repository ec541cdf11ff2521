"""The log: batches the events of all live runs into group commits, and wakes readers once a batch is stored.

Persist, then deliver: a reader never sees an event that is not in the store. While one commit is under way new events
gather, so an idle server stores every token at once and a busy one stores many runs' tokens in one commit; text
deltas of one message that gather are merged into one event. An event gets its `seq` when its batch is taken, which
is why nothing can be delivered out of order or twice.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from landline.engine.fold import Fold
from landline.engine.loop import Bells, Tasks, over
from landline.engine.meter import Meter
from landline.engine.pace import UNREAD_S, Pace
from landline.model.errors import AgentFailed, StorageFailed
from landline.model.events import (
    TERMINAL_EVENTS,
    Event,
    ReasoningDelta,
    Stamped,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    UsageReported,
    encode,
    mended,
)
from landline.model.runs import TERMINAL, Usage
from landline.model.times import iso
from landline.ports.clock import Clock
from landline.ports.store import (
    AcceptRun,
    Append,
    Appended,
    Claim,
    IdempotencyKey,
    NewMessage,
    NewQuestion,
    Settle,
    Store,
)

__all__ = ["Fenced", "Log", "RunLog"]

logger = logging.getLogger(__name__)

TAIL_EVENTS = 512
"""How many stored events of a live run stay in memory for readers at its tail; a slower reader reads the store."""

TAIL_BYTES = 128 * 1024
"""The same in bytes of the events' JSON."""

BACKLOG_BYTES = 256 * 1024
"""A run with so much not yet stored is made to wait (the disk is behind, or refuses)."""

LARGEST_DELTA = 4_096
"""Characters up to which text deltas are merged: a reader takes an event whole."""

READ_BYTES = 32 * 1024
"""About how much a reader is handed at once; a stalled one holds no more than that."""

CLOCK_S = 0.001
"""What a timer may be early by, as the clock tells it."""

RETRY_S = 0.5
"""Pause before a refused commit is tried again: a full disk may be emptied."""


class Fenced(BaseException):
    """Somebody else owns the run, or it has ended: its old driver must stop without a word. Outside `Exception`."""


class RunLog:
    """The writing end of one live run's log. Only its driver writes here."""

    def __init__(self, log: "Log", claim: Claim) -> None:
        self.run_id = claim.run.id
        self.thread_id = claim.run.thread_id
        self.caller = claim.caller
        self.epoch = claim.epoch
        self.written = claim.last_seq
        self._tail: list[Stamped] = []
        self._tail_bytes = 0
        self._newest: list[Stamped] = []
        self.closed = False
        self.dirty_since = 0.0
        self.unstorable = False
        self.spent: Callable[[], float] | None = None
        self._log = log
        self.fold = Fold()
        self._meter = Meter(log.clock)
        self._pending: list[tuple[Event, bytes | None, str]] = []
        self._pending_bytes = 0
        self._records: list[tuple[str, bytes]] = []
        self._questions: list[NewQuestion] = []
        self._keys: list[IdempotencyKey] = []
        self._progress = False
        self._durable = False
        self._started_at: str | None = None
        self._final: dict[str, Any] = {}
        self._waiters: list[asyncio.Future[Appended]] = []

    def add(self, event: Event) -> None:
        """Append `event`, as said now; it is stored with the next commit and delivered after it.

        Raises:
            Fenced: The run is not this driver's any more.
            TypeError, OverflowError, KeyError: The event is not JSON, or speaks of a message or call that never began.
        """
        self._check()
        if self.fold.last_type in TERMINAL_EVENTS:
            raise Fenced
        event, body = mended(event)
        self.fold.apply(event)
        if isinstance(event, (ToolCalled, UsageReported)):
            self._meter.note(event)
        if self._pending and isinstance(event, (TextDelta, ReasoningDelta)):
            last, _, at = self._pending[-1]
            fits = isinstance(last, (TextDelta, ReasoningDelta)) and len(last.delta) < LARGEST_DELTA
            if fits and type(last) is type(event) and last.message_id == event.message_id:
                self._pending_bytes += len(event.delta)
                merged = type(event)(message_id=event.message_id, delta=last.delta + event.delta)
                self._pending[-1] = (merged, None, at)
                return
        self._pending.append((event, body, iso(self._log.clock.now())))
        self._pending_bytes += len(body)
        self._progress = self._progress or isinstance(event, (ToolCompleted, ToolFailed))
        self._log.dirty(self)

    def record(self, key: str, value: bytes) -> None:
        """Keep a journal record; it goes to disk with the next event."""
        self._records.append((key, value))
        self._progress = True

    def ask(self, question: NewQuestion) -> None:
        """Keep a question row with the next batch, which goes to disk."""
        self._questions.append(question)
        self._durable = True

    def keep(self, key: IdempotencyKey) -> None:
        """Keep a request's key with the next batch: a repeat finds this run."""
        self._keys.append(key)

    def started(self, at: str) -> None:
        """Note when the run first began, with the next batch."""
        self._started_at = at

    @property
    def behind(self) -> bool:
        """Whether so much waits to be stored that the run should pause."""
        return self._pending_bytes > BACKLOG_BYTES

    @property
    def pressing(self) -> bool:
        """Whether somebody waits until it is stored."""
        return bool(self._waiters) or self._durable

    async def flushed(self) -> None:
        """Return when everything added so far is stored."""
        if self._pending:
            await self._wait()

    async def durable(self) -> None:
        """Return when everything added so far is on disk."""
        self._durable = True
        await self._wait()

    async def settle(
        self,
        settle: Settle,
        *,
        messages: Sequence[NewMessage],
        usage: Usage,
        model: str | None,
        spent_s: float,
        queued: Sequence[AcceptRun] = (),
    ) -> Appended:
        """Write the end of the segment with everything added so far, on disk, and close.

        Records that come with a run's last event are not kept: nobody takes that run up again.
        """
        if settle.status in TERMINAL:
            self._records = []
        self._final = {
            "settle": settle,
            "messages": messages,
            "usage": usage,
            "model": model,
            "spent_s": spent_s,
            "queued": queued,
            "spent": self._meter.end(model, runs=int(settle.status in TERMINAL)),
        }
        self._durable = True
        return await self._wait()

    def close(self) -> None:
        """Take no more events; readers go on from the store."""
        self.closed, self.spent = True, None
        self._log.closed(self)

    def since(self, after: int) -> list[Stamped] | None:
        """Return the stored events after `after` from memory, or None when they are only in the store."""
        if after >= self.written:
            return []
        if self._newest and self._newest[0].seq == after + 1:
            return self._newest  # the same list for all readers at the tail
        if not self._tail or self._tail[0].seq > after + 1:
            return None
        return self._tail[after + 1 - self._tail[0].seq :]

    def take(self) -> tuple[Append, list[asyncio.Future[Appended]]]:
        """Stamp what is pending and return it as one batch with those who wait for it."""
        stamped = [
            Stamped(seq, self.run_id, self.thread_id, at, event.type, encode(event) if body is None else body)
            for seq, (event, body, at) in enumerate(self._pending, start=self.written + 1)
        ]
        final = self._final or {"spent_s": self._spent_so_far(), "spent": self._meter.take()}
        batch = Append(
            caller=self.caller,
            run_id=self.run_id,
            thread_id=self.thread_id,
            epoch=self.epoch,
            events=stamped,
            durable=self._durable,
            started_at=self._started_at,
            records=self._records,
            questions=self._questions,
            progress=self._progress,
            keys=self._keys,
            **final,
        )
        waiters, self._waiters = self._waiters, []
        self._pending, self._records, self._questions, self._pending_bytes = [], [], [], 0
        self._durable, self._progress, self._started_at, self._final, self._keys = False, False, None, {}, []
        return batch, waiters

    def _spent_so_far(self) -> float | None:
        """The running time, with what goes to disk anyway, of a run that has a deadline (RUN-10)."""
        return self.spent() if self.spent is not None and self._durable else None

    def stored(self, events: Sequence[Stamped]) -> None:
        """Move the tail: these are in the store now."""
        if not events:
            return
        size = sum([len(event.body) for event in events])
        self._newest = list(events) if size <= READ_BYTES else []
        self._tail += events
        self._tail_bytes += size
        if len(self._tail) > 2 * TAIL_EVENTS or self._tail_bytes > TAIL_BYTES:
            kept = self._tail[-TAIL_EVENTS:]
            size, first = 0, len(kept)
            while first and size + len(kept[first - 1].body) <= READ_BYTES:
                first -= 1
                size += len(kept[first].body)
            self._tail, self._tail_bytes = kept[first:], size
        self.written = events[-1].seq

    def _check(self) -> None:
        if self.closed:
            raise Fenced
        if self.unstorable:
            # Said once, to the agent's driver, which then writes the run's end.
            self.unstorable = False
            raise unstorable()

    async def _wait(self) -> Appended:
        self._check()
        waiter: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._log.dirty(self)
        self._log.pace.hurry()
        return await waiter


class Log:
    """All live runs of this process and the one loop that commits them."""

    def __init__(self, store: Store, clock: Clock, tasks: Tasks, bells: Bells) -> None:
        self._store, self._tasks, self._bells = store, tasks, bells
        self.clock = clock
        self._live: dict[str, RunLog] = {}
        self._dirty: dict[str, RunLog] = {}
        self.pace = Pace(clock)
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> None:
        """Begin to commit."""
        self._tasks.spawn(self._commit_forever(), name="log")

    def open(self, claim: Claim) -> RunLog:
        """Make the claimed run live in this process."""
        run_log = RunLog(self, claim)
        self._live[run_log.run_id] = run_log
        return run_log

    def live(self, run_id: str) -> RunLog | None:
        """Return the run's writing end when it is live here."""
        return self._live.get(run_id)

    def dirty(self, run_log: RunLog) -> None:
        """Have `run_log` in the next commit that is due for it."""
        if run_log.run_id not in self._dirty:
            run_log.dirty_since = self.clock.steady()
            self._dirty[run_log.run_id] = run_log
        self._idle.clear()
        self.pace.said(run_log.run_id)

    def closed(self, run_log: RunLog) -> None:
        """Forget a run that is not live any more, and wake its readers: the rest is in the store."""
        if self._live.get(run_log.run_id) is run_log:
            del self._live[run_log.run_id]
        self._bells.ring(run_log.run_id)
        self._bells.ring(over(run_log.run_id))

    async def drained(self) -> None:
        """Return when nothing waits to be stored."""
        self.pace.now()
        await self._idle.wait()

    async def _commit_forever(self) -> None:
        while True:
            everything = await self.pace.due()
            taken = self._take(everything=everything)
            if not taken:
                continue
            work = [(run_log, *run_log.take()) for run_log in taken]
            results = await self._append([batch for _, batch, _ in work])
            for (run_log, batch, waiters), result in zip(work, results, strict=True):
                self._deliver(run_log, batch, waiters, result)
            if not self._dirty:
                self._idle.set()
            await self.pace.rest(len(self._live))

    def _take(self, *, everything: bool) -> list[RunLog]:
        """Return the runs to commit now: what others wait for does not cut short what a run gathers unseen."""
        now, taken, left = self.clock.steady(), list[RunLog](), dict[str, RunLog]()
        for run_id, run_log in self._dirty.items():
            left_s = run_log.dirty_since + UNREAD_S - now
            if everything or run_log.pressing or self.pace.told(run_id) or left_s <= CLOCK_S:
                taken.append(run_log)
            else:
                if not left:
                    self.pace.gather(left_s)
                left[run_id] = run_log
        self._dirty = left
        return taken

    async def _append(self, batches: list[Append]) -> Sequence[Appended | None]:
        """Store the batches, however long a refusing disk takes: the runs stay and their readers wait (REL-8)."""
        while True:
            try:
                return await self._store.append(batches)
            except StorageFailed as error:
                logger.warning(
                    "the store refused a commit of %d runs, trying again: %s", len(batches), error.detail
                )
                await self.clock.sleep(RETRY_S)
            except Exception:  # a fault of ours or of one run's data: the log must go on for the others
                logger.exception("a commit of %d runs broke", len(batches))
                if len(batches) == 1:
                    return [
                        None
                    ]  # one run that cannot be stored is told so; it does not take the others down
                return [(await self._append([batch]))[0] for batch in batches]

    def _deliver(
        self,
        run_log: RunLog,
        batch: Append,
        waiters: list[asyncio.Future[Appended]],
        result: Appended | None,
    ) -> None:
        error: BaseException | None = None
        if result is None:
            error, run_log.unstorable = unstorable(), not waiters
            run_log.fold.last_type = None  # whatever end was in it was not written
        elif result.fenced:
            error = Fenced()
            run_log.close()
        else:
            run_log.stored(batch.events)
            self._bells.ring(run_log.run_id)
        for waiter in waiters:
            if waiter.done():
                continue
            if error is not None:
                waiter.set_exception(error)
            elif result is not None:
                waiter.set_result(result)


def unstorable() -> AgentFailed:
    """Return the end of a run whose data the store cannot take."""
    return AgentFailed("What the agent said cannot be stored.", code="unstorable")
