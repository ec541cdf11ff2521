"""From the model's stream to the log's events: pure, no I/O, one instance per segment.

What is shown of a response: its reasoning and text as one message, and a structured output as one. Responses that are
replayed show nothing, except what an earlier segment had no time to show.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pydantic_core
from openai.types.responses import Response

from landline.adapters.openai_agents.partial import NOTHING, Shape
from landline.model.events import (
    Event,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    ReasoningDelta,
    SourceAdded,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    UsageReported,
)
from landline.model.ids import new_id

__all__ = ["Speech", "provider_tools", "usage_of"]

Emitted = Callable[[int], tuple[str, str, bool] | None]

_GROWTH = 32
"""Partial output is read again when it grew by 1/32: the cost of reading stays linear in its length."""

_TEXT = {"response.output_text.delta", "response.refusal.delta"}
_REASONING = {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}


class Speech:
    """The messages of one run as they are spoken. `emitted` tells what earlier segments said, by ordinal."""

    def __init__(self, emitted: Emitted) -> None:
        self._emitted = emitted
        self._ordinal = 0
        self._id: str | None = None
        self._known: list[str] = []
        self._reset(structured=False, shape=None)

    def _reset(self, *, structured: bool, shape: Shape | None) -> None:
        self._structured, self._shape = structured, shape
        self._text = self._json = self._reasoning = ""
        self._read = 0
        self._last: Any = NOTHING
        self._candidate = False

    @property
    def speaking(self) -> bool:
        """Whether a message is begun and not ended."""
        return self._id is not None

    def begin(self, *, structured: bool, shape: Shape | None) -> Iterator[Event]:
        """A response begins; what is still open was not accepted by the agent and is taken back."""
        yield from self._retract("rejected")
        self._reset(structured=structured, shape=shape)

    def take(self, event: Any) -> Iterator[Event]:
        """Map one event of a live response."""
        if event.type in _TEXT and event.delta:
            if self._structured:
                yield from self._write(event.delta)
            else:
                yield from self._started()
                self._text += event.delta
                yield TextDelta(message_id=str(self._id), delta=event.delta)
        elif event.type in _REASONING and event.delta:
            yield from self._started()
            self._reasoning += event.delta
            yield ReasoningDelta(message_id=str(self._id), delta=event.delta)

    def _write(self, more: str) -> Iterator[Event]:
        self._json += more
        if self._shape is None or len(self._json) - self._read < len(self._json) // _GROWTH:
            return
        self._read = len(self._json)
        output = self._shape.read(self._json)
        if output is NOTHING or output == self._last:
            return
        yield from self._started()
        self._last = output
        yield OutputPartial(message_id=str(self._id), output=output)

    def _started(self) -> Iterator[Event]:
        if self._id is None:
            self._id = new_id()
            self._known.append(self._id)
            yield MessageStarted(message_id=self._id, role="assistant")

    def settle(self, response: Response, *, replayed: bool) -> Iterator[Event]:
        """The response is whole: end its message, unless it is the structured output, which the run's end ends."""
        text, calls = _text_of(response), _calls(response)
        if replayed:
            self._reasoning = _reasoning_of(response)
        self._candidate = self._structured and bool(text) and not calls
        if self._candidate:
            return
        if self._last is not NOTHING:
            yield from self._retract("rejected")
        if not text and not self._reasoning:
            yield from self._retract("replaced")
            return
        known = self._emitted(self._ordinal) if replayed else self._live()
        yield from self._complete(known, text, response)
        self._id = None
        self._ordinal += 1

    def _live(self) -> tuple[str, str, bool] | None:
        return None if self._id is None else (self._id, self._text, False)

    def _complete(
        self, known: tuple[str, str, bool] | None, text: str, response: Response
    ) -> Iterator[Event]:
        if known is not None and known[2]:
            self._known.append(known[0])
            return
        if known is not None and not text.startswith(known[1]):
            yield MessageRetracted(message_id=known[0], reason="replaced")
            known = None
        if known is None:
            yield from self._anew()
            message_id, shown = str(self._id), ""
        else:
            message_id, shown, _ = known
        if len(text) > len(shown):
            yield TextDelta(message_id=message_id, delta=text[len(shown) :])
        yield from _sources(message_id, response)
        yield MessageCompleted(message_id=message_id, text=text)

    def _anew(self) -> Iterator[Event]:
        self._id = None
        yield from self._started()
        if self._reasoning:
            yield ReasoningDelta(message_id=str(self._id), delta=self._reasoning)

    def finish(self, output: Any) -> Iterator[Event]:
        """The run is over: end the message of its structured output; `output` is plain JSON data."""
        if not self._candidate:
            return
        known = self._live() or self._emitted(self._ordinal)
        if known is not None and known[2]:
            return
        if known is None:
            yield from self._anew()
            message_id = str(self._id)
        else:
            message_id = known[0]
        if self._last is NOTHING or self._last != output:
            yield OutputPartial(message_id=message_id, output=output)
        text = output if isinstance(output, str) else pydantic_core.to_json(output).decode()
        yield MessageCompleted(message_id=message_id, text=text)
        self._id = None
        self._ordinal += 1

    def take_back(self, reason: str) -> Iterator[Event]:
        """Retract every message of the run, whole ones too."""
        known, self._known, self._id = self._known, [], None
        later = self._emitted(self._ordinal)
        for message_id in known if later is None or later[0] in known else [*known, later[0]]:
            yield MessageRetracted(message_id=message_id, reason=reason)

    def _retract(self, reason: str) -> Iterator[Event]:
        if self._id is not None:
            self._known.remove(self._id)
            yield MessageRetracted(message_id=self._id, reason=reason)
            self._id = None


