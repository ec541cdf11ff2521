"""What a function says, message by message, and what readers have heard of it already.

When the function runs again from the top it says the same text again. Readers have that text, so it is compared with
the log instead of being emitted; new text goes on where the log ends. Only a call that is run anew may say something
else than before: its cut message is taken back.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from landline.model.errors import AgentFailed
from landline.model.events import MessageCompleted, MessageRetracted, MessageStarted, TextDelta
from landline.model.ids import new_id
from landline.ports.adapter import Line, agrees

__all__ = ["SCOPE", "Scope", "Speech", "inside", "mismatch"]

_SURROGATES = re.compile("[\ud800-\udfff]")
_REWRITTEN = "It was cut off and is written again."
_GIVEN_UP = "It was cut off."


@dataclass(slots=True)
class Scope:
    """One running step or tool: the text and the last partial output that came from inside it.

    `again`: it, or a call around it, was begun before a crash, so it may say something else this time.
    """

    call_id: str
    outer: "Scope | None"
    again: bool
    said: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    outputs: list[Any] = field(default_factory=list[Any])

    def hear(self, message: int, text: str) -> None:
        """Note text of the run's message number `message`; the calls around this one contain it too."""
        self.said.setdefault(message, []).append(text)
        if self.outer is not None:
            self.outer.hear(message, text)

    def see(self, output: Any) -> None:
        """Note a partial output made in here."""
        self.outputs[:] = [output]
        if self.outer is not None:
            self.outer.see(output)


# A context variable, because parallel steps of one run are tasks or threads of their own.
SCOPE: ContextVar[Scope | None] = ContextVar("landline_plain_scope", default=None)
"""The innermost running call of this task or thread. A finished call is not run again, so what happens inside it is
counted by itself and kept with it."""


@contextmanager
def inside(scope: Scope | None) -> Generator[None]:
    """Be inside `scope` for a while."""
    token = SCOPE.set(scope)
    try:
        yield
    finally:
        SCOPE.reset(token)


def mismatch(what: str) -> AgentFailed:
    """Return the error for a function that does something else when it runs again."""
    return AgentFailed(
        f"The function did not repeat what it did before it was interrupted: {what}. "
        "Code whose result may differ belongs in a step.",
        code="replay_mismatch",
    )


class Speech:
    """The assistant messages of one run, at most one open at a time.

    `stopped` is what ended the segment (a question, a mismatch): code that caught it cannot go on speaking.
    """

    def __init__(self, line: Line) -> None:
        self.stopped: BaseException | None = None
        self._line = line
        self._ordinal = 0
        self._new_from: int | None = None
        self._open: str | None = None
        self._heard = ""
        self._complete = False
        self._said: list[list[str]] = []

    @property
    def texts(self) -> list[str]:
        """What was said, message by message."""
        return [text for deltas in self._said if (text := "".join(deltas))]

    @property
    def open_text(self) -> str:
        """The text of the open message so far."""
        return "".join(self._said[-1]) if self._open is not None else ""

    @property
    def replaying(self) -> bool:
        """Whether readers have what would be said next."""
        return bool(self._heard) if self._open is not None else self._earlier(self._ordinal) is not None

    def _earlier(self, ordinal: int) -> tuple[str, str, bool] | None:
        """Return message number `ordinal`, if an earlier segment began it and it still counts."""
        if self._new_from is not None and ordinal >= self._new_from:
            return None
        return self._line.emitted_text(ordinal)

    async def message_id(self) -> str:
        """Return the open message's id; begins a message when none is open."""
        if self.stopped is not None:
            raise self.stopped
        if self._open is not None:
            return self._open
        self._said.append([])
        if (around := SCOPE.get()) is not None:
            around.hear(self._ordinal, "")
        earlier = self._earlier(self._ordinal)
        if earlier is None:
            return await self._begin()
        self._open, self._heard, self._complete = earlier
        return self._open

    async def _begin(self) -> str:
        message_id = self._open = new_id()
        self._heard, self._complete = "", False
        await self._line.emit(MessageStarted(message_id=message_id, role="assistant"))
        return message_id

    async def say(self, delta: str) -> None:
        """Say more of the open message.

        Raises:
            AgentFailed: The log has other text here (`replay_mismatch`).
        """
        if not delta:
            return
        message_id = await self.message_id()
        if not delta.isascii():
            # As the log does, or the text would not be found again.
            delta = _SURROGATES.sub("\ufffd", delta)
        self._said[-1].append(delta)
        if (around := SCOPE.get()) is not None:
            around.hear(self._ordinal, delta)
        if not agrees(self._heard, delta):
            await self._rewrite("it says other text")
            return
        if len(delta) <= len(self._heard):
            self._heard = self._heard[len(delta) :]
            return
        delta, self._heard = delta[len(self._heard) :], ""
        if self._complete:
            await self._rewrite("it says more text")
            return
        await self._line.emit(TextDelta(message_id=message_id, delta=delta))

    async def end(self) -> str | None:
        """Complete the open message and return its id, None when none is open; what is said next is a new message.

        Raises:
            AgentFailed: The log has more text than was said (`replay_mismatch`).
        """
        if self.stopped is not None:
            raise self.stopped
        if self._open is None:
            return None
        if self._heard:
            await self._rewrite("it says less text")
        message_id, text, self._open = self._open, self.open_text, None
        self._ordinal += 1
        if not self._complete:
            await self._line.emit(MessageCompleted(message_id=message_id, text=text))
        return message_id

    async def _rewrite(self, what: str) -> None:
        """Take back the open message and say anew what it has come to, where that is allowed."""
        around = SCOPE.get()
        if around is None or not around.again:
            self.stopped = mismatch(what)
            raise self.stopped
        await self._retract_from_here(_REWRITTEN)
        message_id = await self._begin()
        if text := self.open_text:
            await self._line.emit(TextDelta(message_id=message_id, delta=text))

    async def forget_the_rest(self) -> None:
        """Take back what a call said when it was cut off and did not say again, or never will."""
        if self._open is None:
            await self._retract_from_here(_GIVEN_UP)

    async def _retract_from_here(self, reason: str) -> None:
        """Take back the log's message number `_ordinal` and those after it: from here on all messages are new."""
        earlier: list[MessageRetracted] = []
        ordinal = self._ordinal
        while (message := self._earlier(ordinal)) is not None:
            earlier.append(MessageRetracted(message_id=message[0], reason=reason))
            ordinal += 1
        if earlier:
            self._new_from = self._ordinal
            await self._line.emit(*earlier)
