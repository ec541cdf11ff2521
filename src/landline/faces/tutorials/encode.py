"""From a run's events to what the tutorials' wires say: pure, and the same bytes for the same log.

`TextTurn` reads the turn as one text, for the wires that know only text. Several messages of a run are told one after
the other, in the order they began, with an empty line between them; a structured answer is told whole, as JSON. `Queries`
reads it as the messages of the bank's stream.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from landline.faces.tutorials.errors import Failure, of_run, waiting
from landline.model.events import (
    GuardTripped,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunResumed,
    RunStarted,
    RunWaiting,
    Stamped,
    TextDelta,
)
from landline.model.times import parse_iso

__all__ = ["TAKEN_BACK", "End", "Ending", "Queries", "TextTurn", "as_text", "taken_back"]

TAKEN_BACK: Final = Failure(
    status=409,
    error="The answer was taken back",
    detail="The agent took back what it had said, or its server was lost, and writes it again; "
    "what was streamed does not count. The messages of the session or thread show what does.",
    code="message_retracted",
)
_GAP: Final = "\n\n"
_TAKES_BACK: Final = frozenset({"message.retracted", "run.resumed"})


def taken_back(events: Iterable[Stamped]) -> set[str]:
    """Return the messages that these events take back."""
    found: set[str] = set()
    for stamped in events:
        if stamped.type not in _TAKES_BACK:
            continue
        match stamped.event():
            case MessageRetracted(message_id=id_) | RunResumed(drop_message_id=str(id_)):
                found.add(id_)
            case _:
                pass
    return found


def as_text(output: Any) -> str:
    """Return an answer as text: itself, or its JSON."""
    if output is None:
        return ""
    return output if isinstance(output, str) else msgspec.json.encode(output).decode()


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """The last that is told: the whole text, or why there is none."""

    text: str = ""
    tokens: int = 0
    failure: Failure | None = None


class Ending:
    """What ends a run, and what must be remembered to tell it: running time, and what a guard said.

    A log that is read again passes waits that are over; `waits` is the one that nothing came after.
    """

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._spent_s = 0.0
        self._blocked_by: str | None = None
        self.waits: Failure | None = None

    def take(self, stamped: Stamped, event: Any) -> Failure | RunCompleted | None:
        """Return how the run ended, None while it has not."""
        self.waits = None
        match event:
            case RunStarted() | RunResumed():
                self._since = self._since or parse_iso(stamped.at)
            case GuardTripped(info=info, action="block"):
                self._blocked_by = as_text(info) or event.guard
            case RunWaiting(questions=questions):
                self._pause(stamped)
                self.waits = waiting(stamped.run_id, [question.prompt for question in questions])
            case RunFailed(error=error):
                self._pause(stamped)
                return of_run(error, spent_s=self._spent_s, blocked_by=self._blocked_by)
            case RunCancelled():
                return Failure(
                    status=409,
                    error="Request cancelled",
                    detail="The run was stopped before its end.",
                    code="cancelled",
                )
            case RunCompleted():
                return event
            case _:
                pass
        return None

    def _pause(self, stamped: Stamped) -> None:
        if self._since is not None:
            self._spent_s += (parse_iso(stamped.at) - self._since).total_seconds()
            self._since = None


@dataclass(slots=True)
class _Message:
    pieces: list[str] = field(default_factory=list[str])
    output: Any = None
    structured: bool = False
    done: bool = False


class TextTurn:
    """A turn as one text, in increments. `end` is set once nothing more comes.

    Args:
        whole: Tell the text at the end only, so that what was taken back before is not in it.
        without: Messages that are known to have been taken back.
    """

    def __init__(self, *, whole: bool = False, without: Collection[str] = ()) -> None:
        self.end: End | None = None
        self._whole, self._without = whole, without
        self._ending = Ending()
        self._text: list[str] = []
        self._told: set[str] = set()
        self._messages: dict[str, _Message] = {}

    def take(self, stamped: Stamped) -> list[str]:
        """Return what this event adds to the text."""
        if self.end is not None:
            return []
        event = stamped.event()
        match event:
            case MessageStarted(message_id=id_, role="assistant") if id_ not in self._without:
                self._messages[id_] = _Message()
            case TextDelta(message_id=id_, delta=delta) if id_ in self._messages:
                self._messages[id_].pieces.append(delta)
            case OutputPartial(message_id=id_, output=output) if id_ in self._messages:
                self._messages[id_].output, self._messages[id_].structured = output, True
            case MessageCompleted(message_id=id_) if id_ in self._messages:
                self._messages[id_].done = True
            case MessageRetracted(message_id=id_) | RunResumed(drop_message_id=str(id_)):
                self._messages.pop(id_, None)
                if id_ in self._told:  # also one that was complete: a framework may put another in its place
                    self.end = End(failure=TAKEN_BACK)
                    return []
            case _:
                pass
        ended = self._ending.take(stamped, event)
        told = list(self._advance()) if ended is not None or not self._whole else []
        self._finish(ended, told)
        return told

    def close(self) -> None:
        """Nothing comes after the last event: the run waits, if it has not ended."""
        if self.end is None and self._ending.waits is not None:
            self.end = End(failure=self._ending.waits)

    def _advance(self) -> Iterator[str]:
        """Tell the oldest message as it grows; one that began later waits for it."""
        while self._messages:
            id_, message = next(iter(self._messages.items()))
            yield from self._say(id_, message.pieces)
            message.pieces = []
            if not message.done:
                return
            if message.structured:
                yield from self._say(id_, [as_text(message.output)], anew=True)
            del self._messages[id_]

    def _say(self, id_: str, pieces: list[str], *, anew: bool = False) -> Iterator[str]:
        for piece in filter(None, pieces):
            gap = _GAP if self._text and (anew or id_ not in self._told) else ""
            self._told.add(id_)
            self._text.append(gap + piece)
            yield gap + piece

    def _finish(self, ended: Failure | RunCompleted | None, told: list[str]) -> None:
        if isinstance(ended, Failure):
            self.end = End(failure=ended)
        elif ended is not None:
            if not self._text and (output := as_text(ended.output)):
                self._text.append(output)
                told.append(output)
            self.end = End(text="".join(self._text), tokens=ended.usage.total_tokens)


class Queries:
    """A turn as the bank's stream tells it: each frame is a dictionary with its `event`.

    A message begins on the wire with its first words, so that one which was taken back before is not seen.
    """

    def __init__(self) -> None:
        self.over = False
        self._ending = Ending()
        self._open: dict[str, bool] = {}
        self._told: set[str] = set()

    def take(self, stamped: Stamped) -> list[dict[str, Any]]:
        """Return the frames of this event."""
        if self.over:
            return []
        event = stamped.event()
        told = list(self._message(event))
        if self.over:
            return told
        ended = self._ending.take(stamped, event)
        if isinstance(ended, Failure):
            told.append(self.failed(ended))
        elif ended is not None:
            self.over = True
            told.append({"event": "done"})
        return told

    def close(self) -> list[dict[str, Any]]:
        """Return what is told when nothing comes after the last event: the run waits."""
        waits = self._ending.waits
        return [] if self.over or waits is None else [self.failed(waits)]

    def failed(self, failure: Failure) -> dict[str, Any]:
        """Return the frame that ends a stream without an answer."""
        self.over = True
        return {"event": "error", **failure.body}

    def _message(self, event: Any) -> Iterator[dict[str, Any]]:
        match event:
            case RunCreated(message_id=str(id_)):
                yield {"event": "message_created", "message": {"id": id_, "role": "user"}}
            case MessageStarted(message_id=id_, role="assistant"):
                self._open[id_] = False
            case TextDelta(message_id=id_, delta=delta):
                yield from self._grow(id_, delta)
            case OutputPartial(message_id=id_, output=output):
                yield from self._grow(id_, as_text(output))
            case MessageCompleted(message_id=id_):
                if self._open.pop(id_, False):
                    yield {"event": "message_complete", "message_id": id_}
            case MessageRetracted(message_id=id_) | RunResumed(drop_message_id=str(id_)):
                self._open.pop(id_, None)
                if id_ in self._told:
                    yield self.failed(TAKEN_BACK)
            case _:
                pass

    def _grow(self, id_: str, token: str) -> Iterator[dict[str, Any]]:
        if id_ not in self._open:
            return
        if not self._open[id_]:
            self._open[id_] = True
            self._told.add(id_)
            yield {"event": "message_started", "message_id": id_}
        yield {"event": "text_delta", "message_id": id_, "token": token}
