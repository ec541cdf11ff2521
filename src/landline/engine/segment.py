"""One segment of a run, from a claim to its end: everything the driver knows about it, and how it is closed.

A segment ends in exactly one of: completed, failed, cancelled, waiting, or left (the process stops; another takes over).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from landline.engine.fold import Fold
from landline.engine.line import RunLine
from landline.engine.log import RunLog
from landline.model.errors import ErrorInfo, LandlineError
from landline.model.events import (
    Event,
    MessageCompleted,
    MessageStarted,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunWaiting,
    mended,
)
from landline.model.ids import new_id
from landline.model.messages import Message, Native, text_of
from landline.model.times import iso
from landline.ports.adapter import Finished
from landline.ports.clock import Clock
from landline.ports.runs import HeldContext
from landline.ports.store import AcceptRun, Appended, Claim, NewMessage, Settle

__all__ = ["SAFE_TEXT", "Ending", "Segment", "release"]

logger = logging.getLogger(__name__)

Ending = Callable[[], Awaitable[Appended]]

SAFE_TEXT = "The agent failed. The log has the details under this run's id."
_TIMED_OUT = {
    "deadline": "The run took longer than its deadline.",
    "idle": "The agent was silent for too long.",
}


async def release(context: Any) -> None:
    """Close what a host app opened for a run."""
    if isinstance(context, HeldContext):
        try:
            await context.release()
        except Exception:  # the host's code: closing it badly must not break the run
            logger.exception("the host's context did not close")


@dataclass(slots=True)
class Segment:
    """A live segment. `stop` says why it is being stopped: cancel, deadline, idle, gate (with `refused`), leave."""

    claim: Claim
    run_log: RunLog
    clock: Clock
    began: float
    line: RunLine | None = None
    stop: str | None = None
    stopped_by: str = ""
    stoppable: bool = False
    closing: bool = False
    queued: bool = False
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    refused: ErrorInfo | None = None
    model: str | None = None
    rows: Sequence[NewMessage] = ()
    keys: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """Keys that came with input to this segment, and the fingerprints of their bodies."""
    given: dict[str, tuple[str, Any]] = field(default_factory=dict[str, tuple[str, Any]])
    """Of input that came to this segment, by message id: the run it becomes if it is not taken, with its context."""
    taken: set[str] = field(default_factory=set[str])
    """The input that the agent took, while there is no line to ask."""
    left: dict[str, Any] = field(default_factory=dict[str, Any])
    """Contexts for the runs that input became because it was not taken."""

    @property
    def spent_s(self) -> float:
        """Running time of the run so far, waiting not counted (RUN-10)."""
        return self.claim.spent_s + self.clock.steady() - self.began

    @property
    def fold(self) -> Fold:
        """The state of the run's log."""
        return self.run_log.fold

    def _add(self, *events: Event) -> None:
        for event in events:
            self.run_log.add(event)

    def _close_loose(self) -> None:
        """Tools that ran after the last message get a message of their own, so that history holds them."""
        if self.fold.loose and self.fold.open_message is None:
            message_id = new_id()
            self._add(
                MessageStarted(message_id=message_id, role="assistant"),
                MessageCompleted(message_id=message_id, text=""),
            )

    async def complete(self, finished: Finished) -> Appended:
        """End well with the agent's answer."""
        self._close_loose()
        last = self.fold.last_message
        message_id = last.id if last else None
        self.model = finished.model
        ended, _ = mended(RunCompleted(output=finished.output, message_id=message_id, usage=self.fold.usage))
        settle = Settle(status="completed", at=self._now(), output=ended.output, message_id=message_id)
        return await self._settle(ended, settle, native=finished.native)

    async def fail(self, error: ErrorInfo, *, keep: bool = True) -> Appended:
        """End with an error; what was said so far stays, marked incomplete. Without `keep` only the end is written."""
        if keep:
            self._close_loose()
        else:
            self.model = None
        last = self.fold.last_message
        message_id = last.id if last and keep else None
        settle = Settle(status="failed", at=self._now(), error=error, message_id=message_id)
        return await self._settle(RunFailed(error=error), settle, mark="incomplete", keep=keep)

    async def cancel(self) -> Appended:
        """End because somebody asked; the partial answer stays, marked stopped."""
        self._close_loose()
        last = self.fold.last_message
        message_id = last.id if last else None
        unstoppable = sorted(self.line.unstoppable) if self.line else []
        ended = RunCancelled(by=self.stopped_by, message_id=message_id, still_finishing=unstoppable)
        settle = Settle(
            status="cancelled", at=self._now(), message_id=message_id, output=last.text if last else None
        )
        return await self._settle(ended, settle, mark="stopped")

    async def wait(self) -> Appended:
        """End the segment with open questions; nothing of it stays in memory."""
        assert self.line is not None
        ended = RunWaiting(questions=self.line.open_questions)
        return await self._settle(ended, Settle(status="waiting", at=self._now()))

    def failing(self, error: BaseException, *, keep: bool = True) -> Ending:
        """Return how the segment ends for an error, of which only what is safe to show is kept."""
        run_id = self.claim.run.id
        if isinstance(error, LandlineError):
            logger.warning("run %s failed: %s", run_id, error.code, exc_info=error)
            return partial(self.fail, error.info, keep=keep)
        logger.error("run %s: the agent raised", run_id, exc_info=error)
        return partial(self.fail, ErrorInfo(code="agent_error", message=SAFE_TEXT), keep=keep)

    def ending(self) -> Ending | None:
        """Return how a segment that was stopped ends; None leaves it for the next start."""
        match self.stop:
            case "cancel":
                return self.cancel
            case "deadline" | "idle":
                return partial(self.fail, ErrorInfo(code="timed_out", message=_TIMED_OUT[self.stop]))
            case "gate" if self.refused is not None:
                return partial(self.fail, self.refused)
            case _:
                return None

    async def _settle(
        self,
        ended: Event,
        settle: Settle,
        *,
        native: Native | None = None,
        mark: str | None = None,
        keep: bool = True,
    ) -> Appended:
        """Write the last event with the rows; these are made first, so that an end is never added twice."""
        queued: list[AcceptRun] = []
        if settle.status != "waiting":
            taken = self.line.taken if self.line else self.taken
            queued = [self._left(id_, settle.at) for id_ in self.fold.inputs if id_ not in taken]
            self.rows = self.fold.rows(at=settle.at, native=native, mark=mark, taken=taken) if keep else ()
        self._add(ended)
        appended = await self.run_log.settle(
            settle,
            messages=self.rows,
            usage=self.fold.usage,
            model=self.model,
            spent_s=self.spent_s,
            queued=queued,
        )
        self.run_log.close()
        for run in queued:
            _, context = self.given.pop(run.message.id) if run.message else ("", None)
            if context is not None:
                self.left[run.run_id] = context
        return appended

    def _left(self, message_id: str, at: str) -> AcceptRun:
        """Return the run that input becomes when this one ends without it: like this one, below what it said."""
        claim = self.claim
        run_id, context = self.given.setdefault(message_id, (new_id(), None))
        return AcceptRun(
            run_id=run_id,
            thread_id=claim.run.thread_id,
            agent=claim.run.agent,
            at=at,
            owner="",  # whoever begins it
            message=self.fold.input_row(message_id, at=at),
            settings=claim.settings,
            deadline_s=claim.deadline_s,
            needs_context=claim.needs_context or context is not None,
            key_id=claim.caller.key_id,
        )

    def spoken(self) -> list[Message]:
        """Return this turn's rows as messages, the input's first, for the warm history."""
        run = self.claim.run
        parent, messages = self.claim.parent_id, list[Message]()
        rows = list(self.rows)
        if self.claim.input_message_id is not None:
            from_input = NewMessage(
                id=self.claim.input_message_id,
                role="user",
                content=text_of(self.claim.input),
                parts=self.claim.input,
                at=run.created_at,
            )
            rows.insert(0, from_input)
        for row in rows:
            messages.append(
                Message(
                    id=row.id,
                    thread_id=run.thread_id,
                    run_id=run.id,
                    parent_id=parent,
                    seq=0,
                    role=row.role,
                    content=row.content,
                    parts=row.parts,
                    created_at=row.at,
                    native=row.native,
                )
            )
            parent = row.id
        return messages

    def _now(self) -> str:
        return iso(self.clock.now())
