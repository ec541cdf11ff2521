"""How far another Landline's log was read: kept beside our own events, so that both are stored or neither is."""

from typing import Any, cast

import msgspec

from landline.adapters.remote.failures import failed
from landline.adapters.remote.native_questions import RemoteQuestion
from landline.model.events import Event, Unknown, decode_event
from landline.ports.adapter import Line

__all__ = ["Cursor", "Place"]

KEY = "remote.cursor"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One event there."""

    seq: int
    at: str
    event: Event | Unknown


class _Kept(msgspec.Struct, kw_only=True):
    """What is stored: `messages` are ours by theirs, `open` is the one that speaks, `said` its characters so far."""

    run: str
    thread: str
    seq: int
    messages: dict[str, str] = {}
    open: str | None = None
    said: int = 0
    structured: bool = False
    waiting: list[RemoteQuestion] | None = None


class Cursor:
    """The place in the log there that belongs to the tail of ours."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.run = self.thread = ""
        self.seq = 0
        self.messages: dict[str, str] = {}
        self.open: str | None = None
        self.said = 0
        self.structured = False
        self.waiting: list[RemoteQuestion] | None = None

    @classmethod
    def of(cls, line: Line) -> "Cursor":
        """Return the cursor as an earlier segment left it, or one at the beginning."""
        cursor = cls(line)
        stored = line.recorded(KEY)
        if stored is not None:
            kept = msgspec.json.decode(stored, type=_Kept)
            for name in _Kept.__struct_fields__:
                setattr(cursor, name, getattr(kept, name))
        return cursor

    def take(self, data: str) -> Place | None:
        """Return the next event, or None for one that was read already.

        Raises:
            AgentFailed: It is not the next one, of another run, or no event.
        """
        try:
            found = msgspec.json.decode(data)
            fields = cast("dict[str, Any]", found)
            seq, run, thread, kind = fields["seq"], fields["run_id"], fields["thread_id"], fields["type"]
            at = str(fields["at"])
            if not (isinstance(seq, int) and all(isinstance(v, str) and v for v in (run, thread, kind))):
                raise failed("invalid_response")
            if seq <= self.seq:
                return None
            event = decode_event(kind, data.encode())
        except (msgspec.MsgspecError, KeyError, TypeError):
            raise failed("invalid_response") from None
        first = fields.get("first_seq", seq)
        if (self.run and run != self.run) or not isinstance(first, int) or first > self.seq + 1:
            raise failed("invalid_response")
        self.run, self.thread, self.seq = run, thread, seq
        return Place(seq=seq, at=at, event=event)

    def keep(self) -> None:
        """Store the cursor with the event that is emitted next."""
        kept = _Kept(
            run=self.run,
            thread=self.thread,
            seq=self.seq,
            messages=self.messages,
            open=self.open,
            said=self.said,
            structured=self.structured,
            waiting=self.waiting,
        )
        self._line.record(KEY, msgspec.json.encode(kept))

    def wait(self, questions: list[RemoteQuestion], *, seq: int) -> None:
        """Note that the run there waits."""
        self.waiting, self.seq = questions, seq
        self.keep()

    def go_on(self) -> None:
        """Note that the answers were passed on."""
        self.waiting = None
        self.keep()
