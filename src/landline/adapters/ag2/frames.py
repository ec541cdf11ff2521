"""Who is at work and who waits: the turns of a run's agents, their calls, and the turns that those calls began.

A run is taken out of memory when it waits for humans, and only then: the other calls of a batch finish first, so that
their results are kept (ADP-3). `stuck` tells when nothing is left that could go on.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field

from ag2.events import ToolCallEvent

from landline.ports.adapter import Ask

__all__ = ["CallFrame", "TurnFrame", "Waiting", "current_call"]


class Waiting(BaseException):
    """A question is open. Outside `Exception`, so that a tool's own handler does not take it for an answer."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask.key)
        self.ask = ask


@dataclass(eq=False)
class CallFrame:
    """One call of a tool. `ran`: it got as far as the tool; `asked`: questions it has put since it last began."""

    event: ToolCallEvent
    ran: bool = False
    asked: int = 0
    parked: bool = False
    turns: list["TurnFrame"] = field(default_factory=list["TurnFrame"])

    @property
    def stuck(self) -> bool:
        """Whether it waits for a human, itself or by the agents it called."""
        begun = [turn for turn in self.turns if not turn.done]
        return self.parked or (bool(begun) and all(turn.stuck for turn in begun))


@dataclass(eq=False)
class TurnFrame:
    """A turn of one agent. `path` names it in the run, the same when the run is taken up again; the first one's is empty."""

    path: str = ""
    shown: bool = True
    done: bool = False
    called: dict[str, ToolCallEvent] = field(default_factory=dict[str, ToolCallEvent])
    calls: dict[str, CallFrame] = field(default_factory=dict[str, CallFrame])
    ended: set[str] = field(default_factory=set[str])

    def answered(self, calls: list[ToolCallEvent]) -> None:
        """A response of the model came that makes `calls`; without any the turn is over."""
        self.called = {call.id: call for call in calls}
        self.calls, self.ended, self.done = {}, set(), not calls

    @property
    def stuck(self) -> bool:
        """Whether each call of the batch has ended or waits for a human, and one waits."""
        left = [self.calls.get(id_) for id_ in self.called if id_ not in self.ended]
        return not self.done and bool(left) and all(call is not None and call.stuck for call in left)


current_call: ContextVar[CallFrame | None] = ContextVar("landline_ag2_call", default=None)
"""The call whose code runs; tasks that it makes inherit it."""
