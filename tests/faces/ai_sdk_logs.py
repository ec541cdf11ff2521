"""Logs as runs write them, and what the AI SDK's face makes of them."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

from landline.faces.ai_sdk.chunks import DONE, sse
from landline.faces.ai_sdk.encode import Encoder
from landline.faces.ai_sdk.past import Past
from landline.model.events import (
    Event,
    MessageRetracted,
    MessageStarted,
    QuestionAnswered,
    QuestionAsked,
    RunCancelled,
    RunResumed,
    RunWaiting,
    Stamped,
    TextDelta,
    ToolCalled,
    ToolCompleted,
)
from landline.model.runs import Question
from landline.testing.faces.ai_sdk import Chunk, Message, check_stream, read_frames
from tests.faces import logs
from tests.faces.logs import BEGUN, completed, said


def log(*events: Event, begun: bool = True) -> list[Stamped]:
    return logs.log(*(BEGUN if begun else []), *events)


def past_of(events: Iterable[Stamped]) -> Past:
    past = Past()
    for event in events:
        past.take(event)
    return past


def told(events: Sequence[Stamped], *, after: int = 0, past: Past | None = None, **given: Any) -> list[Chunk]:
    """The chunks of a log that is read to its end, as bytes and back."""
    encoder = Encoder(dropped=past.dropped if past else (), after=after, **given)
    body = b"".join(sse(encoder.take(event)) for event in events) + sse(encoder.end()) + DONE
    return read_frames(body)


def replayed(events: Sequence[Stamped], **given: Any) -> Message:
    """What a client that resumes builds."""
    past = past_of(events)
    return check_stream(told(events, past=past, after=past.begins[-1], **given))


def kinds(chunks: Iterable[Chunk]) -> list[str]:
    return [chunk["type"] for chunk in chunks]


def ask(id_: str, kind: Any = "approval", **more: Any) -> QuestionAsked:
    return QuestionAsked(question_id=id_, kind=kind, prompt=f"{id_}?", **more)


def waiting(*asked: QuestionAsked) -> RunWaiting:
    names = ("question_id", "kind", "prompt", "tool", "call_id", "arguments", "choices")
    return RunWaiting(questions=[Question(**{name: getattr(q, name) for name in names}) for q in asked])


def answered(id_: str, outcome: Any = "approved") -> QuestionAnswered:
    return QuestionAnswered(question_id=id_, by="local", outcome=outcome)


RESUMED = RunResumed(attempt=2, reason="answered")


def any_log(dice: random.Random) -> list[Stamped]:
    """A log that some run could have: messages, calls in parallel, questions, retractions, crashes and an end."""
    told_: list[Event] = []
    for turn in range(dice.randint(1, 5)):
        message_id = f"m{turn}"
        if dice.random() < 0.8:
            deltas = [dice.choice(["a", "bé", "c\n\nd", "data: "]) for _ in range(dice.randint(1, 3))]
            told_ += said(message_id, *deltas, thought=dice.choice(["", "hm"]))
        calls = [f"c{turn}.{index}" for index in range(dice.randint(0, 2))]
        asked: list[QuestionAsked] = []
        for call in calls:
            if dice.random() < 0.3:
                kind = dice.choice(["approval", "input"])
                asked.append(ask(f"q{call}", kind, tool="x", call_id=call, arguments={"n": call}))
        if dice.random() < 0.2:
            asked.append(ask(f"q{turn}", "input"))
        free = [call for call in calls if call not in {question.call_id for question in asked}]
        told_ += [ToolCalled(call_id=call, name="x", arguments={"n": call}) for call in free]
        told_ += [ToolCompleted(call_id=call, result=call) for call in free]
        if asked:
            told_ += [*asked, waiting(*asked)]
            for question in dice.sample(asked, len(asked)):
                told_.append(
                    answered(question.question_id, "approved" if question.kind == "approval" else "answered")
                )
            told_.append(RESUMED)
            for call in [question.call_id for question in asked if question.call_id]:
                told_ += [
                    ToolCalled(call_id=call, name="x", arguments={"n": call}),
                    ToolCompleted(call_id=call, result=call),
                ]
        if dice.random() < 0.2:
            cut = f"cut{turn}"
            told_ += [
                MessageStarted(message_id=cut, role="assistant"),
                TextDelta(message_id=cut, delta="gone"),
                dice.choice(
                    [
                        MessageRetracted(message_id=cut, reason="x"),
                        RunResumed(attempt=3, reason="recovered", drop_message_id=cut),
                    ]
                ),
            ]
    told_.append(dice.choice([completed("x", None), completed({"a": 1}, None), RunCancelled(by="local")]))
    return log(*told_)
