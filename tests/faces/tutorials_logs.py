"""Logs for tests of the tutorials' streams, and how they are told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
    Stamped,
)
from landline.model.runs import Question, Usage
from tests.faces import logs
from tests.faces.logs import BEGUN, completed, said

USAGE = Usage(input_tokens=9, output_tokens=7, total_tokens=16)

ASKED = Question(question_id="q1", kind="input", prompt="Which one?")


def done(output: Any, id_: str | None = "m1") -> Event:
    return completed(output, id_, USAGE)


log = partial(logs.log, run_id="r1", thread_id="t1")


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
