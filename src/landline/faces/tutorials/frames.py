"""The frame styles of the text wires (X6): each says where a stream begins, what it adds, and how it ends.

Bare text in an event stream cannot hold a carriage return, which ends a line there: in the lesson's tokens it becomes a
line feed. The other styles are JSON and change nothing.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final, Protocol

import msgspec

from landline.faces.tutorials.encode import End, Queries, TextTurn
from landline.faces.tutorials.errors import WAITING, Failure
from landline.model.events import Stamped

__all__ = [
    "Deltas",
    "Indexed",
    "Lesson",
    "QueryFrames",
    "SocketMessages",
    "Style",
    "TextFrames",
    "Tokens",
    "data_frame",
]

_encode: Final = msgspec.json.Encoder().encode


def data_frame(value: Any, *, event: str | None = None, id_: str | None = None) -> bytes:
    """Return one frame whose data is JSON."""
    head = (f"id: {id_}\n" if id_ else "") + (f"event: {event}\n" if event else "")
    return head.encode() + b"data: %s\n\n" % _encode(value)


class Style(Protocol):
    """How one wire writes a turn."""

    def begin(self, first: Stamped) -> bytes:
        """Return what is said before anything else."""
        ...

    def piece(self, text: str) -> bytes:
        """Return more of the text."""
        ...

    def end(self, end: End) -> bytes:
        """Return the last frame."""
        ...

    def failed(self, failure: Failure) -> bytes:
        """Return the last frame of a stream that broke."""
        ...


class Lesson:
    """Named events: `session` with the id, `token` with bare text, `done` with the turn's tokens, `error`."""

    def __init__(self) -> None:
        self._held = ""

    def begin(self, first: Stamped) -> bytes:
        """Return the session's id."""
        return _bare("session", first.thread_id)

    def piece(self, text: str) -> bytes:
        """Return a token; a carriage return at its end waits, since a line feed may follow."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        text = _lines(text.removesuffix("\r"))
        return _bare("token", text) if text else b""

    def end(self, end: End) -> bytes:
        """Return the total, or the error."""
        if end.failure is not None:
            return self.failed(end.failure)
        rest = _bare("token", "\n") if self._held else b""
        return rest + _bare("done", str(end.tokens))

    def failed(self, failure: Failure) -> bytes:
        """Return the error as JSON."""
        return data_frame(failure.body, event="error")


class Deltas:
    """Unnamed frames: `{delta}`, then `{done: true, final, session_id}`, or `{error, detail}`."""

    def __init__(self) -> None:
        self._thread = ""

    def begin(self, first: Stamped) -> bytes:
        """Return nothing; the session is told at the end."""
        self._thread = first.thread_id
        return b""

    def piece(self, text: str) -> bytes:
        """Return an increment."""
        return data_frame({"delta": text})

    def end(self, end: End) -> bytes:
        """Return the whole text, or the error."""
        if end.failure is not None:
            return self.failed(end.failure)
        return data_frame({"done": True, "final": end.text, "session_id": self._thread})

    def failed(self, failure: Failure) -> bytes:
        """Return the error."""
        return data_frame(failure.body)


class Tokens:
    """Unnamed frames: `{token}`, then `{done: true}`, or `{error, type}`."""

    def begin(self, first: Stamped) -> bytes:
        """Return nothing."""
        return b""

    def piece(self, text: str) -> bytes:
        """Return an increment."""
        return data_frame({"token": text})

    def end(self, end: End) -> bytes:
        """Return that it is done, or the error."""
        return data_frame({"done": True}) if end.failure is None else self.failed(end.failure)

    def failed(self, failure: Failure) -> bytes:
        """Return the error; `type` is its code."""
        return data_frame({"error": failure.error, "type": failure.code})


class Indexed:
    """Unnamed frames `{token, index}`, each with an id to come back with, then an event `done`.

    `seen` is the last index that the reader has; frames up to it are left out. An id is the run, how many of its messages
    had been taken back, and the index: when more are by the time that the reader comes back, its indexes count no more.
    """

    def __init__(self, *, seen: int = -1, taken_back: int = 0) -> None:
        self._seen, self._taken_back = seen, taken_back
        self._index = -1
        self._run = ""

    def begin(self, first: Stamped) -> bytes:
        """Return nothing."""
        self._run = first.run_id
        return b""

    def piece(self, text: str) -> bytes:
        """Return an increment with its place."""
        self._index += 1
        if self._index <= self._seen:
            return b""
        return data_frame({"token": text, "index": self._index}, id_=self._place)

    def end(self, end: End) -> bytes:
        """Return that it is done, or the error; what is final has the place after the last increment."""
        self._index += 1
        if self._index <= self._seen:
            return b""
        if end.failure is not None:
            # A run that waits goes on later, and its next increment has this place.
            place = None if end.failure.code == WAITING else self._place
            return data_frame(end.failure.body, event="error", id_=place)
        return data_frame({"index": self._index}, event="done", id_=self._place)

    def failed(self, failure: Failure) -> bytes:
        """Return the error without an id: whoever comes back goes on where it was."""
        return data_frame(failure.body, event="error")

    @property
    def _place(self) -> str:
        return f"{self._run}:{self._taken_back}:{self._index}"


class SocketMessages:
    """Messages of the socket: `{type: token, content}`, `{type: complete, full_response}`, `{type: error, …}`."""

    def begin(self, first: Stamped) -> bytes:
        """Return nothing."""
        return b""

    def piece(self, text: str) -> bytes:
        """Return an increment."""
        return _encode({"type": "token", "content": text})

    def end(self, end: End) -> bytes:
        """Return the whole text, or the error."""
        if end.failure is not None:
            return self.failed(end.failure)
        return _encode({"type": "complete", "full_response": end.text})

    def failed(self, failure: Failure) -> bytes:
        """Return the error."""
        return _encode({"type": "error", **failure.body})


class TextFrames:
    """A turn in one style, without the messages that are known to have been taken back; `over` once all is said."""

    def __init__(self, style: Style, *, without: Collection[str] = ()) -> None:
        self.style = style
        self._turn = TextTurn(without=without)
        self._begun = False
        self.over = False

    def take(self, batch: Iterable[Stamped]) -> list[bytes]:
        """Return the frames of these events."""
        said: list[bytes] = []
        for stamped in batch:
            if not self._begun:
                self._begun = True
                said.append(self.style.begin(stamped))
            said += map(self.style.piece, self._turn.take(stamped))
            said += self._ended()
        return [frame for frame in said if frame]

    def close(self) -> list[bytes]:
        """Return what is said when no event comes any more."""
        self._turn.close()
        return [frame for frame in self._ended() if frame]

    def _ended(self) -> list[bytes]:
        if self._turn.end is None or self.over:
            return []
        self.over = True
        return [self.style.end(self._turn.end)]

    def failed(self, failure: Failure) -> bytes:
        """Return the last frame of a stream that broke."""
        return self.style.failed(failure)


class QueryFrames:
    """The bank's stream: the event's name is in the frame and in its JSON."""

    def __init__(self) -> None:
        self._queries = Queries()

    @property
    def over(self) -> bool:
        """Whether the last frame was said."""
        return self._queries.over

    def take(self, batch: Iterable[Stamped]) -> list[bytes]:
        """Return the frames of these events."""
        return [_named(told) for stamped in batch for told in self._queries.take(stamped)]

    def close(self) -> list[bytes]:
        """Return what is said when no event comes any more."""
        return [_named(told) for told in self._queries.close()]

    def failed(self, failure: Failure) -> bytes:
        """Return the last frame of a stream that broke."""
        return _named(self._queries.failed(failure))


def _named(told: dict[str, Any]) -> bytes:
    return data_frame(told, event=told["event"])


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _bare(event: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.split("\n"))
    return f"event: {event}\n{lines}\n".encode()
