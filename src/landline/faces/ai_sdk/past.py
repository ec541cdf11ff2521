"""What a log has told already, gathered before it is told again: pure.

A reader of the whole log need not be told what was taken back later; and one run is several UI messages where the user
answered a question of the agent with a message in between.
"""

from dataclasses import dataclass, field

from landline.model.events import (
    MessageRetracted,
    QuestionAnswered,
    QuestionAsked,
    RunResumed,
    Stamped,
    ToolCalled,
)

__all__ = ["Past", "Turns"]


class Turns:
    """Knows where in a run a new UI message begins: after a wait that the user ended by a message of their own.

    `words` are the questions that such a message answers. One about a call that nobody has made is no such: it hands the
    call to the client. One about a call that was made, as a tool asks while it runs, is.
    """

    def __init__(self) -> None:
        self.asked: dict[str, QuestionAsked] = {}
        self.words: set[str] = set()
        self.open: set[str] = set()
        self.number = 1
        self._called: set[str] = set()
        self._spoken = False

    def take(self, event: object) -> bool:
        """Return whether the events after this one are a new UI message."""
        match event:
            case ToolCalled(call_id=id_):
                self._called.add(id_)
            case QuestionAsked(question_id=id_, kind=kind, call_id=call_id):
                self.asked[id_] = event
                self.open.add(id_)
                if kind != "approval" and (call_id is None or call_id in self._called):
                    self.words.add(id_)
            case QuestionAnswered(question_id=id_, outcome=outcome):
                self.open.discard(id_)
                self._spoken |= outcome == "answered" and id_ in self.words
            case RunResumed(reason="answered") if self._spoken:
                self._spoken = False
                self.number += 1
                return True
            case _:
                pass
        return False


@dataclass
class Past:
    """The log so far: its tail, the messages that were taken back, and after which event each UI message begins."""

    tail: int = 0
    dropped: set[str] = field(default_factory=set[str])
    begins: list[int] = field(default_factory=lambda: [0])
    turns: Turns = field(default_factory=Turns)

    def take(self, stamped: Stamped) -> None:
        """Read one more event."""
        event = stamped.event()
        match event:
            case MessageRetracted(message_id=id_) | RunResumed(drop_message_id=str(id_)):
                self.dropped.add(id_)
            case _:
                pass
        if self.turns.take(event):
            self.begins.append(stamped.seq)
        self.tail = stamped.seq
