"""The events of a run's log, the only truth (EVT-1): each kind is one frozen struct, its `type` the tag on the wire.

An event is encoded once, when it is stamped with its place in the log; every reader and every row shares those
bytes. Kinds this build does not know pass through as `Unknown` (EVT-3).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec

from landline.model.errors import ErrorInfo
from landline.model.messages import Part, Role
from landline.model.runs import Outcome, Question, Status, Usage

__all__ = [
    "TERMINAL_EVENTS",
    "AgentChanged",
    "Custom",
    "Event",
    "FileAdded",
    "GuardTripped",
    "InputReceived",
    "MessageCompleted",
    "MessageRetracted",
    "MessageStarted",
    "OutputPartial",
    "QuestionAnswered",
    "QuestionAsked",
    "ReasoningDelta",
    "RunCancelled",
    "RunCompleted",
    "RunCreated",
    "RunFailed",
    "RunResumed",
    "RunStarted",
    "RunWaiting",
    "SourceAdded",
    "Stamped",
    "TextDelta",
    "ToolCalled",
    "ToolCompleted",
    "ToolFailed",
    "ToolProgress",
    "Unknown",
    "UsageReported",
    "decode_event",
    "encode",
    "mended",
    "stamp",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """One thing that happened in a run."""

    @property
    def type(self) -> str:
        """The tag on the wire, such as `text.delta`."""
        return str(self.__struct_config__.tag)


class RunCreated(Event, frozen=True, kw_only=True, tag="run.created"):
    """The run is accepted; `message_id` is the user's message, `input` its parts (seq 1)."""

    status: Status
    message_id: str | None
    input: Sequence[Part]


class RunStarted(Event, frozen=True, kw_only=True, tag="run.started"):
    """A driver took the run up."""

    agent: str
    attempt: int


class InputReceived(Event, frozen=True, kw_only=True, tag="input.received"):
    """New input was given to the running turn (steering)."""

    message_id: str
    input: Sequence[Part]


class MessageStarted(Event, frozen=True, kw_only=True, tag="message.started"):
    """A message begins; its id is final."""

    message_id: str
    role: Role


class TextDelta(Event, frozen=True, kw_only=True, tag="text.delta"):
    """More text of a message; the deltas of a message add up to its final text."""

    message_id: str
    delta: str


class ReasoningDelta(Event, frozen=True, kw_only=True, tag="reasoning.delta"):
    """More of what the model says it thinks."""

    message_id: str
    delta: str


class OutputPartial(Event, frozen=True, kw_only=True, tag="output.partial"):
    """The structured output so far, valid as a partial; each one replaces the one before."""

    message_id: str
    output: Any


class MessageCompleted(Event, frozen=True, kw_only=True, tag="message.completed"):
    """A message is whole; `text` is what its deltas add up to."""

    message_id: str
    text: str


class MessageRetracted(Event, frozen=True, kw_only=True, tag="message.retracted"):
    """What was streamed of this message does not count any more."""

    message_id: str
    reason: str


class ToolCalled(Event, frozen=True, kw_only=True, tag="tool.called"):
    """The intent to run a tool, stored before the tool runs (ADP-4)."""

    call_id: str
    name: str
    arguments: Any


class ToolProgress(Event, frozen=True, kw_only=True, tag="tool.progress"):
    """A running tool says how far it is; `fraction` is 0 to 1."""

    call_id: str
    message: str | None = None
    fraction: float | None = None


class ToolCompleted(Event, frozen=True, kw_only=True, tag="tool.completed"):
    """A tool gave its result, stored before the agent sees it."""

    call_id: str
    result: Any


class ToolFailed(Event, frozen=True, kw_only=True, tag="tool.failed"):
    """A tool raised, was denied, or asked the model to try again; `error.message` is safe to show."""

    call_id: str
    error: ErrorInfo


class QuestionAsked(Event, frozen=True, kw_only=True, tag="question.asked"):
    """The run needs an answer (WIRE-2)."""

    question_id: str
    kind: Literal["approval", "input", "choice"]
    prompt: str
    tool: str | None = None
    call_id: str | None = None
    arguments: Any = None
    choices: Sequence[str] | None = None
    expires_at: str | None = None
    client: bool = False


class QuestionAnswered(Event, frozen=True, kw_only=True, tag="question.answered"):
    """A question is settled."""

    question_id: str
    by: str
    outcome: Outcome


class AgentChanged(
    Event, frozen=True, kw_only=True, tag="agent.changed", rename={"source": "from", "target": "to"}
):
    """A handoff: another agent goes on."""

    source: str
    target: str


class GuardTripped(Event, frozen=True, kw_only=True, tag="guard.tripped"):
    """A guard on content acted."""

    guard: str
    stage: str
    action: str
    info: Any = None


class SourceAdded(Event, frozen=True, kw_only=True, tag="source"):
    """A source the message rests on."""

    message_id: str
    title: str
    url: str | None = None
    quote: str | None = None


class FileAdded(Event, frozen=True, kw_only=True, tag="file"):
    """A file the message carries."""

    message_id: str
    file_id: str
    name: str
    media_type: str


