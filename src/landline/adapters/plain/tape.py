"""What a function did so far, played back: a segment runs the function from the top, and the tape knows what is done.

Emits, partial outputs and questions are keyed by (name, ordinal). What was recorded is not done again; from the
first new thing on, everything is recorded. Code outside of steps may therefore run several times (ADP-11).
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec
import pydantic_core

from landline.adapters.plain.speech import SCOPE, Scope, Speech, mismatch
from landline.adapters.plain.threads import in_thread
from landline.model.events import (
    AgentChanged,
    Custom,
    Event,
    FileAdded,
    OutputPartial,
    ReasoningDelta,
    SourceAdded,
    ToolProgress,
    UsageReported,
    encode,
)
from landline.model.json_schema import check
from landline.model.runs import Answer
from landline.ports.adapter import Ask, Suspended, Turn

__all__ = ["Execute", "NotJson", "Tape", "jsonable"]

_OF_A_MESSAGE: Final = (FileAdded, ReasoningDelta, SourceAdded)
_EMITTABLE: Final = (AgentChanged, Custom, ToolProgress, UsageReported, *_OF_A_MESSAGE)
"""What a function may emit itself. Messages, tools, questions and the run's states follow from what it does."""


class NotJson(TypeError):
    """What must be recorded is not JSON data."""


def jsonable(value: Any, what: str) -> Any:
    """Return `value` as plain JSON data.

    Raises:
        NotJson: It cannot be written as JSON, so it could not be given back after a crash.
    """
    try:
        data = pydantic_core.to_jsonable_python(value, inf_nan_mode="null")
        encode(data)  # what only looks like text (a lone surrogate) must fail here, not in the log
    except (pydantic_core.PydanticSerializationError, ValueError) as error:
        raise NotJson(
            f"{what} must be JSON data (text, numbers, lists, dicts, pydantic models, dataclasses), "
            f"because it is recorded: {error}"
        ) from error
    return data


@dataclass(slots=True)
class _Together:
    """Questions that are asked at once."""

    asks: list[Ask]
    answers: list[Answer] = field(default_factory=list[Answer])
    over: asyncio.Event = field(default_factory=asyncio.Event)


Execute = Callable[[Callable[[], Any], str], Awaitable[Any]]
"""Runs blocking code away from the loop: the code, and the id of the call it belongs to."""


