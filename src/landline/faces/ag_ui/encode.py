"""A run's log as AG-UI events: a state machine that knows no clock and no socket, so a log has the same bytes each time.

One run of Landline is one or more runs of AG-UI, each of which ends where the agent waits. A frame's id is the place in
the log of the event that it tells, and its number among the frames of that event: whoever has seen `12.1` goes on after
it.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from landline.faces.ag_ui.frames import PROTOCOL, Frame, Past, Segment
from landline.faces.ag_ui.interrupts import interrupt_of, is_client_call
from landline.faces.ag_ui.transcript import Transcript, content_of, json_text, renamed, result_id
from landline.model.errors import ErrorInfo
from landline.model.events import (
    AgentChanged,
    Custom,
    Event,
    FileAdded,
    GuardTripped,
    InputReceived,
    MessageCompleted,
    MessageRetracted,
    OutputPartial,
    QuestionAsked,
    ReasoningDelta,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunResumed,
    RunWaiting,
    SourceAdded,
    Stamped,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
    Unknown,
    UsageReported,
)
from landline.model.runs import Question, Usage

__all__ = ["Encoder"]

_encode = msgspec.json.Encoder().encode
_UNSET: Final = object()


class Encoder:
    """Feed it the log from its first event on; `ended` tells that the segment is told to its end.

    `past` is needed for a message that is taken back after it was told: see `takes_back`.
    """

    def __init__(self, segment: Segment, *, past: Past | None = None) -> None:
        self.past = past
        self.ended = False
        self._segment = segment
        self._frames: list[Frame] = []
        self._seq, self._at = 0, 0
        self._started = False
        self._anchor = segment.anchor
        self._transcript = Transcript()
        self._text: str | None = None
        self._lengths: dict[str, int] = {}
        self._reasoning: str | None = None
        self._spans: dict[str, int] = {}
        self._told: set[str] = set()
        self._calls: set[str] = set()
        self._clients: set[str] = set()
        self._step: str | None = None
        self._state: Any = _UNSET
        self._usage: Usage | None = None

    def takes_back(self, stamped: Stamped) -> bool:
        """Tell whether `stamped` takes back what this segment has told, so that `past` must be there before it is fed."""
        if stamped.type not in {"message.retracted", "run.resumed"}:
            return False
        match stamped.event():
            case MessageRetracted(message_id=id_) | RunResumed(drop_message_id=str(id_)):
                return id_ in self._told
            case _:
                return False

    def feed(self, stamped: Stamped) -> Sequence[Frame]:
        """Return the frames that tell `stamped`: none before the segment, after it, or for what this wire has no word for."""
        if self.ended:
            return ()
        self._frames = []
        self._seq, self._at = stamped.seq, _milliseconds(stamped.at)
        event = stamped.event()
        if stamped.seq <= self._segment.after:
            if isinstance(event, RunWaiting):  # an earlier run of AG-UI ends here, and all that it had open
                self._text = self._reasoning = self._step = self._usage = None
            elif not isinstance(event, Unknown):
                self._take(event)
            return ()
        if not self._started:
            self._start(stamped)
        if not isinstance(event, Unknown):
            self._take(event)
        return self._frames

    def conversation(self) -> list[dict[str, Any]]:
        """Return the conversation as a client holds it that was told all of it so far."""
        past = self.past or Past()
        return [*past.messages, *renamed(self._transcript.messages(), past.names)]

    @property
    def anchor(self) -> str | None:
        """The user's message that the run answers, once the first event is fed."""
        return self._anchor

    @property
    def state(self) -> dict[str, Any] | None:
        """The state as a client holds it, None before the first snapshot."""
        return None if self._state is _UNSET else {"output": self._state}

    # what is told

    def _put(self, type_: str, **members: Any) -> None:
        body = {"type": type_, "timestamp": self._at}
        body |= {_camel(name): value for name, value in members.items() if value is not None}
        self._frames.append(Frame(self._seq, len(self._frames), _encode(body)))

    def _start(self, stamped: Stamped) -> None:
        self._started = True
        ours = {"landline": {"threadId": stamped.thread_id, "runId": stamped.run_id}}
        segment = self._segment
        self._put(
            "RUN_STARTED",
            thread_id=segment.thread,
            run_id=segment.run,
            parent_run_id=segment.parent,
            protocol_version=PROTOCOL,
            metadata=ours,
        )

    def _take(self, event: Event) -> None:  # noqa: C901, PLR0912 - one arm per kind of event; a table would hide the types
        match event:
            case RunCreated(message_id=id_):
                self._anchor = id_ or self._anchor
            case TextDelta(message_id=id_, delta=delta):
                self._text_delta(id_, delta)
            case ReasoningDelta(message_id=id_, delta=delta):
                self._reasoning_delta(id_, delta)
            case MessageCompleted(message_id=id_, text=text):
                self._completed(id_, text)
            case MessageRetracted(message_id=id_) | RunResumed(drop_message_id=str(id_)):
                self._retracted(id_)
            case OutputPartial(output=output):
                self._snapshot_state(output)
            case InputReceived(message_id=id_, input=parts):
                self._close()
                self._transcript.user(id_, parts)
                self._user(id_, content_of(parts))
            case ToolCalled(call_id=id_, name=name, arguments=arguments):
                self._call(id_, name, arguments)
            case ToolProgress(call_id=id_, message=message, fraction=fraction):
                self._custom("landline:tool_progress", toolCallId=id_, message=message, fraction=fraction)
            case ToolCompleted(call_id=id_, result=result):
                self._result(id_, json_text(result))
            case ToolFailed(call_id=id_, error=error):
                self._result(id_, error.message, error)
            case QuestionAsked(tool=str(tool), call_id=str(id_), arguments=arguments):
                if is_client_call(event):
                    self._clients.add(id_)
                self._call(id_, tool, arguments)
            case AgentChanged(target=target):
                self._step_to(target)
            case SourceAdded(message_id=id_, title=title, url=url, quote=quote):
                self._custom("landline:source", messageId=id_, title=title, url=url, quote=quote)
            case FileAdded(message_id=id_, file_id=file_id, name=name, media_type=kind):
                self._custom("landline:file", messageId=id_, fileId=file_id, fileName=name, mediaType=kind)
            case GuardTripped(guard=guard, stage=stage, action=action, info=info):
                self._custom("landline:guard", guard=guard, stage=stage, action=action, info=info)
            case Custom(name=name, data=data):
                self._raw_custom(name, data)
            case UsageReported():
                self._count(event)
            case RunWaiting(questions=questions):
                self._waiting(questions)
            case RunCompleted(output=output):
                if output is not None and not isinstance(output, str):
                    self._snapshot_state(output)
                self._finish({"type": "success"}, result=output)
            case RunCancelled():
                self._finish({"type": "cancelled"})
            case RunFailed(error=error):
                self._close()
                self._put("RUN_ERROR", message=error.message, code=error.code, usage=self._usages())
                self.ended = True
            case _:
                pass

    def _open_text(self, message_id: str) -> None:
        self._lengths[message_id] = 0
        self._transcript.open(message_id)

    def _say(self, message_id: str, delta: str) -> None:
        self._lengths[message_id] += len(delta)
        self._transcript.say(message_id, delta)

    def _text_delta(self, message_id: str, delta: str) -> None:
        if not delta:
            return  # a frame that adds nothing
        if self._text != message_id:
            self._close()
            if message_id not in self._lengths:
                self._open_text(message_id)
            self._put("TEXT_MESSAGE_START", message_id=message_id, role="assistant")
            self._text = message_id
            self._told.add(message_id)
        self._close_reasoning()
        self._say(message_id, delta)
        self._put("TEXT_MESSAGE_CONTENT", message_id=message_id, delta=delta)

    def _completed(self, message_id: str, text: str) -> None:
        rest = text[self._lengths.get(message_id, 0) :]
        if rest:  # an answer that was told whole
            self._text_delta(message_id, rest)
        self._close()

    def _user(self, message_id: str, content: str | list[dict[str, Any]]) -> None:
        text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        self._put("TEXT_MESSAGE_START", message_id=message_id, role="user")
        if text:
            self._put("TEXT_MESSAGE_CONTENT", message_id=message_id, delta=text)
        self._put("TEXT_MESSAGE_END", message_id=message_id)

    def _reasoning_delta(self, message_id: str, delta: str) -> None:
        if not delta:
            return
        if self._reasoning is None:
            number = self._spans[message_id] = self._spans.get(message_id, 0) + 1
            self._reasoning = f"{message_id}:reasoning-{number}"
            self._told.add(message_id)
            self._put("REASONING_START", message_id=self._reasoning)
            self._put("REASONING_MESSAGE_START", message_id=self._reasoning, role="reasoning")
        self._put("REASONING_MESSAGE_CONTENT", message_id=self._reasoning, delta=delta)

    def _close_reasoning(self) -> None:
        if self._reasoning is not None:
            self._put("REASONING_MESSAGE_END", message_id=self._reasoning)
            self._put("REASONING_END", message_id=self._reasoning)
            self._reasoning = None

    def _close(self) -> None:
        self._close_reasoning()
        if self._text is not None:
            self._put("TEXT_MESSAGE_END", message_id=self._text)
            self._text = None

    def _retracted(self, message_id: str) -> None:
        self._close()
        self._transcript.drop(message_id)
        self._lengths.pop(message_id, None)
        if message_id in self._told:
            # The wire has no word for taking back; a snapshot without the message is how the client loses it.
            self._put("MESSAGES_SNAPSHOT", messages=self.conversation())

    def _call(self, call_id: str, name: str, arguments: Any) -> None:
        if call_id in self._calls:
            return  # the proposal was told when somebody was asked about it
        self._calls.add(call_id)
        text = _encode(arguments).decode()
        self._transcript.call(call_id, name, text)
        self._close()
        self._put("TOOL_CALL_START", tool_call_id=call_id, tool_call_name=name)
        self._put("TOOL_CALL_ARGS", tool_call_id=call_id, delta=text)
        self._put("TOOL_CALL_END", tool_call_id=call_id)

    def _result(self, call_id: str, content: str, error: ErrorInfo | None = None) -> None:
        self._transcript.result(call_id, content)
        if call_id in self._clients:
            return  # the client has its own result in a message of its own
        failed = {"landline": {"error": error.code}} if error else None
        self._put(
            "TOOL_CALL_RESULT",
            message_id=result_id(call_id),
            tool_call_id=call_id,
            content=content,
            role="tool",
            metadata=failed,
        )

    def _step_to(self, name: str | None) -> None:
        if self._step is not None:
            self._put("STEP_FINISHED", step_name=self._step)
        self._step = name
        if name is not None:
            self._close()
            self._put("STEP_STARTED", step_name=name)

    def _snapshot_state(self, output: Any) -> None:
        if output != self._state:
            self._state = output
            self._put("STATE_SNAPSHOT", snapshot={"output": output})

    def _custom(self, name: str, /, **value: Any) -> None:
        self._raw_custom(name, {key: given for key, given in value.items() if given is not None})

    def _raw_custom(self, name: str, value: Any) -> None:
        body = {"type": "CUSTOM", "timestamp": self._at, "name": name, "value": value}
        self._frames.append(Frame(self._seq, len(self._frames), _encode(body)))

    def _count(self, event: UsageReported) -> None:
        used = Usage(
            input_tokens=event.input_tokens,
            output_tokens=event.output_tokens,
            total_tokens=event.total_tokens,
        )
        self._usage = self._usage.plus(used) if self._usage else used

    def _usages(self) -> list[dict[str, int]] | None:
        used = self._usage
        if used is None:
            return None
        given, made = used.input_tokens, used.output_tokens
        return [{"inputTokens": given, "outputTokens": made, "totalTokens": given + made}]

    def _waiting(self, questions: Sequence[Question]) -> None:
        calls = [asked.call_id for asked in questions if is_client_call(asked)]
        asked = [interrupt_of(question) for question in questions if not is_client_call(question)]
        if asked:
            self._finish({"type": "interrupt", "interrupts": asked})
        else:
            self._finish({"type": "success", "pendingToolCallIds": calls})

    def _finish(self, outcome: dict[str, Any], *, result: Any = None) -> None:
        self._close()
        self._step_to(None)
        self._put(
            "RUN_FINISHED",
            thread_id=self._segment.thread,
            run_id=self._segment.run,
            result=result,
            outcome=outcome,
            usage=self._usages(),
        )
        self.ended = True


@lru_cache(maxsize=64)
def _milliseconds(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)


@lru_cache(maxsize=64)
def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)