class UsageReported(Event, frozen=True, kw_only=True, tag="usage"):
    """Tokens of one model call; `cost_usd` in US dollars when it is known, `model` when its provider said which answered."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost_usd: float | None = None
    model: str | None = None


class Custom(Event, frozen=True, kw_only=True, tag="custom"):
    """An event of the agent's own."""

    name: str
    data: Any = None


class RunWaiting(Event, frozen=True, kw_only=True, tag="run.waiting"):
    """The segment ended with open questions."""

    questions: Sequence[Question]


class RunResumed(Event, frozen=True, kw_only=True, tag="run.resumed"):
    """The run goes on: `answered`, or `recovered` after its worker was lost.

    `drop_message_id` names a message that was cut and will be written again: readers forget its text.
    """

    attempt: int
    reason: Literal["answered", "recovered"]
    drop_message_id: str | None = None


class RunCompleted(Event, frozen=True, kw_only=True, tag="run.completed"):
    """The run ended well (last event)."""

    output: Any
    message_id: str | None
    usage: Usage


class RunFailed(Event, frozen=True, kw_only=True, tag="run.failed"):
    """The run ended with an error (last event); a message left open is incomplete."""

    error: ErrorInfo


class RunCancelled(Event, frozen=True, kw_only=True, tag="run.cancelled"):
    """The run was stopped (last event); `message_id` is the partial answer that was kept.

    `still_finishing` names tool calls in threads that cannot be stopped and may still end (RUN-5).
    """

    by: str
    message_id: str | None = None
    still_finishing: Sequence[str] = ()


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a kind this build does not know; `body` is its JSON."""

    type: str
    body: bytes


AnyEvent = (
    RunCreated
    | RunStarted
    | InputReceived
    | MessageStarted
    | TextDelta
    | ReasoningDelta
    | OutputPartial
    | MessageCompleted
    | MessageRetracted
    | ToolCalled
    | ToolProgress
    | ToolCompleted
    | ToolFailed
    | QuestionAsked
    | QuestionAnswered
    | AgentChanged
    | GuardTripped
    | SourceAdded
    | FileAdded
    | UsageReported
    | Custom
    | RunWaiting
    | RunResumed
    | RunCompleted
    | RunFailed
    | RunCancelled
)

TERMINAL_EVENTS = frozenset({"run.completed", "run.failed", "run.cancelled"})
"""Types of which a log has exactly one, as its last event."""

_KINDS: dict[str, type[Event]] = {str(kind.__struct_config__.tag): kind for kind in AnyEvent.__args__}
_encoder = msgspec.json.Encoder()
_decoders = {tag: msgspec.json.Decoder(kind) for tag, kind in _KINDS.items()}


def encode(value: object) -> bytes:
    """Return `value` (structs, dataclasses, plain JSON data) as compact UTF-8 JSON."""
    return _encoder.encode(value)


_SURROGATES = re.compile("[\ud800-\udfff]")


AnEvent = TypeVar("AnEvent", bound=Event)


def mended(event: AnEvent) -> tuple[AnEvent, bytes]:
    """Return `event` and its JSON, with lone surrogates, which are no text, replaced by U+FFFD.

    Models and tools do produce them; each is replaced by itself, so that deltas still add up to the final text.

    Raises:
        TypeError, OverflowError: It holds data that is not JSON.
        msgspec.ValidationError: A field is of the wrong type.
    """
    try:
        body = _encoder.encode(event)
    except UnicodeEncodeError:
        event = msgspec.convert(_replaced(msgspec.to_builtins(event)), type(event))
        body = _encoder.encode(event)
    if not isinstance(event, (TextDelta, ReasoningDelta)) or type(event.delta) is not str:
        # Structs check nothing when they are made: what does not read back would be unreadable for ever.
        _decoders[event.type].decode(body)
    return event, body


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_replaced(k): _replaced(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType] - any JSON
    if isinstance(value, list):
        return [_replaced(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - any JSON
    return value


def decode_event(type_: str, body: bytes) -> Event | Unknown:
    """Return the event that `encode` wrote, or `Unknown` for a kind of another build."""
    decoder = _decoders.get(type_)
    return decoder.decode(body) if decoder else Unknown(type=type_, body=body)


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event in its place in the log: `seq` is 1..n per run without gap; `body` is the event's own JSON."""

    seq: int
    run_id: str
    thread_id: str
    at: str
    type: str
    body: bytes

    @property
    def wire(self) -> bytes:
        """The event as every native wire carries it: `{seq, run_id, thread_id, at, type, …}`.

        Not kept: it takes a microsecond to make, and a stalled reader would hold its page twice.
        """
        ids = f'"run_id":"{self.run_id}","thread_id":"{self.thread_id}"'
        return f'{{"seq":{self.seq},{ids},"at":"{self.at}",'.encode() + self.body[1:]

    @property
    def terminal(self) -> bool:
        """Whether this is the last event of its run."""
        return self.type in TERMINAL_EVENTS

    def event(self) -> Event | Unknown:
        """Return the decoded event."""
        return decode_event(self.type, self.body)


def stamp(event: Event, *, seq: int, run_id: str, thread_id: str, at: str) -> Stamped:
    """Give `event` its place in the log; this is where it is encoded, once."""
    return Stamped(seq, run_id, thread_id, at, event.type, _encoder.encode(event))
