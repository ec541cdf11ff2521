"""What may say no to a run: limits, budgets and guards, asked by admission and by the line under the run (ADR 0007, 0012).

A gate is asked in the order in which the composition root lists them. One that has nothing to say of a run costs nothing
while it goes on: `on_line` returns None.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, runtime_checkable

from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import ErrorInfo
from landline.model.events import Event, UsageReported
from landline.model.runs import Answer, Run
from landline.model.usage import Spent
from landline.ports.adapter import AgentSpec, Ask, Finished, ToolCall, ToolRaised
from landline.ports.runs import StartRun

__all__ = [
    "AnswerGate",
    "Begins",
    "ContentGate",
    "Gate",
    "GatedRun",
    "LineGate",
    "LineOfGate",
    "ModelGate",
    "Price",
    "Queueing",
    "Reserving",
    "Stop",
    "TitleGate",
    "Withheld",
    "also",
]

Stop = Callable[[ErrorInfo], None]
"""Ends the run as failed with this error, in a moment, whatever its agent does; a second call changes nothing."""


class Withheld(ToolRaised):
    """A refusal of a call, or of its result; `arguments` are told in the log in the place of the call's own."""

    def __init__(self, code: str, message: str, *, arguments: Any = None) -> None:
        super().__init__(code, message)
        self.arguments = arguments


class LineOfGate(Protocol):
    """What a gate may do on the line it stands in."""

    def add(self, event: Event) -> None:
        """Append an event of the gate's own."""
        ...

    def recorded(self, key: str) -> bytes | None:
        """Return what `record` kept under `key`, in this segment or an earlier one."""
        ...

    def record(self, key: str, value: bytes) -> None:
        """Keep JSON under `key`; on disk no later than the next event that is."""
        ...

    def told(self, message_id: str) -> str:
        """Return the text that the log has of a message, empty when it has none."""
        ...


Price = Callable[[UsageReported], Awaitable[UsageReported]]
"""Returns the usage of a model call with what it cost, if anybody knows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GatedRun:
    """A segment about to begin, as gates see it. `again` tells that the run has had segments before, in which it used `spent`."""

    run: Run
    caller: Caller
    spec: AgentSpec
    again: bool
    stop: Stop
    line: LineOfGate
    spent: Spent = field(default_factory=Spent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Begins:
    """A segment that wants to begin; `again` tells that the run has had segments before."""

    run: Run
    caller: Caller
    again: bool


class LineGate(Protocol):
    """A gate for one segment: it stands between the agent and the log."""

    async def passing(self, event: Event) -> Sequence[Event]:
        """Return what goes to the log in the place of an event of the agent's: it, nothing yet, or others."""
        ...

    def seen(self, event: Event) -> None:
        """Note an event that goes to the log, also one that did not come from the agent."""
        ...

    async def before_tool(self, call: ToolCall) -> None:
        """Agree to a call before its intent is written. Raises ToolRaised to refuse it, which the agent is told."""
        ...

    async def finishing(self, finished: Finished) -> tuple[Sequence[Event], Finished]:
        """Return what still goes to the log, and the answer in place of the agent's.

        Raises:
            LandlineError: The answer may not be given; the run fails with it.
        """
        ...

    def closed(self, last: str | None) -> None:
        """Let go: the segment is over; `last` is the type of the log's last event."""
        ...


@runtime_checkable
class ContentGate(LineGate, Protocol):
    """A gate that also looks at what agents ask, and at what their tools give back."""

    async def asking(self, ask: Ask) -> Ask | Answer:
        """Return the question as it may be asked, or the answer that makes it needless (a refused call is denied)."""
        ...

    async def result(self, call: ToolCall, result: Any) -> Any:
        """Return a tool's result as log and agent get it. Raises Withheld when they get none."""
        ...

    async def failure(self, call: ToolCall, message: str) -> str:
        """Return what a failed tool said as log and agent get it."""
        ...

    def said(self, message_id: str, told: str) -> str:
        """Return what the agent said where the log has `told`, with `UNTOLD` for what was taken out."""
        ...


@runtime_checkable
class ModelGate(Protocol):
    """What a line gate has besides when it must agree to calls of models."""

    async def before_model(self, *, elsewhere: bool) -> None:
        """Agree to a request to a model before it is made; see `Line.before_model`. Stops the run to refuse it."""
        ...


class Gate(Protocol):
    """One gate, for every run of the server."""

    async def admit(self, caller: Caller, request: StartRun, agent: AgentInfo) -> StartRun:
        """Return the request, changed where the gate may change it (a redacted input).

        Raises:
            LandlineError: The run is refused; nothing was written.
        """
        ...

    def on_line(self, gated: GatedRun) -> LineGate | None:
        """Return the gate for a segment that begins, or None to leave it alone."""
        ...


@runtime_checkable
class Reserving(Protocol):
    """A gate that sets something aside in `admit`, under the id that `StartRun.run_id` says the run will have."""

    def dropped(self, run_id: str) -> None:
        """Let go of it: the run was refused after all, was there before, or ended without ever being on a line.

        Also called for runs that were let go of long ago; then it changes nothing.
        """
        ...


@runtime_checkable
class Queueing(Protocol):
    """A gate that lets segments wait before they begin; one that does is over by `Reserving.dropped` or `LineGate.closed`."""

    def enter(self, begins: Begins) -> Awaitable[None] | None:
        """Return None when the segment may begin now, else what ends when it may.

        The wait is broken off by cancelling it; `dropped` follows. It raises LandlineError where the run shall not begin.
        """
        ...


@runtime_checkable
class AnswerGate(Gate, Protocol):
    """A gate that also looks at the answers to a run's questions."""

    async def answering(
        self, caller: Caller, run: Run, answers: Sequence[Answer], *, own: bool
    ) -> Sequence[Answer]:
        """Return the answers as they may be given. A caller whose `own` run it is not learns nothing of it by a refusal.

        Raises:
            LandlineError: They are refused; nothing was written.
        """
        ...


@runtime_checkable
class TitleGate(Gate, Protocol):
    """A gate that also looks at the titles that callers give threads."""

    async def naming(self, caller: Caller, agent: str, title: str) -> str:
        """Return the title as it may be kept, of a thread with `agent`.

        Raises:
            LandlineError: It is refused; nothing was written.
        """
        ...


@cache
def also(kind: type, port: type) -> bool:
    """Tell whether gates of the class `kind` are a `port` as well. Remembered: to compare a protocol takes longer than most gates."""
    return issubclass(kind, port)
