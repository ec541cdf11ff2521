"""A run's events as the chunks of a UI message stream: a pure state machine, the same chunks for the same log.

One run is one assistant message, and its id is the run's (`<run>.2` where the user's own message answered a question in
words before it). A step is what one model call gave: it begins with a message, or with a call after results.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from landline.faces.ai_sdk.chunks import (
    Chunk,
    approval_request,
    call_of,
    json_text,
    message_id_of,
    question_data,
    source,
    tool_input,
    usage_data,
)
from landline.faces.ai_sdk.past import Turns
from landline.model.events import (
    AgentChanged,
    Custom,
    FileAdded,
    InputReceived,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    QuestionAnswered,
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
)
from landline.model.messages import text_of
from landline.model.runs import Question

__all__ = ["CUT", "Encoder"]

CUT: Final = "The answer was interrupted and is being written again; resume the stream to read it."
_NOBODY: Final = "\0"
"""Owner of what no message can take back."""


@dataclass(frozen=True, slots=True)
class _Part:
    kind: str
    id: str
    owner: str


class Encoder:
    """Turns events, read from the first one on, into chunks of one UI message.

    Args:
        dropped: Messages that the log takes back later; nothing is said of them.
        after: What comes up to this event was told before: it is taken in, and not told.
        files: Data URLs by file id, to be filled before a `file` event is taken; one that is missing is told as data.
        given: Questions whose answers the client gave itself, and shows already.
    """

    def __init__(
        self,
        *,
        dropped: Collection[str] = (),
        after: int = 0,
        files: Mapping[str, str] | None = None,
        given: Collection[str] = (),
    ) -> None:
        self.ended = False
        self._dropped = dropped
        self._after = after
        self._given = given
        self._files: Mapping[str, str] = files if files is not None else {}
        self._turns = Turns()
        self._started = False
        self._waits: RunWaiting | None = None
        self._calls: dict[str, tuple[str, Any]] = {}
        self._denied: set[str] = set()
        self._afresh()

    def _afresh(self) -> None:
        """Forget what the UI message before held."""
        self._step = 0
        self._step_open = False
        self._owners: set[str] = set()  # of what the step holds
        self._heard: set[str] = set()  # messages of which anything was told
        self._results = False  # the step holds a result, so that the next call is another step
        self._part: _Part | None = None
        self._parts = 0
        self._sources = 0
        self._outputs: dict[str, Any] = {}
        self._told: dict[str, tuple[int, Any]] = {}  # call -> its step and input
        self._settled: set[str] = set()
        self._approvals: set[str] = set()

    def take(self, stamped: Stamped) -> list[Chunk]:
        """Return what one event adds to the stream; nothing once it has ended."""
        if self.ended:
            return []
        event = stamped.event()
        if self._turns.take(event):
            return self._turn(stamped)
        chunks = list(self._chunks(event))
        if stamped.seq <= self._after or not (chunks or isinstance(event, RunCreated)):
            return []
        return [*self._start(stamped), *chunks]

    def end(self) -> list[Chunk]:
        """Return what ends the stream where the log has come to a wait."""
        if self.ended:
            return []
        self.ended = True
        questions = self._waits.questions if self._waits else ()
        tools = any(question.question_id not in self._turns.words for question in questions)
        return [{"type": "finish", "finishReason": "tool-calls" if tools else "other"}]

    def again(self, run_id: str, thread_id: str, questions: Sequence[Question]) -> list[Chunk]:
        """Return a whole stream that asks again, for approvals that an answer did not settle yet."""
        place = Stamped(0, run_id, thread_id, "", "", b"")
        asked = [approval_request(each) for each in questions if each.question_id in self._approvals]
        return [*self._start(place), *asked, *self.end()]

    def _start(self, stamped: Stamped) -> list[Chunk]:
        if self._started:
            return []
        self._started = True
        return [
            {
                "type": "start",
                "messageId": message_id_of(stamped.run_id, self._turns.number),
                "messageMetadata": {"runId": stamped.run_id, "threadId": stamped.thread_id},
            }
        ]

    def _turn(self, stamped: Stamped) -> list[Chunk]:
        """The user spoke in between: what comes now is another UI message, and so another stream."""
        if self._started:
            return [*self._close_step(), *self.end()]
        self._afresh()
        self._waits = None
        return self._start(stamped) if stamped.seq >= self._after else []

    def _chunks(self, event: object) -> Iterator[Chunk]:  # noqa: C901, PLR0912 - one arm per kind of event
        match event:
            case MessageStarted():
                if self._owners and not self._turns.open:
                    yield from self._close_step()
            case TextDelta(message_id=id_, delta=delta) if id_ not in self._dropped:
                yield from self._write("text", id_, delta)
            case ReasoningDelta(message_id=id_, delta=delta) if id_ not in self._dropped:
                yield from self._write("reasoning", id_, delta)
            case OutputPartial(message_id=id_, output=output) if id_ not in self._dropped:
                yield from self._output(id_, output)
            case MessageCompleted(message_id=id_) if self._part is not None and self._part.owner == id_:
                yield from self._close_part()
            case MessageRetracted(message_id=id_) if id_ not in self._dropped:
                yield from self._retract(id_)
            case SourceAdded(message_id=id_) if id_ not in self._dropped:
                yield from self._hold(id_)
                self._sources += 1
                yield source(event, self._sources)
            case FileAdded(message_id=id_) if id_ not in self._dropped:
                yield from self._hold(id_)
                yield self._file(event)
            case ToolCalled() | ToolProgress() | ToolCompleted() | ToolFailed():
                yield from self._tool(event)
            case QuestionAsked():
                yield from self._ask(event)
            case QuestionAnswered():
                yield from self._answered(event)
            case AgentChanged(source=before, target=after):
                yield self._aside("landline-agent", {"from": before, "to": after})
            case InputReceived(input=parts):
                yield self._aside("landline-input", {"text": text_of(parts)})
            case Custom(name=name, data=data):
                yield self._aside(name, data)
            case _:
                yield from self._about_the_run(event)

    def _about_the_run(self, event: object) -> Iterator[Chunk]:
        match event:
            case RunWaiting():
                self._waits = event
                yield from self._close_step()
            case RunResumed(drop_message_id=dropped):
                self._waits = None
                if dropped in self._heard and dropped not in self._dropped:
                    yield from self._fail(CUT)
            case RunCompleted(message_id=id_, output=output, usage=usage):
                if output is not None and not isinstance(output, str):
                    yield from self._output(id_ or "output", output)
                yield from self._last_step()
                self.ended = True
                metadata = {"usage": usage_data(usage)}
                yield {"type": "finish", "finishReason": "stop", "messageMetadata": metadata}
            case RunFailed(error=error):
                yield from self._fail(error.message)
            case RunCancelled(by=by):
                yield from self._last_step()
                self.ended = True
                yield {"type": "abort", "reason": f"cancelled by {by}"}
            case _:
                return

    # --- steps and parts

    def _hold(self, owner: str) -> Iterator[Chunk]:
        """Make room in a step for a part of `owner`."""
        yield from self._close_part()
        if not self._step_open:
            self._step += 1
            self._step_open, self._results = True, False
            self._owners.clear()
            yield {"type": "start-step"}
        self._owners.add(owner)
        self._heard.add(owner)

    def _aside(self, name: str, data: Any) -> Chunk:
        self._owners.add(_NOBODY)
        return {"type": f"data-{name}", "data": data}

    def _write(self, kind: str, owner: str, delta: str) -> Iterator[Chunk]:
        part = self._part
        if part is None or (part.kind, part.owner) != (kind, owner):
            yield from self._hold(owner)
            self._parts += 1
            self._part = part = _Part(kind, f"{kind}-{self._parts}", owner)
            yield {"type": f"{kind}-start", "id": part.id}
        yield {"type": f"{kind}-delta", "id": part.id, "delta": delta}

    def _output(self, owner: str, output: Any) -> Iterator[Chunk]:
        """Tell a structured answer as far as it is; each takes the place of the one before."""
        if owner in self._outputs and self._outputs[owner] == output:
            return
        yield from self._hold(owner)
        self._outputs[owner] = output
        yield {"type": "data-landline-output", "id": owner, "data": output}

    def _file(self, file: FileAdded) -> Chunk:
        url = self._files.get(file.file_id)
        if url is not None:
            return {"type": "file", "url": url, "mediaType": file.media_type}
        data = {"fileId": file.file_id, "name": file.name, "mediaType": file.media_type}
        return {"type": "data-landline-file", "id": file.file_id, "data": data}

    def _close_part(self) -> Iterator[Chunk]:
        part, self._part = self._part, None
        if part is not None:
            yield {"type": f"{part.kind}-end", "id": part.id}

    def _close_step(self) -> Iterator[Chunk]:
        yield from self._close_part()
        if self._step_open:
            self._step_open = False
            yield {"type": "finish-step"}

    def _last_step(self) -> Iterator[Chunk]:
        """End on a step without calls: clients take a last step full of results for one to be sent on by itself."""
        yield from self._close_step()
        for call_id in [call_id for call_id in self._told if call_id not in self._settled]:
            text = "The call was not carried out."
            yield from self._result({"type": "tool-output-error", "toolCallId": call_id, "errorText": text})
        if any(step == self._step for step, _ in self._told.values()):
            yield {"type": "start-step"}
            yield {"type": "finish-step"}

    def _retract(self, message_id: str) -> Iterator[Chunk]:
        if message_id not in self._heard:
            return
        if self._step_open and self._owners == {message_id}:
            yield from self._close_part()
            self._owners.clear()
            yield {"type": "reset-step"}
        else:
            yield from self._fail(CUT)

    def _fail(self, text: str) -> Iterator[Chunk]:
        yield from self._close_step()
        self.ended = True
        yield {"type": "error", "errorText": text}

    # --- tools and questions

    def _tool(self, event: ToolCalled | ToolProgress | ToolCompleted | ToolFailed) -> Iterator[Chunk]:
        id_ = event.call_id
        match event:
            case ToolCalled(name=name, arguments=arguments):
                yield from self._call(id_, name, arguments)
            case ToolProgress(message=message, fraction=fraction):
                data = {"toolCallId": id_, "message": message, "fraction": fraction}
                yield {"type": "data-landline-progress", "data": data, "transient": True}
            case ToolCompleted(result=result):
                yield from self._result(
                    {"type": "tool-output-available", "toolCallId": id_, "output": result}
                )
            case ToolFailed() if id_ in self._denied:
                yield from self._result({"type": "tool-output-denied", "toolCallId": id_})
            case ToolFailed(error=error):
                failed = {"type": "tool-output-error", "toolCallId": id_, "errorText": error.message}
                yield from self._result(failed)

    def _call(self, call_id: str, name: str, arguments: Any) -> Iterator[Chunk]:
        self._calls[call_id] = name, arguments
        told = self._told.get(call_id)
        if told is not None:
            if told[1] != arguments and told[0] == self._step:
                # Whoever approved it changed it first.
                self._told[call_id] = self._step, arguments
                yield tool_input(call_id, name, arguments)
            return
        if self._results and not self._turns.open:
            yield from self._close_step()
        yield from self._hold(_NOBODY)
        self._told[call_id] = self._step, arguments
        yield {"type": "tool-input-start", "toolCallId": call_id, "toolName": name}
        yield {"type": "tool-input-delta", "toolCallId": call_id, "inputTextDelta": json_text(arguments)}
        yield tool_input(call_id, name, arguments)

    def _result(self, result: Chunk) -> Iterator[Chunk]:
        call_id = result["toolCallId"]
        if call_id not in self._told and call_id in self._calls:
            # An earlier UI message of the run told the call; this one has to know it too.
            yield from self._call(call_id, *self._calls[call_id])
        if call_id in self._told:
            self._results = True
            self._settled.add(call_id)
            yield result

    def _ask(self, asked: QuestionAsked) -> Iterator[Chunk]:
        if asked.question_id not in self._turns.words:
            yield from self._call(*call_of(asked))
        if asked.kind == "approval":
            self._approvals.add(asked.question_id)
            yield approval_request(asked)
        else:
            yield from self._hold(_NOBODY)
            yield {"type": "data-landline-question", "id": asked.question_id, "data": question_data(asked)}

    def _answered(self, answered: QuestionAnswered) -> Iterator[Chunk]:
        id_, outcome = answered.question_id, answered.outcome
        asked = self._turns.asked.get(id_)
        if asked is None:
            return
        if asked.kind != "approval":
            if outcome == "expired":
                data = {**question_data(asked), "outcome": outcome}
                yield {"type": "data-landline-question", "id": id_, "data": data}
            return
        call_id, approved = call_of(asked)[0], outcome == "approved"
        if not approved:
            self._denied.add(call_id)
        if id_ not in self._approvals:
            return
        if id_ not in self._given:
            response: Chunk = {"type": "tool-approval-response", "approvalId": id_, "approved": approved}
            yield {**response, "reason": outcome} if outcome == "expired" else response
        if asked.call_id is None:
            # No call follows that would end this one.
            denied = {"type": "tool-output-denied", "toolCallId": call_id}
            done = {"type": "tool-output-available", "toolCallId": call_id, "output": {"approved": True}}
            yield from self._result(done if approved else denied)
