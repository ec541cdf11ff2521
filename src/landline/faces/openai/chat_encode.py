"""A run's events as a chat completion: one state machine for the stream and for the whole answer, pure.

The wire has one answer where a run may have several messages: their texts follow each other, an empty line between
them. Tools that run on the server are the agent's own affair and are not told; calls of the client's tools are.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from landline.faces.openai.wire import seconds
from landline.model.errors import AgentFailed, Conflict, Invalid, LandlineError, Unavailable
from landline.model.events import (
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    ReasoningDelta,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunResumed,
    RunWaiting,
    SourceAdded,
    Stamped,
    TextDelta,
    UsageReported,
    encode,
)
from landline.model.runs import Question, Usage

__all__ = ["Completion", "Shape", "is_call", "waits", "whole"]

BETWEEN: Final = "\n\n"

CallIds = Callable[[str, str], str]
"""Returns the id under which a client is told the call that a run's question is: of the run, of the question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """How an answer is told: `model` as the client named it, `after` the part of the log that was told before.

    `structured`: the answer is the run's output as JSON and nothing else. `call`: that output is the arguments of a call
    of this tool of the client's.
    """

    model: str
    call_id: CallIds
    after: int = 0
    structured: bool = False
    call: str | None = None
    call_finish: str = "tool_calls"
    include_usage: bool = False


@dataclass(slots=True)
class _Message:
    """A message of the run: how much of it was told, from which place of the answer on, and what it rests on."""

    told: int = 0
    start: int = 0
    sources: list[SourceAdded] = field(default_factory=list[SourceAdded])


@dataclass(slots=True)
class Completion:
    """Takes the events of one answer and gives its chunks; `finished` once nothing more belongs to it."""

    shape: Shape
    finished: bool = False
    waiting: Sequence[Question] = ()
    usage: Usage = field(default_factory=Usage)
    _head: dict[str, Any] | None = None
    _run_id: str = ""
    _messages: dict[str, _Message] = field(default_factory=dict[str, _Message])
    _length: int = 0
    _reasoned: str = ""

    def take(self, stamped: Stamped) -> list[dict[str, Any]]:
        """Return the chunks that tell an event.

        Raises:
            LandlineError: The run failed or was stopped, or takes back what was told, which the wire cannot.
        """
        if self.finished:
            return []
        chunks = self._first(stamped) if self._head is None else []
        for delta, finish in self._told(stamped.event()):
            chunks.append(self._chunk(delta, finish))
        if self.finished and self.shape.include_usage:
            chunks.append({**self._opened, "choices": [], "usage": usage_of(self.usage)})
        return chunks

    def end(self) -> None:
        """Say that no more events come. Raises Conflict when the run waits for what this wire cannot give."""
        if not self.finished:
            raise waits(self._run_id, self.waiting)

    def _first(self, stamped: Stamped) -> list[dict[str, Any]]:
        self._run_id = stamped.run_id
        place = f"-{self.shape.after}" if self.shape.after else ""
        self._head = {
            "id": f"chatcmpl-{stamped.run_id}{place}",
            "object": "chat.completion.chunk",
            "created": seconds(stamped.at),
            "model": self.shape.model,
        }
        return [self._chunk({"role": "assistant", "content": "", "refusal": None}, None)]

    @property
    def _opened(self) -> dict[str, Any]:
        assert self._head is not None
        return self._head

    def _chunk(self, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {**self._opened, "choices": [choice]}
        return {**chunk, "usage": None} if self.shape.include_usage else chunk

    def _told(self, event: object) -> Iterable[tuple[dict[str, Any], str | None]]:  # noqa: C901 - one arm per kind of event
        match event:
            case MessageStarted(message_id=id_, role="assistant"):
                self._messages[id_] = _Message()
            case TextDelta(message_id=id_, delta=text) if id_ in self._messages:
                yield from self._say(self._messages[id_], text)
            case ReasoningDelta(message_id=id_, delta=text) if id_ in self._messages:
                yield from self._reason(id_, text)
            case MessageCompleted(message_id=id_, text=text) if id_ in self._messages:
                # A structured message has no deltas of text: it is told when it is whole.
                message = self._messages[id_]
                yield from self._say(message, text[message.told :])
                yield from self._cite(message)
            case SourceAdded(message_id=id_, url=str()) if id_ in self._messages:
                self._messages[id_].sources.append(event)
            case MessageRetracted(message_id=id_):
                self._take_back(id_)
            case RunResumed(drop_message_id=id_):
                self.waiting = ()
                if id_ is not None:
                    self._take_back(id_)
            case UsageReported():
                used = (event.input_tokens, event.output_tokens, event.total_tokens)
                self.usage = self.usage.plus(
                    Usage(input_tokens=used[0], output_tokens=used[1], total_tokens=used[2])
                )
            case RunWaiting(questions=questions):
                yield from self._wait(questions)
            case RunCompleted(output=output):
                yield from self._complete(output)
            case RunFailed(error=error):
                raise _failure(error.code, error.message)
            case RunCancelled():
                raise Conflict(f"The run {self._run_id} was cancelled.", code="run_cancelled")
            case _:
                pass

    def _say(self, message: _Message, text: str) -> Iterable[tuple[dict[str, Any], str | None]]:
        if not text or self.shape.structured:
            return
        between = BETWEEN if self._length and not message.told else ""
        if not message.told:
            message.start = self._length + len(between)
        message.told += len(text)
        self._length += len(between) + len(text)
        yield {"content": between + text}, None

    def _cite(self, message: _Message) -> Iterable[tuple[dict[str, Any], str | None]]:
        """Tell what a whole message rests on; sources without an address have no place on this wire."""
        if not message.told or not message.sources:
            return
        place = {"start_index": message.start, "end_index": message.start + message.told}
        cited = [{**place, "url": source.url, "title": source.title} for source in message.sources]
        yield {"annotations": [{"type": "url_citation", "url_citation": one} for one in cited]}, None

    def _reason(self, message_id: str, text: str) -> Iterable[tuple[dict[str, Any], str | None]]:
        if not text:
            return
        between = BETWEEN if self._reasoned not in ("", message_id) else ""
        self._reasoned = message_id
        yield {"reasoning_content": between + text}, None

    def _take_back(self, message_id: str) -> None:
        message = self._messages.pop(message_id, None)
        if message is not None and message.told:
            raise Unavailable(
                f"What was told of the answer does not count any more, and this wire cannot take it back. "
                f"The run {self._run_id} goes on; read it again.",
                code="message_retracted",
                retry_after_s=1,
            )

    def _wait(self, questions: Sequence[Question]) -> Iterable[tuple[dict[str, Any], str | None]]:
        calls = [question for question in questions if is_call(question)]
        self.waiting = questions
        if not calls:
            return
        for index, question in enumerate(calls):
            call_id = self.shape.call_id(self._run_id, question.question_id)
            yield from _call(index, call_id, str(question.tool), question.arguments)
        yield from self._finish("tool_calls")

    def _complete(self, output: Any) -> Iterable[tuple[dict[str, Any], str | None]]:
        if self.shape.call is not None:
            yield from _call(0, self.shape.call_id(self._run_id, self._run_id), self.shape.call, output)
            yield from self._finish(self.shape.call_finish)
            return
        text = output if isinstance(output, str) else encode(output).decode()
        if text and (self.shape.structured or (not self._length and output is not None)):
            yield {"content": text}, None
        yield from self._finish("stop")

    def _finish(self, reason: str) -> Iterable[tuple[dict[str, Any], str | None]]:
        self.finished = True
        yield {}, reason


def whole(shape: Shape, events: Sequence[Stamped]) -> dict[str, Any]:
    """Return the whole answer: what the stream of the same events would add up to, without what was taken back.

    Raises:
        LandlineError: The run failed, was stopped, or waits for what this wire cannot give.
    """
    gone = _taken_back(events)
    completion = Completion(shape)
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    calls: list[dict[str, Any]] = []
    head: dict[str, Any] = {}
    finish = None
    for stamped in events:
        if getattr(stamped.event(), "message_id", None) in gone and not stamped.terminal:
            continue
        for chunk in completion.take(stamped):
            head = head or {key: chunk[key] for key in ("id", "created", "model")}
            for choice in chunk["choices"]:
                _gather(message, calls, choice["delta"])
                finish = choice["finish_reason"] or finish
    completion.end()
    if calls:
        message["tool_calls"] = calls
        message["content"] = message["content"] or None
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return {
        "id": head["id"],
        "object": "chat.completion",
        "created": head["created"],
        "model": head["model"],
        "choices": [choice],
        "usage": usage_of(completion.usage),
    }


def usage_of(usage: Usage) -> dict[str, int]:
    """Return tokens in the wire's words."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def is_call(question: Question) -> bool:
    """Tell whether a question is a call of a tool that the client carries out."""
    return question.client


