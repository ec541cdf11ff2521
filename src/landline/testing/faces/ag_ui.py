"""The grammar of an AG-UI stream, checked strictly (FACE-17): what the protocol demands, and what Landline adds to it.

The protocol's own checkers let more pass than it allows, so this one shares no code with them and none with the face.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from landline.testing.grammar import GrammarError

__all__ = ["AgUiFrame", "AgUiRun", "check_ag_ui", "read_ag_ui"]

_COMMON = frozenset({"type", "timestamp", "metadata"})
_MEMBERS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    name: (frozenset(needed.split()), frozenset(more.split()))
    for name, needed, more in [
        ("RUN_STARTED", "threadId runId protocolVersion", "parentRunId"),
        ("RUN_FINISHED", "threadId runId outcome", "result usage"),
        ("RUN_ERROR", "message code", "usage"),
        ("TEXT_MESSAGE_START", "messageId role", ""),
        ("TEXT_MESSAGE_CONTENT", "messageId delta", ""),
        ("TEXT_MESSAGE_END", "messageId", ""),
        ("REASONING_START", "messageId", ""),
        ("REASONING_MESSAGE_START", "messageId role", ""),
        ("REASONING_MESSAGE_CONTENT", "messageId delta", ""),
        ("REASONING_MESSAGE_END", "messageId", ""),
        ("REASONING_END", "messageId", ""),
        ("TOOL_CALL_START", "toolCallId toolCallName", ""),
        ("TOOL_CALL_ARGS", "toolCallId delta", ""),
        ("TOOL_CALL_END", "toolCallId", ""),
        ("TOOL_CALL_RESULT", "messageId toolCallId content role", ""),
        ("STATE_SNAPSHOT", "snapshot", ""),
        ("MESSAGES_SNAPSHOT", "messages", ""),
        ("STEP_STARTED", "stepName", ""),
        ("STEP_FINISHED", "stepName", ""),
        ("CUSTOM", "name value", ""),
    ]
}
_ANY_VALUE = frozenset({"value", "result", "snapshot"})
_WITHOUT_PLACE = frozenset({"MESSAGES_SNAPSHOT", "STATE_SNAPSHOT", "RUN_ERROR"})


@dataclass(frozen=True, kw_only=True)
class AgUiFrame:
    """One frame: its id as it came, None without one, and its event."""

    id: str | None
    event: dict[str, Any]

    @property
    def place(self) -> tuple[int, int] | None:
        """Its place: of the event in the log, and among the frames of that event."""
        if self.id is None:
            return None
        seq, _, number = self.id.partition(".")
        return int(seq), int(number)


@dataclass(kw_only=True)
class AgUiRun:
    """What a well-formed stream said; `text` and `reasoning` by message, `arguments` and `results` by call."""

    text: dict[str, str] = field(default_factory=dict[str, str])
    users: list[str] = field(default_factory=list[str])
    reasoning: dict[str, str] = field(default_factory=dict[str, str])
    calls: dict[str, str] = field(default_factory=dict[str, str])
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    results: dict[str, str] = field(default_factory=dict[str, str])
    steps: list[str] = field(default_factory=list[str])
    custom: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    state: Any = None
    last: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def outcome(self) -> str:
        """How it ended: success, interrupt, cancelled or error."""
        return "error" if self.last["type"] == "RUN_ERROR" else str(self.last["outcome"]["type"])

    @property
    def answer(self) -> str:
        """The text of the last message."""
        return next(reversed(self.text.values()), "")

    @property
    def interrupts(self) -> list[dict[str, Any]]:
        """What it waits for."""
        return self.last.get("outcome", {}).get("interrupts", [])


def read_ag_ui(body: str) -> list[AgUiFrame]:
    """Return the frames of a whole response body; comments are passed over.

    Raises:
        GrammarError: The framing is not what the protocol demands.
    """
    if "\r" in body:
        raise GrammarError("lines end with LF")
    if body and not body.endswith("\n\n"):
        raise GrammarError("the last frame is cut")
    frames: list[AgUiFrame] = []
    for block in body.split("\n\n")[:-1]:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, colon, value = line.partition(":")
            if name and (not colon or name in fields):
                raise GrammarError(f"a field is broken or comes twice: {line[:80]!r}")
            if name:
                fields[name] = value.removeprefix(" ")
        if "data" in fields:
            frames.append(AgUiFrame(id=fields.get("id"), event=json.loads(fields["data"])))
        elif set(fields) - {"retry"}:
            raise GrammarError(f"a frame without data: {block[:80]!r}")
    return frames


def check_ag_ui(
    frames: Iterable[AgUiFrame],
    *,
    content_type: str = "text/event-stream; charset=utf-8",
    known_calls: Collection[str] = (),
    from_start: bool = True,
) -> AgUiRun:
    """Check one run's whole stream and return what it said; `known_calls` were told by earlier runs of the thread.

    Raises:
        GrammarError: It breaks the grammar; the text says at which frame and how.
    """
    if content_type.partition(";")[0] != "text/event-stream":
        raise GrammarError(f"the content type is {content_type}")
    stream = _Stream(known_calls)
    count = 0
    for count, frame in enumerate(frames, 1):
        try:
            stream.place(frame)
            stream.take(frame.event, first=from_start and count == 1)
        except GrammarError as error:
            raise GrammarError(f"frame {count}, {json.dumps(frame.event)[:200]}: {error}") from None
    if not count:
        raise GrammarError("the stream is empty")
    if not stream.run.last:
        raise GrammarError("the stream has no end")
    return stream.run


class _Stream:
    def __init__(self, known_calls: Collection[str]) -> None:
        self.run = AgUiRun()
        self._known = set(known_calls)
        self._last: tuple[int, int] | None = None
        self._names: tuple[str, str] | None = None
        self._open: dict[str, str | None] = {"text": None, "reasoning": None, "span": None, "call": None}
        self._step: str | None = None
        self._roles: dict[str, str] = {}
        self._raw: dict[str, str] = {}

    def place(self, frame: AgUiFrame) -> None:
        place, last = frame.place, self._last
        if place is None:
            if frame.event["type"] not in _WITHOUT_PLACE:
                raise GrammarError("a frame of the log has an id")
            return
        seq, number = place
        if last is not None and not (
            number == last[1] + 1 if seq == last[0] else seq > last[0] and number == 0
        ):
            raise GrammarError(f"the id does not follow {last}")
        self._last = place

    def take(self, event: Mapping[str, Any], *, first: bool) -> None:
        kind = str(event.get("type"))
        if kind not in _MEMBERS:
            raise GrammarError("no such kind of event")
        _check_members(event)
        if self.run.last:
            raise GrammarError("something comes after the end")
        if first and kind not in {"RUN_STARTED", "RUN_ERROR"}:
            raise GrammarError("a stream begins with RUN_STARTED")
        if kind == "RUN_STARTED" and not first:
            raise GrammarError("the run was started already")
        getattr(self, f"_{kind.lower()}")(event)

    def _run_started(self, event: Mapping[str, Any]) -> None:
        self._names = event["threadId"], event["runId"]

    def _run_finished(self, event: Mapping[str, Any]) -> None:
        self._all_closed()
        if self._names is not None and self._names != (event["threadId"], event["runId"]):
            raise GrammarError("the run that ends is not the one that began")
        outcome = event["outcome"]
        unanswered = [call for call in self.run.calls if call not in self.run.results]
        match outcome["type"]:
            case "interrupt":
                self._interrupts(outcome["interrupts"])
            case "success":
                if outcome.get("pendingToolCallIds", unanswered) != unanswered:
                    raise GrammarError(f"the calls without a result are {unanswered}")
            case "cancelled":
                if "result" in event:
                    raise GrammarError("a cancelled run has no result")
            case other:
                raise GrammarError(f"no such outcome: {other}")
        if outcome["type"] != "interrupt" and "interrupts" in outcome:
            raise GrammarError("only an interrupt outcome has interrupts")
        self.run.last = dict(event)

    def _interrupts(self, interrupts: Sequence[Mapping[str, Any]]) -> None:
        ids = [interrupt["id"] for interrupt in interrupts]
        if not ids or len(set(ids)) != len(ids):
            raise GrammarError("there are interrupts, each with an id of its own")
        for interrupt in interrupts:
            call = interrupt.get("toolCallId")
            if interrupt["reason"] == "tool_call" and call not in {*self.run.calls, *self._known}:
                raise GrammarError("an interrupt names a call that was not told")
            if not isinstance(interrupt.get("responseSchema"), dict):
                raise GrammarError("an interrupt says what it takes")

    def _run_error(self, event: Mapping[str, Any]) -> None:
        self.run.last = dict(event)

    def _text_message_start(self, event: Mapping[str, Any]) -> None:
        if event["role"] not in {"assistant", "user"}:
            raise GrammarError("no such role")
        if event["messageId"] in self._roles:
            raise GrammarError("the message was started already")
        self._begin("text", event["messageId"])
        self._roles[event["messageId"]] = event["role"]
        self._raw[event["messageId"]] = ""

    def _text_message_content(self, event: Mapping[str, Any]) -> None:
        self._more("text", event["messageId"], event["delta"])
        self._raw[event["messageId"]] += event["delta"]

    def _text_message_end(self, event: Mapping[str, Any]) -> None:
        id_ = self._end("text", event["messageId"])
        if self._roles[id_] == "user":
            self.run.users.append(self._raw[id_])
        else:
            self.run.text[id_] = self._raw[id_]

    def _reasoning_start(self, event: Mapping[str, Any]) -> None:
        self._begin("span", event["messageId"])

    def _reasoning_message_start(self, event: Mapping[str, Any]) -> None:
        if event["role"] != "reasoning" or self._open["span"] is None:
            raise GrammarError("reasoning is in a span, with its own role")
        if event["messageId"] in self.run.reasoning:
            raise GrammarError("the reasoning was told already")
        self._begin("reasoning", event["messageId"])
        self.run.reasoning[event["messageId"]] = ""

    def _reasoning_message_content(self, event: Mapping[str, Any]) -> None:
        self._more("reasoning", event["messageId"], event["delta"])
        self.run.reasoning[event["messageId"]] += event["delta"]

    def _reasoning_message_end(self, event: Mapping[str, Any]) -> None:
        self._end("reasoning", event["messageId"])

    def _reasoning_end(self, event: Mapping[str, Any]) -> None:
        if self._open["reasoning"] is not None:
            raise GrammarError("the span ends before its message")
        self._end("span", event["messageId"])

    def _tool_call_start(self, event: Mapping[str, Any]) -> None:
        if event["toolCallId"] in {*self.run.calls, *self._known}:
            raise GrammarError("the call was told already")
        self._begin("call", event["toolCallId"])
        self.run.calls[event["toolCallId"]] = event["toolCallName"]
        self._raw[event["toolCallId"]] = ""

    def _tool_call_args(self, event: Mapping[str, Any]) -> None:
        self._more("call", event["toolCallId"], event["delta"])
        self._raw[event["toolCallId"]] += event["delta"]

    def _tool_call_end(self, event: Mapping[str, Any]) -> None:
        id_ = self._end("call", event["toolCallId"])
        try:
            self.run.arguments[id_] = json.loads(self._raw[id_])
        except ValueError:
            raise GrammarError(f"the arguments are no JSON: {self._raw[id_]!r}") from None

    def _tool_call_result(self, event: Mapping[str, Any]) -> None:
        id_ = event["toolCallId"]
        if id_ == self._open["call"] or id_ not in {*self.run.calls, *self._known} or event["role"] != "tool":
            raise GrammarError("a result follows the end of its call")
        if id_ in self.run.results:
            raise GrammarError("the call has a result already")
        self.run.results[id_] = event["content"]

    def _state_snapshot(self, event: Mapping[str, Any]) -> None:
        self.run.state = event["snapshot"]

    def _messages_snapshot(self, event: Mapping[str, Any]) -> None:
        self._all_closed(steps=False)
        messages: list[Mapping[str, Any]] = event["messages"]
        ids = [message["id"] for message in messages]
        if len(set(ids)) != len(ids):
            raise GrammarError("two messages of a snapshot have one id")
        left = set(ids)
        self.run.text = {id_: text for id_, text in self.run.text.items() if id_ in left}
        for message in messages:
            if self.run.text.get(message["id"], message.get("content")) != message.get("content"):
                raise GrammarError("the snapshot and the deltas tell different texts")

    def _step_started(self, event: Mapping[str, Any]) -> None:
        if self._step is not None:
            raise GrammarError("a step is open")
        self._step = event["stepName"]
        self.run.steps.append(event["stepName"])

    def _step_finished(self, event: Mapping[str, Any]) -> None:
        if self._step != event["stepName"]:
            raise GrammarError("no such step is open")
        self._step = None

    def _custom(self, event: Mapping[str, Any]) -> None:
        self.run.custom.append((event["name"], event["value"]))

    def _begin(self, kind: str, id_: str) -> None:
        if self._open[kind] is not None:
            raise GrammarError(f"{self._open[kind]} is open still")
        self._open[kind] = id_

    def _more(self, kind: str, id_: str, delta: str) -> None:
        if self._open[kind] != id_:
            raise GrammarError("no such thing is open")
        if not delta:
            raise GrammarError("a delta says something")

    def _end(self, kind: str, id_: str) -> str:
        if self._open[kind] != id_:
            raise GrammarError("no such thing is open")
        self._open[kind] = None
        return id_

    def _all_closed(self, *, steps: bool = True) -> None:
        left = [id_ for id_ in self._open.values() if id_ is not None]
        if steps and self._step is not None:
            left.append(self._step)
        if left:
            raise GrammarError(f"open still: {', '.join(left)}")


def _check_members(event: Mapping[str, Any]) -> None:
    needed, more = _MEMBERS[event["type"]]
    missing, strange = needed - set(event), set(event) - needed - more - _COMMON
    if missing or strange:
        raise GrammarError(f"missing: {sorted(missing)}, unknown: {sorted(strange)}")
    empty = [name for name, value in event.items() if value is None and name not in _ANY_VALUE]
    if empty:
        raise GrammarError(f"null is no value of {empty}")
    if not isinstance(event.get("timestamp", 0), int):
        raise GrammarError("a timestamp counts milliseconds")
