"""A run's events as a response and its frames: a pure function of the record and the log, the same bytes every time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from landline.faces.openai.responses_ids import approval_id, call_id
from landline.faces.openai.responses_output import Frame, Output, json_text
from landline.faces.openai.responses_record import Record
from landline.model.errors import ErrorInfo, Gone
from landline.model.events import (
    MessageCompleted,
    MessageRetracted,
    QuestionAsked,
    ReasoningDelta,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunResumed,
    RunStarted,
    RunWaiting,
    SourceAdded,
    Stamped,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    UsageReported,
)
from landline.model.runs import Usage
from landline.model.times import parse_iso

__all__ = ["DONE", "Encoder", "Retractions", "response_of", "retractions", "sse"]

DONE: Final = b"data: [DONE]\n\n"
"""The last line of a stream, as Open Responses wants it; no event."""

Retractions = Mapping[str, int]
"""Messages that were taken back, each with the place where the log says so."""

_NOT_CALLED: Final = ErrorInfo(
    code="tool_choice_not_kept", message="The agent answered without the call that tool_choice asks for."
)

_Status = Literal["queued", "in_progress", "completed", "failed", "cancelled"]
_encode: Final = msgspec.json.Encoder().encode


def sse(frames: Iterable[Frame]) -> bytes:
    """Return frames as server-sent events."""
    return b"".join(
        [b"event: %s\ndata: %s\n\n" % (frame["type"].encode(), _encode(frame)) for frame in frames]
    )


def retractions(events: Iterable[Stamped]) -> Retractions:
    """Return what a response's events take back; a read that begins with them leaves it out."""
    found: dict[str, int] = {}
    for event in events:
        if event.type in {"message.retracted", "run.resumed"}:
            message_id = _taken_back(event.event())
            if message_id is not None:
                found[message_id] = event.seq
        if event.type == "run.waiting" or event.terminal:
            break
    return found


def response_of(record: Record, events: Sequence[Stamped]) -> dict[str, Any]:
    """Return the response that a record and the events after its place make."""
    encoder = Encoder(record, taken_back=retractions(events))
    for event in events:
        encoder.feed(event)
    return encoder.response()


