"""What one segment of a run knows: the line, what was asked, who stopped it, and what the model said so far.

The model and the tools of a run meet here. Taken up again, the agent runs from its start: model calls and tool calls
that were finished are answered from the line, in the same order, and only what comes after them happens.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import msgspec

from landline.adapters.openai_agents.channel import Channel
from landline.adapters.openai_agents.events import Speech
from landline.model.errors import AgentFailed, LandlineError
from landline.model.events import Event, GuardTripped, decode_event, encode
from landline.ports.adapter import Ask, Turn

__all__ = ["HELD", "Halted", "Journal", "Tripped"]

T = TypeVar("T")

HELD = "The call waits for an answer."
"""What the framework is given for a call that waits; the segment ends before a model sees it."""

_TRIP = "guard.trip"


class Halted(Exception):
    """The segment is over; the framework is told by this that it need not go on."""


class Tripped(BaseException):
    """A guard stopped the run."""


class Journal:
    """One segment of one run."""

    def __init__(self, turn: Turn, channel: Channel) -> None:
        self.turn, self.line, self.channel = turn, turn.line, channel
        self.speech = Speech(turn.line.emitted_text)
        self.responses = 0
        """Model responses so far, replayed ones too."""
        self.model: str | None = None
        self.call_ids: set[str] = set()
        self.held: list[Ask] = []
        """Questions of this response's calls; asked together before the next model call."""
        self.tasks: set[asyncio.Task[Any]] = set()
        self.stopped: BaseException | None = None
        self.failed: LandlineError | None = None
        self.answer_failed: AgentFailed | None = None
        """What was wrong with the model's last answer, in words the framework's exception does not keep apart."""
        self.trip: GuardTripped | None = None
        self._verdicts = 0
        self._guards_done = asyncio.Event()
        self._guards_done.set()
        self.guard_broke: Exception | None = None
        """What a guard of the input raised instead of deciding."""

    # the line, for code that runs within the framework

    async def at_line(self, work: Awaitable[T]) -> T:
        """Await a call of the line; what ends the segment ends it here, whatever the framework does with exceptions.

        Raises:
            Halted: The line ended the segment.
        """
        try:
            return await work
        except LandlineError as error:
            self.failed = self.failed or error
            raise
        except (Exception, asyncio.CancelledError, GeneratorExit):  # these the framework passes on
            raise
        except BaseException as stop:  # what ends a segment stands outside Exception
            self.stop(stop)
            raise Halted from stop

    async def tell(self, *events: Event) -> None:
        """Append events behind everything the model said before."""
        await self.channel.told()
        await self.at_line(self.line.emit(*events))

    def stop(self, reason: BaseException) -> None:
        """End the segment: whoever pulls the adapter gets `reason`."""
        self.stopped = self.stopped or reason
        self.channel.close()

    async def settle(self) -> None:
        """Ask what calls wait for.

        Raises:
            Halted: Not all is answered; the segment is over.
        """
        if self.held:
            held, self.held = self.held, []
            await self.channel.told()
            await self.at_line(self.line.ask(*held))

    # guards

    def expect_verdicts(self, count: int) -> None:
        """Say how many guards look at the input."""
        self._verdicts = count
        if count:
            self._guards_done.clear()

    def verdict(self, broke: Exception | None) -> None:
        """Count a guard of the input as done; when one broke, no tool may run."""
        self.guard_broke = self.guard_broke or broke
        self._verdicts -= 1
        if self._verdicts <= 0:
            self._guards_done.set()

    async def admitted(self) -> None:
        """Wait until all guards have let the input pass.

        Raises:
            Halted: One has not.
        """
        await self._guards_done.wait()
        if self.trip is not None or self.guard_broke is not None:
            raise Halted

    def tripped(self, event: GuardTripped, *, in_tool: bool = False) -> None:
        """A guard stops the run; in a tool, when the log has the end of its call (`tool_ended`)."""
        if self.trip is None:
            self.trip = event
            self.line.record(_TRIP, encode(event))
        if not in_tool:
            self.stop(Tripped())

    def tool_ended(self) -> None:
        """The log has the end of a call; now a guard of its tool may stop the run."""
        if self.trip is not None:
            self.stop(Tripped())

    def tripped_before(self) -> None:
        """An earlier segment was stopped by a guard and could not say so."""
        stored = self.line.recorded(_TRIP)
        event = None if stored is None else decode_event("guard.tripped", stored)
        self.tripped(
            event if isinstance(event, GuardTripped) else GuardTripped(guard="", stage="tool", action="block")
        )

    def once(self, key: str) -> bool:
        """Tell whether `key` is new to this run; from now on it is not."""
        if self.line.recorded(key) is not None:
            return False
        self.line.record(key, msgspec.json.encode(True))
        return True
