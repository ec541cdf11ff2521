"""Streams of the AG-UI face: a run as it goes on, again after a cut, and with the conversation before it."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, cast

import msgspec

from landline.faces.ag_ui.encode import Encoder
from landline.faces.ag_ui.errors import CLOSING, tell_in_stream
from landline.faces.ag_ui.frames import PROTOCOL, Frame, Past, Segment, sse
from landline.faces.ag_ui.records import Records
from landline.faces.ag_ui.transcript import past_messages
from landline.model.callers import Caller
from landline.model.errors import Conflict, Gone
from landline.model.events import QuestionAsked, RunWaiting, Stamped
from landline.model.messages import Message
from landline.model.runs import Run
from landline.ports.store import MessageQuery
from landline.web.face import FacePorts
from landline.web.sse import EventStream

__all__ = ["START", "Cursor", "Telling", "cursor_of"]

Cursor = tuple[int, int]
"""A frame that was seen: the place of its event in the log, and its number among the frames of that event."""

START: Cursor = (0, 0)
_PAGE = 200


def cursor_of(last_event_id: str | None, after: str | None) -> Cursor:
    """Return where to go on. The header wins: a browser repeats the URL it began with, and adds the header."""
    seq, _, number = (last_event_id or after or "0.0").partition(".")
    return int(seq), int(number)


class Telling:
    """Makes streams of runs for their owner."""

    def __init__(self, ports: FacePorts, records: Records) -> None:
        self._ports, self._records = ports, records

    def stream(
        self,
        caller: Caller,
        segment: Segment,
        *,
        cursor: Cursor = START,
        on_gone: Callable[[], Awaitable[Any]] | None = None,
    ) -> EventStream:
        """Return a run's frames after `cursor`, up to its end."""
        return self._response(self._pieces(caller, segment, cursor), on_gone=on_gone)

    def with_past(self, caller: Caller, thread_id: str, segment: Segment) -> EventStream:
        """Return a run's frames with the conversation before it as snapshots, after its RUN_STARTED."""
        return self._response(self._restated(caller, thread_id, segment))

    def quiet(self, thread: str, run: str, *, messages: Sequence[Any] | None, outcome: Any) -> EventStream:
        """Return the frames of a run that says nothing but a snapshot and how it stands."""
        events: list[dict[str, Any]] = [
            {"type": "RUN_STARTED", "threadId": thread, "runId": run, "protocolVersion": PROTOCOL}
        ]
        if messages is not None:
            events.append({"type": "MESSAGES_SNAPSHOT", "messages": messages})
        events.append({"type": "RUN_FINISHED", "threadId": thread, "runId": run, "outcome": outcome})

        async def pieces() -> AsyncIterator[bytes]:
            yield b"".join(map(_unplaced, events))

        return self._response(pieces())

    async def anything_after(self, caller: Caller, segment: Segment, cursor: Cursor) -> bool:
        """Tell whether a frame comes or will come after `cursor`.

        Raises:
            Gone: The log has no such place yet.
        """
        encoder, last, tail = Encoder(segment, past=Past()), START, 0
        async for stamped in self._log(caller, segment.log, live=False):
            tail = stamped.seq
            for frame in encoder.feed(stamped):
                last = frame.seq, frame.number
        if cursor[0] > tail:
            raise Gone("The cursor lies beyond the run's log; read it again from the start.")
        return cursor < last or not encoder.ended

    async def current(self, caller: Caller, log: str) -> int:
        """Return the place in the log where the last of its runs of AG-UI begins."""
        begins, waited = 0, 0
        async for stamped in self._log(caller, log, live=False):
            if stamped.type == "run.waiting":
                waited = stamped.seq
            elif waited and stamped.type not in {"question.answered", "question.asked"}:
                begins = waited
        return begins

    async def wait_of(self, caller: Caller, run: Run) -> int:
        """Return the place in the log where `run`, which waits, began to wait.

        The store may be ahead of what is told: the place is waited for.
        """
        asked = {question.question_id for question in run.questions}
        async for stamped in self._log(caller, run.id):
            event = stamped.event() if stamped.type == "run.waiting" else None
            if isinstance(event, RunWaiting) and asked & {
                question.question_id for question in event.questions
            }:
                return stamped.seq
        raise Conflict("The run does not wait any more.", code="interrupt_closed")

    async def waits(self, caller: Caller, log: str) -> list[int]:
        """Return the places in the log where the run waited, the last one last."""
        return [
            stamped.seq
            async for stamped in self._log(caller, log, live=False)
            if stamped.type == "run.waiting"
        ]

    async def asked(self, caller: Caller, log: str) -> set[str]:
        """Return the ids of all questions that the run has asked."""
        found: set[str] = set()
        async for stamped in self._log(caller, log, live=False):
            event = stamped.event()
            if isinstance(event, QuestionAsked):
                found.add(event.question_id)
        return found

    async def _log(self, caller: Caller, log: str, *, live: bool = True) -> AsyncGenerator[Stamped]:
        batches = self._ports.runs.follow(caller, log, live=live)
        async with aclosing(cast("AsyncGenerator[Sequence[Stamped], None]", batches)) as source:
            async for batch in source:
                for stamped in batch:
                    yield stamped

    def _response(
        self, pieces: AsyncIterator[bytes], *, on_gone: Callable[[], Awaitable[Any]] | None = None
    ) -> EventStream:
        return EventStream(
            pieces, door=self._ports.door, on_gone=on_gone, error_frame=tell_in_stream, closing=CLOSING
        )

    async def _pieces(self, caller: Caller, segment: Segment, cursor: Cursor) -> AsyncIterator[bytes]:
        async for frames in self._frames(caller, segment):
            rest = [frame for frame in frames if frame[:2] > cursor] if cursor != START else frames
            if rest:
                yield sse(rest)

    async def _restated(self, caller: Caller, thread_id: str, segment: Segment) -> AsyncIterator[bytes]:
        encoder = Encoder(segment)
        first = True
        async for frames in self._frames(caller, segment, encoder):
            if not first:
                yield sse(frames)
                continue
            first = False
            yield sse(frames[:1])
            yield b"".join(map(_unplaced, await self._before(caller, thread_id, segment)))
            if frames[1:]:
                yield sse(frames[1:])

    async def _before(self, caller: Caller, thread_id: str, segment: Segment) -> list[dict[str, Any]]:
        """Return the snapshots of all that was said before the segment."""
        before = Encoder(segment)
        async for stamped in self._log(caller, segment.log, live=False):
            if stamped.seq > max(segment.after, 1):
                break
            before.feed(stamped)
        before.past = await self.past(caller, thread_id, before.anchor)
        told: list[dict[str, Any]] = [{"type": "MESSAGES_SNAPSHOT", "messages": before.conversation()}]
        if before.state is not None:
            told.append({"type": "STATE_SNAPSHOT", "snapshot": before.state})
        return told

    async def _frames(
        self, caller: Caller, segment: Segment, encoder: Encoder | None = None
    ) -> AsyncIterator[Sequence[Frame]]:
        encoder = encoder or Encoder(segment)
        batches = self._ports.runs.follow(caller, segment.log)
        async with aclosing(cast("AsyncGenerator[Sequence[Stamped], None]", batches)) as source:
            async for batch in source:
                frames: list[Frame] = []
                for stamped in batch:
                    if encoder.past is None and encoder.takes_back(stamped):
                        encoder.past = await self.past(caller, stamped.thread_id, encoder.anchor)
                    frames += encoder.feed(stamped)
                if frames:
                    yield frames
                if encoder.ended:
                    return
        raise Conflict("The run waits for its answer still; send it again.", code="still_waiting")

    async def past(self, caller: Caller, thread_id: str, anchor: str | None) -> Past:
        """Return the branch that ends at the message `anchor`, as the client holds it."""
        rows: dict[str, Message] = {}
        query = MessageQuery(thread_id=thread_id, limit=_PAGE, branch="all")
        while True:
            page = await self._ports.threads.messages(caller, query)
            rows |= {row.id: row for row in page.items}
            if page.next_cursor is None or anchor in rows:
                break
            query = MessageQuery(thread_id=thread_id, limit=_PAGE, branch="all", cursor=page.next_cursor)
        branch: list[Message] = []
        while anchor is not None and (row := rows.get(anchor)) is not None:
            branch.append(row)
            anchor = row.parent_id
        names = await self._records.names(caller, thread_id)
        return Past(messages=past_messages(reversed(branch), names), names=names)


def _unplaced(event: dict[str, Any]) -> bytes:
    """Return a frame that is no part of the log, so that it has no id."""
    return b"data: %s\n\n" % msgspec.json.encode(event)
