"""The grammar of a run's stream, checked strictly (FACE-17): one checker for logs, SSE, sockets and faces.

A stream is well-formed when its ids rise by one from 1, it begins with run.created, every message that starts ends,
deltas add up byte-equal to the final text, every tool result has its call, and exactly one terminal event is last.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from landline.model.events import TERMINAL_EVENTS

__all__ = ["GrammarError", "check_stream"]

_SEGMENT_ENDS = TERMINAL_EVENTS | {"run.waiting"}


class GrammarError(AssertionError):
    """The stream breaks the grammar; the text says at which event and how."""


class _Stream:
    def __init__(self) -> None:
        self.text: dict[str, list[str]] = {}
        self.partial: dict[str, Any] = {}
        self.done: set[str] = set()
        self.dropped: set[str] = set()
        self.tools: dict[str, bool] = {}
        self.questions: dict[str, bool] = {}
        self.ended: str | None = None

    def open_messages(self) -> set[str]:
        return set(self.text) - self.done - self.dropped

    def started(self, event: Mapping[str, Any]) -> None:
        if event["message_id"] in self.text:
            raise GrammarError("the message was started already")
        self.text[event["message_id"]] = []

    def delta(self, event: Mapping[str, Any]) -> None:
        self._open(event)
        self.text[event["message_id"]].append(event["delta"])

    def partly(self, event: Mapping[str, Any]) -> None:
        self._open(event)
        self.partial[event["message_id"]] = event["output"]

    def completed(self, event: Mapping[str, Any]) -> None:
        self._open(event)
        message_id = event["message_id"]
        summed = "".join(self.text[message_id])
        if message_id not in self.partial and summed != event["text"]:
            raise GrammarError(f"the deltas add up to {summed!r}, the text is {event['text']!r}")
        self.done.add(message_id)

    def _open(self, event: Mapping[str, Any]) -> None:
        if event["message_id"] not in self.open_messages():
            raise GrammarError("no such message is open")

    def called(self, event: Mapping[str, Any]) -> None:
        if event["call_id"] in self.tools:
            raise GrammarError("the tool call was made already")
        self.tools[event["call_id"]] = False

    def returned(self, event: Mapping[str, Any]) -> None:
        if self.tools.get(event["call_id"]) is not False:
            raise GrammarError("no such tool call is under way")
        self.tools[event["call_id"]] = True

    def asked(self, event: Mapping[str, Any]) -> None:
        if event["question_id"] in self.questions:
            raise GrammarError("the question was asked already")
        self.questions[event["question_id"]] = False

    def answered(self, event: Mapping[str, Any]) -> None:
        if self.questions.get(event["question_id"]) is not False:
            raise GrammarError("no such question is open")
        self.questions[event["question_id"]] = True

    def take(self, event: Mapping[str, Any]) -> None:  # noqa: C901, PLR0912 - one arm per kind of event
        if self.ended in TERMINAL_EVENTS:
            raise GrammarError(f"an event after {self.ended}")
        match event["type"]:
            case "message.started":
                self.started(event)
            case "text.delta":
                self.delta(event)
            case "reasoning.delta":
                self._open(event)
            case "output.partial":
                self.partly(event)
            case "message.completed":
                self.completed(event)
            case "message.retracted":
                self.dropped.add(event["message_id"])
            case "tool.called":
                self.called(event)
            case "tool.completed" | "tool.failed":
                self.returned(event)
            case "question.asked":
                self.asked(event)
            case "question.answered":
                self.answered(event)
            case "run.resumed" if event.get("drop_message_id"):
                self.dropped.add(event["drop_message_id"])
            case "run.completed":
                self._whole(event)
            case _:
                pass
        if event["type"] in _SEGMENT_ENDS:
            self.ended = event["type"]

    def _whole(self, event: Mapping[str, Any]) -> None:
        if self.open_messages():
            raise GrammarError("completed with a message open")
        if open_tools := [call for call, done in self.tools.items() if not done]:
            raise GrammarError(f"completed with tool calls under way: {open_tools}")
        message_id = event.get("message_id")
        if message_id in self.partial and self.partial[message_id] != event["output"]:
            raise GrammarError("the last partial output is not the output")


def check_stream(events: Iterable[Mapping[str, Any]], *, whole: bool = True) -> None:
    """Raise GrammarError unless `events` (as decoded from the native wire) are a well-formed stream.

    Args:
        events: From `seq` 1 on, in the order they came.
        whole: The run has ended, so the last event must be terminal; otherwise the stream may stop anywhere.
    """
    stream, count = _Stream(), 0
    for count, event in enumerate(events, start=1):
        try:
            _placed(event, count)
            stream.take(event)
        except GrammarError as error:
            raise GrammarError(f"event {count} {dict(event)}: {error}") from None
    if whole and stream.ended not in TERMINAL_EVENTS:
        raise GrammarError(f"the stream of {count} events has no terminal event")


def _placed(event: Mapping[str, Any], place: int) -> None:
    if event["seq"] != place:
        raise GrammarError(f"the seq should be {place}")
    if (place == 1) != (event["type"] == "run.created"):
        raise GrammarError("run.created is the first event and no other")
