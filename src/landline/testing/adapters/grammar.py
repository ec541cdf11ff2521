"""The grammar of a run's events: what every reader may rely on, whatever framework the agent is written in."""

from collections.abc import Sequence

from landline.model.events import (
    Event,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    ReasoningDelta,
    RunResumed,
    SourceAdded,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
)

__all__ = ["check_grammar"]


def check_grammar(events: Sequence[Event], *, whole: bool = True) -> None:
    """Assert that `events` are well formed; `whole`: the run came to its end, so nothing may be left open."""
    checker = _Checker()
    for event in events:
        checker.take(event)
    if whole:
        assert not checker.open, f"messages never completed: {sorted(checker.open)}"
        assert not checker.running, f"tool calls never ended: {sorted(checker.running)}"


class _Checker:
    def __init__(self) -> None:
        self.open: dict[str, str] = {}
        self.structured: set[str] = set()
        self.running: set[str] = set()
        self.known: set[str] = set()
        self.ended: set[str] = set()

    def take(self, event: Event) -> None:
        match event:
            case MessageStarted(message_id=id_):
                assert id_ not in self.known, f"message {id_} started twice"
                self.known.add(id_)
                self.open[id_] = ""
            case TextDelta(message_id=id_, delta=delta):
                assert delta, "an empty delta says nothing"
                self._speaks(id_)
                self.open[id_] += delta
            case OutputPartial(message_id=id_):
                self._speaks(id_)
                self.structured.add(id_)
            case ReasoningDelta(message_id=id_) | SourceAdded(message_id=id_):
                self._speaks(id_)
            case MessageCompleted(message_id=id_, text=text):
                self._speaks(id_)
                said = self.open.pop(id_)
                assert id_ in self.structured or said == text, (
                    f"{said!r} was streamed, {text!r} is the message"
                )
            case MessageRetracted(message_id=id_):
                assert id_ in self.known, f"message {id_} was never started"
                self.open.pop(id_, None)
            case RunResumed(drop_message_id=str(id_)):
                assert id_ in self.open, f"message {id_} is not open, it cannot be dropped"
                self.open.pop(id_)
            case ToolCalled(call_id=id_):
                assert id_ not in self.running | self.ended, f"call {id_} is called twice"
                self.running.add(id_)
            case ToolProgress(call_id=id_):
                assert id_ in self.running, f"call {id_} is not running"
            case ToolCompleted(call_id=id_) | ToolFailed(call_id=id_):
                assert id_ in self.running, f"call {id_} ends without being called"
                self.running.remove(id_)
                self.ended.add(id_)
            case _:
                pass

    def _speaks(self, message_id: str) -> None:
        assert message_id in self.open, f"message {message_id} is not open"
