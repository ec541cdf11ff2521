"""Logs as runs write them, for the tests of what each face makes of them."""

from collections.abc import Sequence
from typing import Any

from landline.model.events import (
    Event,
    MessageCompleted,
    MessageStarted,
    ReasoningDelta,
    RunCompleted,
    RunCreated,
    RunStarted,
    Stamped,
    TextDelta,
    stamp,
)
from landline.model.messages import TextPart
from landline.model.runs import Usage
from tests.faces.fakes import AT

USAGE = Usage(input_tokens=3, output_tokens=4, total_tokens=7)
BEGUN: list[Event] = [
    RunCreated(status="running", message_id="u", input=[TextPart(text="hi")]),
    RunStarted(agent="notes", attempt=1),
]


def log(
    *events: Event,
    run_id: str = "r",
    thread_id: str = "t",
    first: int = 1,
    seconds: Sequence[int] | None = None,
) -> list[Stamped]:
    """Return events in their places, from `first` on; each happens at AT, or so many `seconds` after it."""
    return [
        stamp(
            event,
            seq=first + index,
            run_id=run_id,
            thread_id=thread_id,
            at=_at(seconds[index] if seconds else 0),
        )
        for index, event in enumerate(events)
    ]


def said(message_id: str, *deltas: str, thought: str = "", end: bool = True) -> list[Event]:
    """Return the events of a message of the agent's; without `end` it is still being written."""
    return [
        MessageStarted(message_id=message_id, role="assistant"),
        *([ReasoningDelta(message_id=message_id, delta=thought)] if thought else []),
        *(TextDelta(message_id=message_id, delta=delta) for delta in deltas),
        *([MessageCompleted(message_id=message_id, text="".join(deltas))] if end else []),
    ]


def completed(output: Any = "x", message_id: str | None = "m", usage: Usage = USAGE) -> RunCompleted:
    """Return the good end of a run."""
    return RunCompleted(output=output, message_id=message_id, usage=usage)


def _at(second: int) -> str:
    assert 0 <= second < 60
    return f"{AT[:17]}{second:02d}{AT[19:]}"