def waits(run_id: str, questions: Sequence[Question]) -> Conflict:
    """Return the error for a run that waits for somebody who is not here: it names what is asked, and stays answerable."""
    asked = "; ".join(_asked(question) for question in questions) or "an answer"
    return Conflict(
        f"The run {run_id} waits for {asked}. Chat Completions cannot answer that: answer it through another face, "
        f"then read the run there, or send this request again under the Idempotency-Key it came with.",
        code="run_waiting",
    )


def _asked(question: Question) -> str:
    about = f" of {question.tool} {encode(question.arguments).decode()}" if question.tool else ""
    return f"an answer ({question.kind}{about}, question {question.question_id}): {question.prompt}"


def _call(index: int, call_id: str, name: str, arguments: Any) -> Iterable[tuple[dict[str, Any], str | None]]:
    text = "{}" if arguments is None else encode(arguments).decode()
    head = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    yield {"tool_calls": [head]}, None
    yield {"tool_calls": [{"index": index, "function": {"arguments": text}}]}, None


def _gather(message: dict[str, Any], calls: list[dict[str, Any]], delta: dict[str, Any]) -> None:
    for name in ("content", "reasoning_content"):
        if name in delta:
            message[name] = (message.get(name) or "") + delta[name]
    message["annotations"] += delta.get("annotations", ())
    for call in delta.get("tool_calls", ()):
        if "id" in call:
            calls.append({**{key: call[key] for key in ("id", "type")}, "function": dict(call["function"])})
        else:
            calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]


def _taken_back(events: Sequence[Stamped]) -> set[str]:
    gone: set[str] = set()
    for stamped in events:
        match stamped.event():
            case MessageRetracted(message_id=id_) | RunResumed(drop_message_id=str(id_)):
                gone.add(id_)
            case _:
                pass
    return gone


def _failure(code: str, message: str) -> LandlineError:
    if code in ("guard_blocked", "guard_tripped"):
        return Invalid(message, code=code)
    return AgentFailed(message, code=code)