class Encoder:
    """Turns the events of one response into its frames, in order and numbered from 0.

    A message that is taken back after it was told cannot be unsaid on this wire: `feed` raises Gone, and a new read,
    which knows `taken_back` from the start, tells the rest (clarification 25).
    """

    def __init__(self, record: Record, *, taken_back: Retractions | None = None) -> None:
        self._record = record
        self._taken_back = taken_back or {}
        self._output = Output(record.run_id)
        self._client_tools = frozenset(record.client_tools)
        self._carried_out: set[str] = set()
        self._asked: set[str] = set()
        self._status: _Status = "queued"
        self._created_at: int | None = None
        self._completed_at: int | None = None
        self._error: ErrorInfo | None = None
        self._usage = Usage()
        self._counted = False
        self._progressed = False
        self.number = 0
        self.rewritten_from: int | None = None
        self.done = False

    def feed(self, stamped: Stamped) -> list[Frame]:
        """Return the frames that the next event adds; after the last there are none."""
        if self.done or stamped.seq <= self._record.after:
            return []
        frames = self._begin(stamped) if self._created_at is None else []
        event = stamped.event()
        message_id = getattr(event, "message_id", None)
        if isinstance(message_id, str) and stamped.seq < self._taken_back.get(message_id, 0):
            if self.rewritten_from is None:
                self.rewritten_from = self.number + len(frames)
        else:
            frames += self._told(event, stamped)
        numbered: list[Frame] = []
        for frame in frames:
            numbered.append({"type": frame["type"], "sequence_number": self.number, **frame})
            self.number += 1
        return numbered

    def response(self) -> dict[str, Any]:
        """Return the response as far as it is told."""
        record = self._record
        failed = self._error
        return {
            "id": record.id,
            "object": "response",
            "created_at": self._created_at or 0,
            "completed_at": self._completed_at,
            "status": self._status,
            "error": {"code": failed.code, "message": failed.message} if failed else None,
            "incomplete_details": None,
            "model": record.model,
            "output": list(self._output.items),
            "usage": self._usage_told(),
            "background": record.background,
            "store": record.store,
            **record.echo,
        }

    # events

    def _begin(self, stamped: Stamped) -> list[Frame]:
        self._created_at = _seconds(stamped.at)
        event = stamped.event()
        waits = isinstance(event, RunCreated) and event.status == "queued"
        self._status = "queued" if waits else "in_progress"
        frames = [self._lifecycle("response.created")]
        if waits:
            frames.append(self._lifecycle("response.queued"))
        elif not isinstance(event, RunCreated):
            frames.append(self._progress())
        return frames

    def _told(self, event: Any, stamped: Stamped) -> list[Frame]:  # noqa: PLR0911 - one kind of event, one answer
        match event:
            case RunStarted():
                return [] if self._progressed else [self._progress()]
            case TextDelta():
                return self._output.text(event.message_id, event.delta)
            case ReasoningDelta():
                return self._output.thought(event.message_id, event.delta)
            case MessageCompleted():
                return self._output.end_message(event.message_id)
            case SourceAdded():
                return self._output.source(event)
            case ToolCalled() | ToolCompleted() | ToolFailed():
                return self._tool(event, stamped.seq)
            case QuestionAsked():
                return self._question(event, stamped)
            case MessageRetracted() | RunResumed():
                return self._take_back(_taken_back(event))
            case UsageReported():
                self._counted = True
                self._usage = self._usage.plus(
                    Usage(
                        input_tokens=event.input_tokens,
                        output_tokens=event.output_tokens,
                        total_tokens=event.total_tokens,
                    )
                )
                return []
            case RunWaiting() | RunCompleted() | RunFailed() | RunCancelled():
                return self._end(event, stamped)
            case _:
                return []

    def _tool(self, event: ToolCalled | ToolCompleted | ToolFailed, seq: int) -> list[Frame]:
        if isinstance(event, ToolCalled):
            if event.name in self._client_tools:
                self._carried_out.add(
                    event.call_id
                )  # it was told as a question, which the client has answered
                return []
            return self._output.tool_call(event.call_id, seq, event.name, event.arguments, self._record.model)
        if event.call_id in self._carried_out:
            return []
        if isinstance(event, ToolFailed):
            return self._output.tool_ended(event.call_id, error=event.error.message)
        result = event.result if isinstance(event.result, str) else json_text(event.result)
        return self._output.tool_ended(event.call_id, output=result)

    def _question(self, event: QuestionAsked, stamped: Stamped) -> list[Frame]:
        if event.question_id in self._asked:
            return []
        self._asked.add(event.question_id)
        run_id, seq = stamped.run_id, stamped.seq
        tool = event.tool or ""
        if event.kind == "input" and tool in self._client_tools:
            return self._output.function_call(call_id(run_id, seq), seq, tool, event.arguments)
        if event.kind == "approval":
            name = event.tool or event.prompt
            return self._output.approval(approval_id(run_id, seq), name, event.arguments, self._record.model)
        choices = "".join(f"\n- {choice}" for choice in event.choices or ())
        return self._output.whole(event.question_id, f"{event.prompt}{choices}")

    def _take_back(self, message_id: str | None) -> list[Frame]:
        if message_id is not None and self._output.told(message_id):
            raise Gone(
                "A message that was told is written again; read the response once more from its beginning.",
                code="message_rewritten",
            )
        return []

    def _end(self, event: Any, stamped: Stamped) -> list[Frame]:
        frames: list[Frame] = []
        if isinstance(event, RunCompleted):
            frames += self._final(event)
            if not self._counted and not self._record.after:
                self._usage = event.usage
        whole = isinstance(event, RunCompleted | RunWaiting)
        frames += self._output.end("completed" if whole else "incomplete")
        kind = "completed"
        self._status = "completed"
        if isinstance(event, RunCompleted) and self._record.must_call and not self._output.calls:
            self._status, self._error, kind = "failed", _NOT_CALLED, "failed"
        elif whole:
            self._completed_at = _seconds(stamped.at)
        elif isinstance(event, RunFailed):
            self._status, self._error, kind = "failed", event.error, "failed"
        else:
            # The wire has no event of its own for this end; the status says what it is.
            self._status, kind = "cancelled", "incomplete"
        self.done = True
        return [*frames, self._lifecycle(f"response.{kind}")]

    def _final(self, event: RunCompleted) -> list[Frame]:
        """Tell a structured answer, or a text that no message told."""
        frames = self._output.end("completed")
        told = self._output.texts()
        name = event.message_id or self._record.run_id
        if isinstance(event.output, str):
            return frames if told or not event.output else [*frames, *self._output.whole(name, event.output)]
        if event.output is None or (told and _same(told[-1], event.output)):
            return frames
        return [*frames, *self._output.whole(name, json_text(event.output))]

    # words

    def _progress(self) -> Frame:
        self._progressed = True
        self._status = "in_progress"
        return self._lifecycle("response.in_progress")

    def _lifecycle(self, kind: str) -> Frame:
        return {"type": kind, "response": self.response()}

    def _usage_told(self) -> dict[str, Any] | None:
        """Return the tokens, null while nothing was reported; kinds of tokens are not told apart."""
        used = self._usage
        if not used.total_tokens:
            return None
        return {
            "input_tokens": used.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": used.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used.total_tokens,
        }


def _taken_back(event: Any) -> str | None:
    match event:
        case MessageRetracted():
            return event.message_id
        case RunResumed():
            return event.drop_message_id
        case _:
            return None


def _same(text: str, output: Any) -> bool:
    try:
        return bool(msgspec.json.decode(text) == output)
    except msgspec.DecodeError:
        return False


def _seconds(at: str) -> int:
    return int(parse_iso(at).timestamp())
