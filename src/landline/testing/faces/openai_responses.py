"""The strict checker of Responses streams (FACE-17): what the clients of Open Responses rely on, and more.

A stream is well-formed when its numbers rise by one, it begins with `response.created`, every item, part and text that
begins also ends, deltas add up to the text that is told at their end, arguments add up to JSON, what ended is what the
last response holds, and one terminal event (or one error) is last, before `[DONE]`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

__all__ = ["TERMINAL", "ResponsesStreamError", "Transcript", "check_events", "check_response", "check_stream"]

TERMINAL = frozenset({"response.completed", "response.failed", "response.incomplete"})
_LIFECYCLE = frozenset({"response.created", "response.queued", "response.in_progress"}) | TERMINAL
_STATUS = {
    "response.created": {"queued", "in_progress"},
    "response.queued": {"queued"},
    "response.in_progress": {"in_progress"},
    "response.completed": {"completed"},
    "response.failed": {"failed"},
    "response.incomplete": {"incomplete", "cancelled"},
}
_MUST = ("id", "object", "created_at", "status", "model", "output", "error", "usage", "tools", "tool_choice", "metadata")  # fmt: skip


class ResponsesStreamError(AssertionError):
    """The stream breaks the grammar; the text says at which event and how."""


@dataclass(kw_only=True)
class Transcript:
    """What a stream told: its events, the response of its last one, and the error that ended it, if one did."""

    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    response: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """The texts of all messages, as their deltas add up."""
        return "".join(e["delta"] for e in self.events if e["type"] == "response.output_text.delta")

    @property
    def types(self) -> list[str]:
        """The types of the events, in order."""
        return [event["type"] for event in self.events]


@dataclass(kw_only=True)
class _Item:
    index: int
    item: dict[str, Any]
    part: bool = False
    text: list[str] = field(default_factory=list[str])
    said: str | None = None
    summary: list[str] = field(default_factory=list[str])
    summed: str | None = None
    arguments: list[str] = field(default_factory=list[str])
    argued: str | None = None
    done: bool = False


def check_stream(
    body: bytes | str,
    *,
    content_type: str | None = None,
    starting_after: int | None = None,
    whole: bool = True,
) -> Transcript:
    """Return what a stream of server-sent events told.

    Args:
        body: All that was sent.
        content_type: The response's, looked at when it is given.
        starting_after: The stream goes on after this number; what began before it may end in it.
        whole: The stream has ended; otherwise it may stop anywhere.

    Raises:
        ResponsesStreamError: It breaks the grammar.
    """
    if content_type is not None and not content_type.startswith("text/event-stream"):
        raise ResponsesStreamError(f"the content type is {content_type!r}")
    text = body.decode() if isinstance(body, bytes) else body
    events: list[dict[str, Any]] = []
    done = False
    for number, block in enumerate(text.split("\n\n")):
        lines = [line for line in block.split("\n") if line and not line.startswith((":", "retry:"))]
        if not lines:
            continue
        if done:
            raise ResponsesStreamError(f"block {number}: something comes after [DONE]")
        if lines == ["data: [DONE]"]:
            done = True
            continue
        if len(lines) != 2 or not lines[0].startswith("event: ") or not lines[1].startswith("data: "):
            if whole:
                raise ResponsesStreamError(f"block {number} is no event and its data: {block[:80]!r}")
            break
        event = json.loads(lines[1][6:])
        if event.get("type") != lines[0][7:]:
            raise ResponsesStreamError(f"block {number}: the event is called {lines[0][7:]!r}")
        events.append(event)
    ended = bool(events) and events[-1]["type"] in TERMINAL
    if whole and ended and not done:
        raise ResponsesStreamError("[DONE] is missing")
    if done and events and not ended:
        raise ResponsesStreamError("[DONE] comes before the last event")
    return check_events(events, starting_after=starting_after, whole=whole)


def check_events(
    events: Iterable[Mapping[str, Any]], *, starting_after: int | None = None, whole: bool = True
) -> Transcript:
    """Return what events told, whichever transport brought them. Raises ResponsesStreamError."""
    checker = _Checker(starting_after)
    for event in events:
        try:
            checker.take(dict(event))
        except ResponsesStreamError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ResponsesStreamError(f"event {event.get('sequence_number')}: {error!r}") from error
    if whole:
        checker.end()
    return checker.transcript


def check_response(response: Mapping[str, Any]) -> None:
    """Check a response object by itself. Raises ResponsesStreamError."""
    for name in _MUST:
        if name not in response:
            raise ResponsesStreamError(f"the response has no {name}")
    ids = [item["id"] for item in response["output"]]
    if len(set(ids)) != len(ids):
        raise ResponsesStreamError("two items have the same id")
    if (response["error"] is not None) != (response["status"] == "failed"):
        raise ResponsesStreamError("an error and the status failed come together")
    if response["status"] == "completed":
        open_ = [item["id"] for item in response["output"] if item.get("status") == "in_progress"]
        if open_:
            raise ResponsesStreamError(f"the response is completed and {open_} are not")


class _Checker:
    def __init__(self, starting_after: int | None) -> None:
        self.transcript = Transcript()
        self._resumed = starting_after is not None
        self._next = 0 if starting_after is None else starting_after + 1
        self._items: dict[int, _Item] = {}
        self._id: str | None = None
        self._over = False

    def take(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if self._over:
            self._fail(event, "it comes after the last event")
        if event["sequence_number"] != self._next:
            self._fail(event, f"its number should be {self._next}")
        self._next += 1
        self.transcript.events.append(event)
        if kind == "error":
            self._over = True
            self.transcript.error = event["error"]
            if not event["error"]["message"]:
                self._fail(event, "the error says nothing")
        elif kind in _LIFECYCLE:
            self._lifecycle(event)
        else:
            self._of_item(event)

    def end(self) -> None:
        if not self._over:
            raise ResponsesStreamError("the stream has no last event")

    def _lifecycle(self, event: dict[str, Any]) -> None:
        response, kind = event["response"], event["type"]
        check_response(response)
        self._id = self._id or response["id"]
        if (event["sequence_number"] == 0) != (kind == "response.created"):
            self._fail(event, "response.created is the first event, and no other")
        if response["id"] != self._id:
            self._fail(event, "it is of another response")
        if response["status"] not in _STATUS[kind]:
            self._fail(event, f"its status is {response['status']!r}")
        self.transcript.response = response
        if kind not in TERMINAL:
            return
        self._over = True
        for known in self._items.values():
            if not known.done:
                self._fail(event, f"item {known.index} has not ended")
            if response["output"][known.index] != known.item:
                self._fail(event, f"item {known.index} is told otherwise at its end")
        if not self._resumed and len(response["output"]) != len(self._items):
            self._fail(event, "it holds items that were never told")

    def _of_item(self, event: dict[str, Any]) -> None:
        index, kind = event["output_index"], event["type"]
        if kind == "response.output_item.added":
            if not self._resumed and (index in self._items or index != len(self._items)):
                self._fail(event, "items are counted from 0")
            self._items[index] = _Item(index=index, item=event["item"])
            return
        known = self._items.get(index)
        if known is None:
            if self._resumed:
                return  # it began before
            self._fail(event, "there is no such item")
        if known.done:
            self._fail(event, "its item has ended")
        if kind == "response.output_item.done":
            self._done(event, known)
            return
        if event["item_id"] != known.item["id"]:
            self._fail(event, "it names another item")
        self._inside(event, known)

    def _inside(self, event: dict[str, Any], known: _Item) -> None:
        match event["type"]:
            case "response.content_part.added":
                known.part = True
            case "response.output_text.delta" if not known.part or known.said is not None:
                self._fail(event, "no text is open")
            case "response.output_text.delta":
                known.text.append(event["delta"])
            case "response.output_text.done":
                known.said = self._sum(event, known.text, event["text"])
            case "response.content_part.done":
                known.part = False
                self._sum(event, known.text, event["part"]["text"])
            case _:
                self._beside(event, known)

    def _beside(self, event: dict[str, Any], known: _Item) -> None:
        match event["type"]:
            case "response.reasoning_summary_text.delta":
                known.summary.append(event["delta"])
            case "response.reasoning_summary_text.done":
                known.summed = self._sum(event, known.summary, event["text"])
            case "response.function_call_arguments.delta" | "response.mcp_call_arguments.delta":
                known.arguments.append(event["delta"])
            case "response.function_call_arguments.done" | "response.mcp_call_arguments.done":
                known.argued = self._sum(event, known.arguments, event["arguments"])
                if not isinstance(json.loads(event["arguments"]), dict):
                    self._fail(event, "the arguments are no object")
            case _:
                pass

    def _sum(self, event: dict[str, Any], deltas: list[str], text: str) -> str:
        if "".join(deltas) != text:
            self._fail(event, f"the deltas add up to {''.join(deltas)!r}")
        return text

    def _done(self, event: dict[str, Any], known: _Item) -> None:
        item = event["item"]
        if item["id"] != known.item["id"] or item["type"] != known.item["type"]:
            self._fail(event, "another item began here")
        match item["type"]:
            case "message":
                texts = "".join(part["text"] for part in item["content"])
                if known.part or known.said is None or texts != known.said:
                    self._fail(event, "its text has not ended, or is another")
            case "reasoning":
                if "".join(part["text"] for part in item["summary"]) != known.summed:
                    self._fail(event, "its summary has not ended, or is another")
            case "function_call" | "mcp_call":
                if item["arguments"] != known.argued:
                    self._fail(event, "its arguments have not ended, or are others")
            case _:
                pass
        if item.get("status") == "in_progress":
            self._fail(event, "it has ended and is in progress")
        known.item, known.done = item, True

    def _fail(self, event: Mapping[str, Any], why: str) -> NoReturn:
        raise ResponsesStreamError(f"event {event.get('sequence_number')} ({event.get('type')}): {why}")
