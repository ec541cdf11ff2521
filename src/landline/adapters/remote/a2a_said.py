"""An A2A task's artifacts as messages of ours: text that grows, and is written again when the agent replaces it."""

from collections.abc import Iterator
from typing import Any

from landline.adapters.remote.a2a_wire import News
from landline.model.events import (
    Event,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    TextDelta,
)
from landline.model.ids import new_id

__all__ = ["Said"]


class Said:
    """What the artifacts hold. `shown` is what of each is in messages that are complete already."""

    def __init__(self, shown: dict[str, str]) -> None:
        self.shown = dict(shown)
        self.text = ""
        self.data: Any = None
        self._artifacts: dict[str, str] = {}
        self._open: str | None = None

    @property
    def speaking(self) -> bool:
        """Whether a message is open."""
        return self._open is not None

    def take(self, news: News) -> Iterator[Event]:
        """Take an artifact in, whole or a piece of it."""
        before = self._artifacts.get(news.artifact, self.shown.get(news.artifact, ""))
        now = before + news.text if news.append else news.text
        if news.data:
            self.data = news.data[-1]
        self._artifacts[news.artifact] = now
        if not now.startswith(before):
            yield from self._again()
            return
        yield from self.say(now[len(before) :])

    def say(self, text: str) -> Iterator[Event]:
        """Add text to the message."""
        if not text:
            return
        yield from self._begin()
        self.text += text
        yield TextDelta(message_id=self._open or "", delta=text)

    def _begin(self) -> Iterator[Event]:
        if self._open is None:
            self._open = new_id()
            self.text = ""
            yield MessageStarted(message_id=self._open, role="assistant")

    def _again(self) -> Iterator[Event]:
        if self._open is not None:
            yield MessageRetracted(message_id=self._open, reason="rewritten")
            self._open = None
        for artifact, text in self._artifacts.items():
            # What replaces a part of an earlier message is said whole: that message stays as it was read.
            yield from self.say(text.removeprefix(self.shown.get(artifact, "")))

    def settle(self) -> None:
        """Count what was said so far as shown; the caller stores it with the end of the message."""
        self.shown |= self._artifacts

    def complete(self, *, output: Any = None) -> Iterator[Event]:
        """End the message, with a structured output if there is one."""
        if output is not None:
            yield from self._begin()
            yield OutputPartial(message_id=self._open or "", output=output)
        if self._open is not None:
            yield MessageCompleted(message_id=self._open, text=self.text)
            self._open = None
