"""From the framework's stream events to the log's: pure, no I/O, one instance per segment.

What is shown of a response: its reasoning and text as one message, or its structured output as one. Responses that are
replayed show nothing, except what an earlier segment had no time to show.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pydantic_core
from ag2.events import BaseEvent, ModelMessageChunk, ModelReasoning, ModelResponse

from landline.adapters.ag2.partial import NOTHING, Shape, shape_of
from landline.model.events import (
    Event,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    ReasoningDelta,
    TextDelta,
)
from landline.model.ids import new_id

__all__ = ["Speech"]

Emitted = Callable[[int], tuple[str, str, bool] | None]

_GROWTH = 32
"""Partial output is read again when it grew by 1/32: the cost of reading stays linear in its length."""


class Speech:
    """The messages of one run as they are spoken. `emitted` tells what earlier segments said, by ordinal."""

    def __init__(self, emitted: Emitted) -> None:
        self._emitted = emitted
        self._ordinal = 0
        self._id: str | None = None
        self._reset(None)

    def _reset(self, schema: Any) -> None:
        self._structured = schema is not None and getattr(schema, "json_schema", None) is not None
        self._shape: Shape | None = shape_of(schema) if self._structured else None
        self._text = self._json = self._thought = ""
        self._read = 0
        self._last: Any = NOTHING
        self._candidate = False

    @property
    def speaking(self) -> bool:
        """Whether a message is begun and not ended."""
        return self._id is not None

    def begin(self, schema: Any) -> list[Event]:
        """A response begins; what is still open was not accepted by the agent and is taken back."""
        events = list(self._retract("rejected"))
        self._reset(schema)
        return events

    def take(self, event: BaseEvent) -> list[Event]:
        """Map one event of a live response."""
        match event:
            case ModelMessageChunk(content=text) if text:
                return list(self._write(text) if self._structured else self._speak(text))
            case ModelReasoning(content=text) if text:
                started = list(self._started())
                assert self._id is not None
                return [*started, ReasoningDelta(message_id=self._id, delta=text)]
            case _:
                return []

    def came(self, thought: str) -> None:
        """Note what the model thought on the way to its response."""
        self._thought = thought

    def _speak(self, text: str) -> Iterator[Event]:
        yield from self._started()
        assert self._id is not None
        self._text += text
        yield TextDelta(message_id=self._id, delta=text)

    def _write(self, more: str) -> Iterator[Event]:
        self._json += more
        if self._shape is None or len(self._json) - self._read < len(self._json) // _GROWTH:
            return
        self._read = len(self._json)
        output = self._shape.read(self._json)
        if output is NOTHING or output == self._last:
            return
        yield from self._started()
        assert self._id is not None
        self._last = output
        yield OutputPartial(message_id=self._id, output=output)

    def _started(self) -> Iterator[Event]:
        if self._id is None:
            self._id = new_id()
            yield MessageStarted(message_id=self._id, role="assistant")

    def settle(self, response: ModelResponse) -> list[Event]:
        """A response is whole: end its text message, saying what of it was not said yet."""
        return list(self._settle(response))

    def _settle(self, response: ModelResponse) -> Iterator[Event]:
        text = response.content or ""
        calls = bool(response.tool_calls.calls) and not response.response_force
        if self._structured and text and not calls:
            self._candidate = True
            return
        if self._last is not NOTHING:
            # What looked like the output was talk beside calls.
            yield from self._retract("replaced")
        if not text and not self._thought:
            yield from self._retract("replaced")
            return
        yield from self._complete(text)

    def _known(self) -> tuple[str, str, bool] | None:
        return self._emitted(self._ordinal) if self._id is None else (self._id, self._text, False)

    def _complete(self, text: str) -> Iterator[Event]:
        known = self._known()
        if known is None or not known[2]:
            if known is not None and not text.startswith(known[1]):
                # The agent's own middleware put another response in the place of the one that was streamed.
                yield MessageRetracted(message_id=known[0], reason="replaced")
                known = None
            if known is None:
                message_id, shown = new_id(), ""
                yield from self._opened(message_id)
            else:
                message_id, shown, _ = known
            if len(text) > len(shown):
                yield TextDelta(message_id=message_id, delta=text[len(shown) :])
            yield MessageCompleted(message_id=message_id, text=text)
        self._next()

    def _opened(self, message_id: str) -> Iterator[Event]:
        yield MessageStarted(message_id=message_id, role="assistant")
        if self._thought:
            yield ReasoningDelta(message_id=message_id, delta=self._thought)

    def finish(self, output: Any) -> list[Event]:
        """A turn is over: end the message of its structured output; `output` is plain JSON data."""
        return list(self._finish(output)) if self._candidate else []

    def _finish(self, output: Any) -> Iterator[Event]:
        known = self._known()
        if known is None or not known[2]:
            if known is None:
                message_id = new_id()
                yield from self._opened(message_id)
            else:
                message_id = known[0]
            if self._last is NOTHING or self._last != output:
                yield OutputPartial(message_id=message_id, output=output)
            text = output if isinstance(output, str) else pydantic_core.to_json(output).decode()
            yield MessageCompleted(message_id=message_id, text=text)
        self._next()

    def _next(self) -> None:
        self._id = None
        self._ordinal += 1
        self._text, self._candidate, self._last = "", False, NOTHING

    def _retract(self, reason: str) -> Iterator[Event]:
        if self._id is not None:
            yield MessageRetracted(message_id=self._id, reason=reason)
            self._id, self._text, self._last = None, "", NOTHING
