"""Events of another Landline's log as events of ours: the same kinds, with message ids of our own."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec

from landline.adapters.remote.failures import failed
from landline.adapters.remote.native_cursor import Cursor, Place
from landline.model.events import (
    AgentChanged,
    Custom,
    Event,
    FileAdded,
    GuardTripped,
    InputReceived,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    QuestionAnswered,
    QuestionAsked,
    ReasoningDelta,
    RunCreated,
    RunResumed,
    RunStarted,
    SourceAdded,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
    Unknown,
    UsageReported,
)
from landline.model.ids import new_id
from landline.ports.adapter import Line, agrees

__all__ = ["Translation"]

_OWN = (RunCreated, RunStarted, InputReceived, QuestionAsked, QuestionAnswered)
"""What our own log says in its own words."""
_SAME = (
    ToolCalled, ToolProgress, ToolCompleted, ToolFailed, UsageReported, Custom, AgentChanged, GuardTripped,
)  # fmt: skip


class Translation:
    """Takes the events there in order; an id chosen there is never used here, where it could name another's message."""

    def __init__(self, cursor: Cursor, line: Line) -> None:
        self._cursor = cursor
        self._text = self._emitted(line) if cursor.open else ""
        # A guard here may have held back what was said there before the cursor: it is told with the whole text.
        self._short = len(self._text) < cursor.said and cursor.open is not None
        # What our readers have beyond the stored cursor: said again over there, not here.
        self._known = self._text[cursor.said :]
        self._text = self._text[: cursor.said]
        self.last_text = ""

    def _emitted(self, line: Line) -> str:
        ours = self._cursor.messages.get(self._cursor.open or "")
        for ordinal in count():
            found = line.emitted_text(ordinal)
            if found is None:
                return ""
            if found[0] == ours:
                return found[1]
        return ""

    @property
    def speaking(self) -> bool:
        """Whether a message is open."""
        return self._cursor.open is not None

    def of(self, event: Event | Unknown, place: Place) -> Iterator[Event]:
        """Yield what `event` is in our log; the cursor is kept with the last of it."""
        if isinstance(event, TextDelta):
            if not self._short:
                yield from self._delta(event)
            return
        if self._short and isinstance(event, MessageCompleted):
            yield from self._catch_up(event)
        told = self._translated(event)
        if told is not None:
            self._cursor.said = len(self._text)
            self._cursor.keep()
            yield told

    def _delta(self, event: TextDelta) -> Iterator[Event]:
        ours, delta = self._ours(event.message_id), event.delta
        self._text += delta
        if self._known:
            again, delta = delta[: len(self._known)], delta[len(self._known) :]
            if not agrees(self._known, again):
                raise failed("invalid_response")
            self._known = self._known[len(again) :]
        if delta:
            yield TextDelta(message_id=ours, delta=delta)

    def _catch_up(self, event: MessageCompleted) -> Iterator[Event]:
        ours, heard = self._ours(event.message_id), self._text
        if not agrees(heard, event.text) or len(heard) > len(event.text):
            raise failed("invalid_response")
        self._text, self._short = event.text, False
        if len(event.text) > len(heard):
            yield TextDelta(message_id=ours, delta=event.text[len(heard) :])

    def _translated(self, event: Event | Unknown) -> Event | None:
        if isinstance(event, _OWN):
            return None
        if isinstance(event, _SAME):
            return event
        told: Event | None = None
        match event:
            case MessageStarted(message_id=id_, role="assistant"):
                told = self._begin(id_)
            case ReasoningDelta(message_id=id_) | SourceAdded(message_id=id_):
                told = msgspec.structs.replace(event, message_id=self._ours(id_))
            case OutputPartial(message_id=id_):
                told = msgspec.structs.replace(event, message_id=self._ours(id_))
                self._cursor.structured = True
            case MessageCompleted(message_id=id_):
                told = self._complete(id_, event.text)
            case MessageRetracted(message_id=id_, reason=reason):
                told = self._retract(id_, reason)
            case RunResumed(drop_message_id=str(id_)):
                told = self._retract(id_, "rewritten")
            case FileAdded():
                # Its bytes are on the other server, under that server's access rules.
                told = Custom(name="remote.file", data={"name": event.name, "media_type": event.media_type})
            case Unknown(type=kind, body=body):
                told = Custom(name="remote.event", data={"type": kind, "event": _fields(body)})
            case _:
                pass
        return told

    def _ours(self, id_: str) -> str:
        if id_ != self._cursor.open:
            raise failed("invalid_response")
        return self._cursor.messages[id_]

    def _begin(self, id_: str) -> Event:
        if self._cursor.open is not None or id_ in self._cursor.messages:
            raise failed("invalid_response")
        ours = self._cursor.messages[id_] = new_id()
        self._cursor.open, self._cursor.structured = id_, False
        self._text = self._known = ""
        return MessageStarted(message_id=ours, role="assistant")

    def _complete(self, id_: str, text: str) -> Event:
        ours = self._ours(id_)
        same = len(self._text) == len(text) and agrees(self._text, text)
        if self._known or (not same and not self._cursor.structured):
            raise failed("invalid_response")
        self._cursor.open, self.last_text = None, text
        self._text = ""
        return MessageCompleted(message_id=ours, text=text)

    def _retract(self, id_: str, reason: str) -> Event | None:
        ours = self._cursor.messages.pop(id_, None)
        if id_ == self._cursor.open:
            self._cursor.open, self._text, self._known, self._short = None, "", "", False
        return MessageRetracted(message_id=ours, reason=reason) if ours else None


def _fields(body: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(body)
    return {k: v for k, v in fields.items() if k not in ("seq", "run_id", "thread_id", "at", "type")}
