"""What a log says: a fold of its events into messages, tool calls, usage and attempts.

The driver folds as it goes, and recovery folds the stored log again: both end in the same state, so a run that is
taken up again knows exactly what its readers were told.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from landline.engine.meter import spent_of
from landline.model.errors import ErrorInfo
from landline.model.events import (
    Event,
    FileAdded,
    InputReceived,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    ReasoningDelta,
    RunResumed,
    RunStarted,
    SourceAdded,
    Stamped,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    UsageReported,
)
from landline.model.messages import (
    FilePart,
    Native,
    OutputPart,
    Part,
    ReasoningPart,
    Role,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_of,
)
from landline.model.runs import Usage
from landline.model.usage import Spent
from landline.ports.store import NewMessage

__all__ = ["Fold", "MessageState", "ToolState"]


@dataclass(slots=True)
class MessageState:
    """One assistant message as its events tell it."""

    id: str
    role: Role
    deltas: list[str] = field(default_factory=list[str])
    reasoning: list[str] = field(default_factory=list[str])
    before: list[Part] = field(default_factory=list[Part])
    after: list[Part] = field(default_factory=list[Part])
    output: Any = None
    has_output: bool = False
    complete: bool = False
    final_text: str | None = None

    @property
    def text(self) -> str:
        """What its deltas add up to, or the text it was completed with."""
        return self.final_text if self.final_text is not None else "".join(self.deltas)

    def parts(self) -> list[Part]:
        """Return its parts in the order of the log: tools before it, reasoning, text or output, sources."""
        parts = list(self.before)
        if self.reasoning:
            parts.append(ReasoningPart(text="".join(self.reasoning)))
        if self.has_output:
            parts.append(OutputPart(output=self.output))
        elif self.text:
            parts.append(TextPart(text=self.text))
        return parts + self.after


@dataclass(slots=True)
class ToolState:
    """One tool call: in flight until it has a result or an error."""

    name: str
    arguments: Any
    done: bool = False
    result: Any = None
    error: ErrorInfo | None = None


class Fold:
    """The state of one run's log so far."""

    def __init__(self, events: Iterable[Stamped] = ()) -> None:
        self.messages: dict[str, MessageState] = {}
        self.tools: dict[str, ToolState] = {}
        self.inputs: dict[str, Sequence[Part]] = {}
        """What the user gave the running turn, by message id, in order."""
        self._order: list[str] = []
        self.usage = Usage()
        self.spent = Spent()
        """Model calls and calls of tools, with what they used."""
        self.attempt = 0
        self.last_type: str | None = None
        self._loose: list[Part] = []
        self._homes: dict[str, list[Part]] = {}
        for stamped in events:
            event = stamped.event()
            if isinstance(event, Event):
                self.apply(event)

    def apply(self, event: Event) -> None:  # noqa: C901, PLR0912 - one arm per kind of event; a table would hide the types
        """Take `event` in."""
        self.last_type = event.type
        match event:
            case TextDelta(message_id=id_, delta=delta):
                self.messages[id_].deltas.append(delta)
            case ReasoningDelta(message_id=id_, delta=delta):
                self.messages[id_].reasoning.append(delta)
            case OutputPartial(message_id=id_, output=output):
                message = self.messages[id_]
                message.output, message.has_output = output, True
            case MessageStarted(message_id=id_, role=role):
                self.messages[id_] = MessageState(id=id_, role=role, before=self._loose)
                self._loose = []
                self._order.append(id_)
            case InputReceived(message_id=id_, input=parts):
                self.inputs[id_] = parts
                self._order.append(id_)
            case MessageCompleted(message_id=id_, text=text):
                message = self.messages[id_]
                message.complete, message.final_text = True, text
            case MessageRetracted(message_id=id_):
                self._drop(id_)
            case ToolCalled(call_id=id_, name=name, arguments=arguments):
                self.spent = self.spent.plus(spent_of(event))
                self.tools[id_] = ToolState(name=name, arguments=arguments)
                self._loose.append(ToolCallPart(call_id=id_, name=name, arguments=arguments))
                self._homes[id_] = self._loose
            case ToolCompleted(call_id=id_, result=result):
                tool = self.tools[id_]
                tool.done, tool.result = True, result
                self._homes[id_].append(ToolResultPart(call_id=id_, name=tool.name, result=result))
            case ToolFailed(call_id=id_, error=error):
                tool = self.tools[id_]
                tool.done, tool.error = True, error
                self._homes[id_].append(ToolResultPart(call_id=id_, name=tool.name, error=error.message))
            case SourceAdded(message_id=id_, title=title, url=url, quote=quote):
                self.messages[id_].after.append(SourcePart(title=title, url=url, quote=quote))
            case FileAdded(message_id=id_, file_id=file_id, name=name, media_type=media_type):
                self.messages[id_].after.append(FilePart(file_id=file_id, name=name, media_type=media_type))
            case UsageReported():
                self.spent = self.spent.plus(spent_of(event))
                self.usage = self.usage.plus(
                    Usage(
                        input_tokens=event.input_tokens,
                        output_tokens=event.output_tokens,
                        total_tokens=event.total_tokens,
                        cost_usd=event.cost_usd,
                    )
                )
            case RunStarted(attempt=attempt):
                self.attempt = attempt
            case RunResumed(attempt=attempt, drop_message_id=dropped):
                self.attempt = attempt
                if dropped is not None:
                    self._drop(dropped)
            case _:
                pass

    def _drop(self, message_id: str) -> None:
        dropped = self.messages.pop(message_id, None)
        if dropped is not None:
            # What tools did stays true when the text around it is taken back.
            kept, later = dropped.before, self._loose
            kept += later
            self._homes = {id_: kept if home is later else home for id_, home in self._homes.items()}
            self._loose = kept

    @property
    def open_message(self) -> MessageState | None:
        """The message that was started and not completed."""
        return next((message for message in self.messages.values() if not message.complete), None)

    @property
    def last_message(self) -> MessageState | None:
        """The newest message that counts."""
        return next(reversed(self.messages.values()), None)

    @property
    def loose(self) -> bool:
        """Whether tools ran after the last message, so that one more message is needed to hold them."""
        return bool(self._loose)

    def rows(
        self, *, at: str, native: Native | None, mark: str | None, taken: Collection[str] = ()
    ) -> list[NewMessage]:
        """Return the messages as rows, and the input that was `taken` where it came.

        `native` goes with the last, `mark` (stopped, incomplete) on an open one.
        """
        rows = [
            self._message_row(self.messages[id_], at, mark)
            if id_ in self.messages
            else self.input_row(id_, at=at)
            for id_ in self._order
            if id_ in self.messages or id_ in taken
        ]
        if rows and native is not None:
            rows[-1] = replace(rows[-1], native=native)
        return rows

    @staticmethod
    def _message_row(message: MessageState, at: str, mark: str | None) -> NewMessage:
        metadata = {mark: True} if mark and not message.complete else {}
        return NewMessage(
            id=message.id,
            role=message.role,
            content=message.text,
            parts=message.parts(),
            at=at,
            metadata=metadata,
        )

    def input_row(self, message_id: str, *, at: str) -> NewMessage:
        """Return the row of what the user gave the running turn."""
        parts = tuple(self.inputs[message_id])
        return NewMessage(id=message_id, role="user", content=text_of(parts), parts=parts, at=at)