def _items(response: Response) -> list[Any]:
    return cast("list[Any]", response.output)


def _text_of(response: Response) -> str:
    contents = (part for item in _items(response) if item.type == "message" for part in item.content)
    return "".join((part.text if part.type == "output_text" else part.refusal) or "" for part in contents)


def _reasoning_of(response: Response) -> str:
    found: list[str] = []
    for item in _items(response):
        if item.type == "reasoning":
            found += [part.text for part in (item.summary or getattr(item, "content", None) or ())]
    return "".join(found)


def _calls(response: Response) -> bool:
    return any(item.type == "function_call" for item in _items(response))


def usage_of(response: Response) -> list[Event]:
    """Return the event of a response's usage; none when the provider did not say."""
    usage = response.usage
    if usage is None:
        return []
    return [
        UsageReported(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            total_tokens=usage.input_tokens + usage.output_tokens,
            model=response.model or None,
        )
    ]


_PROVIDER_TOOLS = {
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "mcp_call",
}
_OUTCOMES = ("results", "outputs", "output", "error", "status")


def provider_tools(response: Response) -> list[Event]:
    """Return the calls that the provider ran itself within the response, such as its web search."""
    events: list[Event] = []
    for item in _items(response):
        if item.type not in _PROVIDER_TOOLS:
            continue
        whole = cast("dict[str, Any]", item.model_dump(mode="json", exclude_none=True))
        outcome = {name: whole.pop(name) for name in _OUTCOMES if name in whole}
        for name in ("id", "type", "result"):  # the result of an image is its bytes
            whole.pop(name, None)
        name = str(whole.pop("name", None) or item.type.removesuffix("_call"))
        events.append(ToolCalled(call_id=item.id, name=name, arguments=whole))
        events.append(ToolCompleted(call_id=item.id, result=outcome))
    return events


def _sources(message_id: str, response: Response) -> Iterator[Event]:
    seen: set[tuple[str, str | None]] = set()
    for item in _items(response):
        parts = item.content if item.type == "message" else ()
        for note in (note for part in parts for note in (getattr(part, "annotations", None) or ())):
            url = getattr(note, "url", None)
            title = getattr(note, "title", None) or getattr(note, "filename", None) or url
            if title and (title, url) not in seen:
                seen.add((title, url))
                yield SourceAdded(message_id=message_id, title=title, url=url)
