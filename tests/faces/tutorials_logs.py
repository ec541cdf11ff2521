"""Logs for tests of the tutorials' streams, and how they are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from landline.faces.tutorials.frames import (
    SocketMessages,
    TextFrames,
)
from landline.model.events import (
    Event,
    MessageCompleted,
    MessageStarted,
    OutputPartial,
    RunCompleted,
    RunCreated,
    RunStarted,
    Stamped,
    TextDelta,
    stamp,
)
from landline.model.messages import TextPart
from landline.model.runs import Question, Usage

BEGUN: list[Event] = [
    RunCreated(status="running", message_id="u1", input=[TextPart(text="hi")]),
    RunStarted(agent="notes", attempt=1),
]

USAGE = Usage(input_tokens=9, output_tokens=7, total_tokens=16)

ASKED = Question(question_id="q1", kind="input", prompt="Which one?")


def said(id_: str, *deltas: str) -> list[Event]:
    return [
        MessageStarted(message_id=id_, role="assistant"),
        *(TextDelta(message_id=id_, delta=delta) for delta in deltas),
        MessageCompleted(message_id=id_, text="".join(deltas)),
    ]


def done(output: Any, id_: str | None = "m1") -> Event:
    return RunCompleted(output=output, message_id=id_, usage=USAGE)


def log(*events: Event, seconds: Sequence[int] | None = None) -> list[Stamped]:
    times = seconds or [0] * len(events)
    return [
        stamp(event, seq=seq, run_id="r1", thread_id="t1", at=f"2026-11-21T08:00:{second:02d}.000Z")
        for seq, (event, second) in enumerate(zip(events, times, strict=True), start=1)
    ]


def told(frames: Any, events: Sequence[Stamped]) -> str:
    return b"".join([*frames.take(events), *frames.close()]).decode()


def messages(events: Sequence[Stamped]) -> list[str]:
    frames = TextFrames(SocketMessages())
    return [one.decode() for one in (*frames.take(events), *frames.close())]


HELLO = log(*BEGUN, *said("m1", "Hel", "lo\n", "you"), done("Hello\nyou"))

STRUCTURED = log(
    *BEGUN,
    MessageStarted(message_id="m1", role="assistant"),
    OutputPartial(message_id="m1", output={"advice": "Bl"}),
    OutputPartial(message_id="m1", output={"advice": "Block", "risk": 7}),
    MessageCompleted(message_id="m1", text='{"advice":"Block","risk":7}'),
    done({"advice": "Block", "risk": 7}),
)
