"""From the framework's stream events to the log's: pure, no I/O, one instance per segment.

What is shown of a response: its reasoning and text as one message, and its structured output as one. Responses that
are replayed show nothing, except what an earlier segment had no time to show.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pydantic_core
from pydantic_ai.messages import (
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)

from landline.adapters.pydantic_ai.partial import NOTHING, Outputs, Shape
from landline.model.events import (
    Event,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    ReasoningDelta,
    SourceAdded,
    TextDelta,
)
from landline.model.ids import new_id

__all__ = ["Speech"]

Emitted = Callable[[int], tuple[str, str, bool] | None]

_GROWTH = 32
"""Partial output is read again when it grew by 1/32: the cost of reading stays linear in its length."""


class Speech:
    """The messages of one run as they are spoken. `emitted` tells what earlier segments said, by ordinal."""

    def __init__(self, emitted: Emitted, outputs: Outputs) -> None:
        self._emitted, self._outputs = emitted, outputs
        self._ordinal = 0
        self._begin(output_is_text=False)
        self._id: str | None = None

    def _begin(self, *, output_is_text: bool) -> None:
        self._output_is_text = output_is_text
        self._text = ""
        self._said: str | None = None
        self._reasoning = ""
        self._candidate = False
        self._json: dict[int, str] = {}
        self._shapes: dict[int, Shape | None] = {}
        self._read = 0
        self._last: Any = NOTHING

    @property
    def speaking(self) -> bool:
        """Whether a message is begun and not ended."""
        return self._id is not None

    def begin(self, *, output_is_text: bool) -> Iterator[Event]:
        """A response begins; what is still open was not accepted by the agent and is taken back."""
        yield from self._retract("rejected")
        self._begin(output_is_text=output_is_text)

    def take(self, event: object, before: int = 0) -> Iterator[Event]:
        """Map one event of a live response; `before`: so many parts of it came in an earlier stream."""
        match event:
            case (
                PartStartEvent(part=TextPart(content=text), index=index)
                | PartDeltaEvent(delta=TextPartDelta(content_delta=text), index=index)
            ):
                if not self._output_is_text:
                    yield from self._speak(text)
                else:
                    self._shapes.setdefault(index + before, self._outputs.text)
                    yield from self._write(index + before, text)
            case (
                PartStartEvent(part=ThinkingPart(content=text))
                | PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text))
            ):
                if text:
                    yield from self._started()
                    assert self._id is not None
                    yield ReasoningDelta(message_id=self._id, delta=text)
            case PartStartEvent(part=ToolCallPart(tool_name=name, args=args), index=index):
                if self._outputs.is_tool(name):
                    self._shapes[index + before] = self._outputs.tool(name)
                    yield from self._write(index + before, cast("str | dict[str, Any] | None", args))
            case PartDeltaEvent(delta=ToolCallPartDelta(args_delta=args), index=index):
                if index + before in self._shapes:
                    yield from self._write(index + before, args)
            case _:
                return

    def _speak(self, text: str) -> Iterator[Event]:
        if not text:
            return
        yield from self._started()
        assert self._id is not None
        self._text += text
        yield TextDelta(message_id=self._id, delta=text)

    def _write(self, index: int, more: str | dict[str, Any] | None) -> Iterator[Event]:
        shape = self._shapes[index]
        if shape is None or not more:
            return
        if isinstance(more, dict):
            output = shape.pick(more)
        else:
            written = self._json[index] = self._json.get(index, "") + more
            if len(written) - self._read < len(written) // _GROWTH:
                return
            self._read = len(written)
            output = shape.read(written)
        if output is NOTHING or output == self._last:
            return
        if self._text:
            yield from self._end_text()
        yield from self._started()
        assert self._id is not None
        self._last = output
        yield OutputPartial(message_id=self._id, output=output)

    def _end_text(self) -> Iterator[Event]:
        """What was said before the output is a message of its own."""
        assert self._id is not None
        yield MessageCompleted(message_id=self._id, text=self._text)
        self._said, self._text, self._id = self._text, "", None
        self._ordinal += 1

    def _started(self) -> Iterator[Event]:
        if self._id is None:
            self._id = new_id()
            yield MessageStarted(message_id=self._id, role="assistant")

    def settle(self, response: ModelResponse, *, replayed: bool) -> Iterator[Event]:
        """A response is whole: end its text message, saying what of it was not said yet."""
        if replayed:
            self._begin(output_is_text=self._output_is_text)
            self._id = None
        text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
        self._reasoning = "".join(part.content for part in response.parts if isinstance(part, ThinkingPart))
        calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
        own_tools = [call for call in calls if not self._outputs.is_tool(call.tool_name)]
        self._candidate = len(own_tools) < len(calls)
        if self._output_is_text:
            # JSON text is the output, unless tools are called beside it: then it is talk.
            self._candidate = self._candidate or (bool(text) and not own_tools)
            text = text if own_tools and self._last is NOTHING else ""
        if self._said is not None and text.startswith(self._said):
            return
        if not text and (self._candidate or not self._reasoning):
            if not self._candidate:
                yield from self._retract("replaced")
            return
        known = self._emitted(self._ordinal) if replayed else self._live()
        yield from self._complete(known, text, response)
        self._id = None
        self._ordinal += 1

    def _live(self) -> tuple[str, str, bool] | None:
        return None if self._id is None else (self._id, self._text, False)

    def _complete(
        self, known: tuple[str, str, bool] | None, text: str, response: ModelResponse
    ) -> Iterator[Event]:
        if known is not None and known[2]:
            return
        if known is not None and not text.startswith(known[1]):
            # The framework put another response in the place of the one that was streamed.
            yield MessageRetracted(message_id=known[0], reason="replaced")
            known = None
        if known is None:
            message_id, shown = new_id(), ""
            yield MessageStarted(message_id=message_id, role="assistant")
            if self._reasoning:
                yield ReasoningDelta(message_id=message_id, delta=self._reasoning)
        else:
            message_id, shown, _ = known
        if len(text) > len(shown):
            yield TextDelta(message_id=message_id, delta=text[len(shown) :])
        yield from _sources(message_id, response)
        yield MessageCompleted(message_id=message_id, text=text)

    def finish(self, output: Any) -> Iterator[Event]:
        """The run is over: end the message of its structured output; `output` is plain JSON data."""
        if not self._candidate:
            return
        known = self._live() or self._emitted(self._ordinal)
        if known is not None and known[2]:
            return
        if known is None:
            message_id = new_id()
            yield MessageStarted(message_id=message_id, role="assistant")
            if self._reasoning:
                yield ReasoningDelta(message_id=message_id, delta=self._reasoning)
        else:
            message_id = known[0]
        if self._last is NOTHING or self._last != output:
            yield OutputPartial(message_id=message_id, output=output)
        text = output if isinstance(output, str) else pydantic_core.to_json(output).decode()
        yield MessageCompleted(message_id=message_id, text=text)
        self._id = None
        self._ordinal += 1

    def _retract(self, reason: str) -> Iterator[Event]:
        if self._id is not None:
            yield MessageRetracted(message_id=self._id, reason=reason)
            self._id = None


def _sources(message_id: str, response: ModelResponse) -> Iterator[Event]:
    seen: set[tuple[str, str | None]] = set()
    for part in response.parts:
        for citation in (part.citations or ()) if isinstance(part, TextPart) else ():
            for source in cast("list[Any]", citation.sources):
                url = getattr(source, "url", None)
                title = source.title or url or getattr(source, "document_id", None) or "source"
                if (title, url) not in seen:
                    seen.add((title, url))
                    yield SourceAdded(
                        message_id=message_id, title=title, url=url, quote=next(iter(source.excerpts), None)
                    )
