"""What a function says, message by message, and what readers have heard of it already.

When the function runs again from the top it says the same text again. Readers have that text, so it is compared with
the log instead of being emitted; new text goes on where the log ends.
"""

from landline.adapters.plain import scope
from landline.model.errors import AgentFailed
from landline.model.events import MessageCompleted, MessageStarted, TextDelta
from landline.model.ids import new_id
from landline.ports.adapter import Line

__all__ = ["Speech", "mismatch"]


def mismatch(what: str) -> AgentFailed:
    """Return the error for a function that does something else when it runs again."""
    return AgentFailed(
        f"The function did not repeat what it did before it was interrupted: {what}. "
        "Code whose result may differ belongs in a step.",
        code="replay_mismatch",
    )


class Speech:
    """The assistant messages of one run, at most one open at a time."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._ordinal = 0
        self._open: str | None = None
        self._heard = ""
        self._complete = False
        self._said: list[list[str]] = []

    @property
    def text(self) -> str:
        """Everything said, over all messages."""
        return "".join(delta for message in self._said for delta in message)

    @property
    def last(self) -> str | None:
        """The text of the newest message."""
        return "".join(self._said[-1]) if self._said else None

    @property
    def replaying(self) -> bool:
        """Whether readers have what would be said next."""
        return bool(self._heard) if self._open else self._line.emitted_text(self._ordinal) is not None

    async def message_id(self) -> str:
        """Return the open message's id; begins a message when none is open."""
        if self._open is not None:
            return self._open
        self._said.append([])
        earlier = self._line.emitted_text(self._ordinal)
        if earlier is not None:
            self._open, self._heard, self._complete = earlier
            return self._open
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
        self._said[-1].append(delta)
        if (around := scope.current()) is not None:
            around.hear(delta)
        if self._heard.startswith(delta):
            self._heard = self._heard[len(delta) :]
            return
        if not delta.startswith(self._heard):
            raise mismatch("it says other text")
        delta, self._heard = delta[len(self._heard) :], ""
        if self._complete:
            raise mismatch("it says more text")
        await self._line.emit(TextDelta(message_id=message_id, delta=delta))

    async def end(self) -> None:
        """Complete the open message, if there is one; what is said next is a new message.

        Raises:
            AgentFailed: The log has more text than was said (`replay_mismatch`).
        """
        if self._open is None:
            return
        if self._heard:
            raise mismatch("it says less text")
        message_id, self._open = self._open, None
        self._ordinal += 1
        if not self._complete:
            await self._line.emit(MessageCompleted(message_id=message_id, text="".join(self._said[-1])))