class Tape:
    """One run of one function. `execute` is how its blocking calls are run; each in a thread of its own without it."""

    def __init__(self, turn: Turn, execute: Execute | None = None) -> None:
        self.turn = turn
        self.execute: Execute = execute or partial(in_thread, line=turn.line)
        self.line = turn.line
        self.speech = Speech(turn.line)
        self._counts: dict[str, int] = {}
        self._outputs: list[Any] = []
        self._calls = 0
        self._asking: _Together | None = None
        self._messages = asyncio.Lock()
        self._no_calls = asyncio.Event()
        self._no_calls.set()

    def check(self) -> None:
        """Raise what ended the segment, again: code that caught it must not go on."""
        if self.speech.stopped is not None:
            raise self.speech.stopped

    def key(self, name: str) -> str:
        """Return the key of the next thing named `name` here: the same one when the function runs again."""
        around = SCOPE.get()
        place = f"{around.call_id}/{name}" if around else name
        ordinal = self._counts.get(place, 0)
        self._counts[place] = ordinal + 1
        return f"{place}:{ordinal}"

    def same(self, key: str, data: Any, what: str) -> bool:
        """Record `data` under `key`, or see that it is what was recorded; tells whether it was.

        Raises:
            AgentFailed: It is not (`replay_mismatch`).
        """
        body, earlier = encode(data), self.line.recorded(key)
        if earlier is None:
            self.line.record(key, body)
        elif msgspec.json.decode(earlier) != msgspec.json.decode(body):
            self.speech.stopped = mismatch(what)
            raise self.speech.stopped
        return earlier is not None

    # -- what is said and shown

    async def emit(self, event: Event) -> None:
        """Emit an event once, however often the function runs.

        Raises:
            TypeError: Events of this kind follow from what the function does and are not emitted by it.
        """
        self.check()
        if not isinstance(event, _EMITTABLE):
            names = ", ".join(sorted(kind.__name__ for kind in _EMITTABLE))
            raise TypeError(f"a function cannot emit {type(event).__name__}; it can emit: {names}")
        if isinstance(event, _OF_A_MESSAGE):
            event = msgspec.structs.replace(event, message_id=await self.speech.message_id())
        name = f"emit/{event.type}"
        if isinstance(event, Custom):
            name = f"{name}/{event.name}"
            event = msgspec.structs.replace(event, data=jsonable(event.data, "the data of an event"))
        await self._once(name, event)

    async def message(self, text: str, name: str, facts: Mapping[str, Any]) -> None:
        """Say `text` as a message of its own, and `facts` about it in a custom event that names its `message_id`."""
        async with self._messages:  # one after the other, also those of tasks side by side
            await self.speech.end()
            message_id = await self.speech.message_id()
            await self._tell_of(message_id, name, facts)
            await self.speech.say(text)
            ended = await self.speech.end()
            if ended is not None and ended != message_id:
                # A call that was cut off said something else this time: its message stands under a new id.
                await self._tell_of(ended, name, facts)

    async def _tell_of(self, message_id: str, name: str, facts: Mapping[str, Any]) -> None:
        data = jsonable({"message_id": message_id, **facts}, "the data of an event")
        await self._once(f"emit/custom/{name}@{message_id}", Custom(name=name, data=data))

    async def output(self, so_far: Any) -> None:
        """Show a structured output so far; the last one shown is the answer unless the function returns another."""
        self.check()
        data = jsonable(so_far, "an output")
        self._outputs[:] = [data]
        if (around := SCOPE.get()) is not None:
            around.see(data)
        await self._once("output", OutputPartial(message_id=await self.speech.message_id(), output=data))

    async def take(self, item: Any) -> None:
        """Take what a generator yielded: text, an event, or a structured output so far."""
        if isinstance(item, str):
            await self.speech.say(item)
        elif isinstance(item, Event):
            await self.emit(item)
        else:
            await self.output(item)

    async def _once(self, name: str, event: Event) -> None:
        # An event of a message that was taken back is emitted again, into the message that stands for it.
        message_id = getattr(event, "message_id", None)
        key = self.key(f"{name}@{message_id}" if message_id else name)
        if self.line.recorded(key) is None:
            # Nothing is awaited between these two: the record and the event are stored in one batch or not at all.
            self.line.record(key, b"true")
            await self.line.emit(event)

    async def conclude(self, value: Any) -> Any:
        """Complete what is open and return the run's output, given what the function returned."""
        said = "\n\n".join(self.speech.texts)
        if value is None:
            output = self._outputs[0] if self._outputs else said
        elif isinstance(value, str):
            output = value
            if value not in (said, *self.speech.texts[-1:]):
                if not value.startswith(self.speech.open_text):
                    await self.speech.end()
                await self.speech.say(value[len(self.speech.open_text) :])
        else:
            output = jsonable(value, "what an agent returns")
            if self._outputs != [output]:
                await self.output(output)
        if self.turn.output_schema is not None:
            check(output, self.turn.output_schema)
        await self.speech.end()
        return output

    # -- calls and questions

    @contextmanager
    def calling(self) -> Generator[None]:
        """A step or tool is running."""
        self._calls += 1
        self._no_calls.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._no_calls.set()

    async def end_call(self, inner: Scope) -> None:
        """Complete what a call said, and record what it said and showed, because it will not do so again."""
        await self.speech.end()
        if inner.again:
            await self.speech.forget_the_rest()
        if inner.said or inner.outputs:
            kept = {"said": ["".join(deltas) for deltas in inner.said.values()], "outputs": inner.outputs}
            self.line.record(f"inside:{inner.call_id}", encode(kept))

    async def replay_inside(self, call_id: str) -> None:
        """Say what a finished call said."""
        earlier = self.line.recorded(f"inside:{call_id}")
        if earlier is None:
            return
        kept = msgspec.json.decode(earlier)
        for text in kept["said"]:
            await self.speech.message_id()
            await self.speech.say(text)
            await self.speech.end()
        if kept["outputs"]:
            self._outputs[:] = kept["outputs"]

    async def ask(self, ask: Ask) -> Answer:
        """Return a human's answer, or end the segment.

        Raises:
            Suspended: It is not answered yet.
        """
        # The message before a question is whole: whoever reads it may wait for days.
        await self.speech.end()
        if SCOPE.get() is None:
            # The results of calls in parallel are kept before the segment ends (ADP-3).
            await self._no_calls.wait()
        self.check()
        return await self._ask_together(ask)

    async def _ask_together(self, ask: Ask) -> Answer:
        """Ask with whatever tasks side by side ask at this moment: the run waits once for all of it (ADP-3)."""
        together = self._asking
        if together is not None:
            place = len(together.asks)
            together.asks.append(ask)
            await together.over.wait()
            self.check()
            # The task that asked for all may have been cancelled by itself.
            return together.answers[place] if together.answers else await self._ask_together(ask)
        together = self._asking = _Together([ask])
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        loop.call_soon(turn.cancel)  # after what is ready to run now, so that it can join
        try:
            await asyncio.wait([turn])
            self._asking = None
            together.answers = await self.line.ask(*together.asks)
        except Suspended as suspended:
            self.speech.stopped = suspended
            raise
        finally:
            self._asking = None if self._asking is together else self._asking
            together.over.set()
        return together.answers[0]
