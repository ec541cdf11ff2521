"""How a turn ends on the tutorials' streams: failures, waits, and what was taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from landline.faces.tutorials.encode import TextTurn, taken_back
from landline.faces.tutorials.frames import (
    Deltas,
    Indexed,
    Lesson,
    QueryFrames,
    TextFrames,
    Tokens,
)
from landline.model.errors import ErrorInfo
from landline.model.events import (
    Event,
    GuardTripped,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    QuestionAnswered,
    QuestionAsked,
    RunCancelled,
    RunFailed,
    RunResumed,
    RunWaiting,
    TextDelta,
)
from landline.testing.faces.tutorials import (
    check_deltas,
    check_indexed,
    check_lesson,
    check_queries,
    check_socket,
    check_tokens,
)
from tests.faces.tutorials_logs import ASKED, BEGUN, done, log, messages, said, told


@pytest.mark.contract("FACE-2", "FACE-3", "FACE-17")
@pytest.mark.parametrize(
    "back", [MessageRetracted(message_id="m1", reason="rejected"), RunResumed(attempt=2, reason="recovered", drop_message_id="m1")]
)  # fmt: skip
def test_what_was_told_and_taken_back_ends_the_stream_with_an_error(back: Event) -> None:
    events = log(
        *BEGUN,
        MessageStarted(message_id="m1", role="assistant"),
        TextDelta(message_id="m1", delta="Hel"),
        back,
        *said("m2", "Hello"),
        done("Hello", "m2"),
    )
    for check, frames in ((check_lesson, TextFrames(Lesson())), (check_deltas, TextFrames(Deltas()))):
        error = check(told(frames, events)).error
        assert error is not None
        assert error["error"] == "The answer was taken back"
    assert (check_queries(told(QueryFrames(), events)).error or {})["error"] == "The answer was taken back"


@pytest.mark.contract("FACE-2", "FACE-3", "FACE-17")
@pytest.mark.parametrize(
    "back", [MessageRetracted(message_id="m1", reason="rejected"), RunResumed(attempt=2, reason="recovered", drop_message_id="m1")]
)  # fmt: skip
def test_what_was_taken_back_before_it_was_told_leaves_no_trace(back: Event) -> None:
    events = log(
        *BEGUN,
        MessageStarted(message_id="m1", role="assistant"),
        back,
        *said("m2", "Hello"),
        done("Hello", "m2"),
    )
    assert check_lesson(told(TextFrames(Lesson()), events)).text == "Hello"
    assert check_queries(told(QueryFrames(), events)).messages == {"m2": ["Hello"]}


@pytest.mark.contract("FACE-2", "FACE-3", "FACE-17")
def test_a_message_that_was_complete_is_taken_back_as_well() -> None:
    events = log(
        *BEGUN,
        *said("m1", "Hi"),
        MessageRetracted(message_id="m1", reason="replaced"),
        *said("m2", "Ho"),
        done("Ho", "m2"),
    )
    assert (check_lesson(told(TextFrames(Lesson()), events)).error or {})[
        "error"
    ] == "The answer was taken back"
    assert (check_queries(told(QueryFrames(), events)).error or {})["error"] == "The answer was taken back"
    turn = TextTurn(whole=True)
    for stamped in events:
        turn.take(stamped)
    assert turn.end is not None
    assert turn.end.text == "Ho"


@pytest.mark.contract("FACE-2", "FACE-4")
@pytest.mark.parametrize(
    "back", [MessageRetracted(message_id="m1", reason="rejected"), RunResumed(attempt=2, reason="recovered", drop_message_id="m1")]
)  # fmt: skip
def test_a_new_reading_has_the_rewritten_message_only(back: Event) -> None:
    events = log(
        *BEGUN,
        MessageStarted(message_id="m1", role="assistant"),
        TextDelta(message_id="m1", delta="Hel"),
        back,
        *said("m2", "Hello"),
        done("Hello", "m2"),
    )
    assert taken_back(events) == {"m1"}
    frames = TextFrames(Indexed(taken_back=1), without={"m1"})
    assert check_indexed(told(frames, events)).text == "Hello"
    turn = TextTurn(whole=True)
    assert [turn.take(stamped) for stamped in events][:-1] == [[]] * (len(events) - 1)
    assert turn.end is not None
    assert (turn.end.text, turn.end.failure) == ("Hello", None)


@pytest.mark.contract("FACE-2")
def test_a_structured_answer_that_was_rejected_is_not_seen_by_the_lesson() -> None:
    events = log(
        *BEGUN,
        MessageStarted(message_id="m1", role="assistant"),
        OutputPartial(message_id="m1", output={"a": 1}),
        MessageRetracted(message_id="m1", reason="rejected"),
        MessageStarted(message_id="m2", role="assistant"),
        OutputPartial(message_id="m2", output={"a": 2}),
        MessageCompleted(message_id="m2", text='{"a":2}'),
        done({"a": 2}, "m2"),
    )
    assert check_lesson(told(TextFrames(Lesson()), events)).text == '{"a":2}'


FAILURES: list[tuple[Event, str]] = [
    (RunFailed(error=ErrorInfo(code="agent_error", message="Safe.")), "The agent failed"),
    (RunFailed(error=ErrorInfo(code="timed_out", message="Too long.")), "Request timed out after 0 seconds"),
    (RunFailed(error=ErrorInfo(code="model_unavailable", message="Down.")), "Service Unavailable"),
    (RunFailed(error=ErrorInfo(code="remote_timeout", message="Late.")), "Gateway Timeout"),
    (RunFailed(error=ErrorInfo(code="guard_tripped", message="Request blocked.")), "Request blocked"),
    (RunCancelled(by="local"), "Request cancelled"),
    (RunWaiting(questions=[ASKED]), "The agent waits for an answer"),
]


@pytest.mark.contract("FACE-2", "FACE-3", "FACE-4", "FACE-17", "EVT-8")
@pytest.mark.parametrize(("last", "error"), FAILURES, ids=lambda value: getattr(value, "type", ""))
def test_every_end_without_an_answer_is_an_error_in_every_style(last: Event, error: str) -> None:
    events = log(
        *BEGUN,
        MessageStarted(message_id="m1", role="assistant"),
        TextDelta(message_id="m1", delta="Hel"),
        last,
    )
    checks: list[tuple[Callable[[str], Any], Any]] = [
        (check_lesson, TextFrames(Lesson())),
        (check_deltas, TextFrames(Deltas())),
        (check_tokens, TextFrames(Tokens())),
        (check_indexed, TextFrames(Indexed())),
        (check_queries, QueryFrames()),
    ]
    for check, frames in checks:
        assert check(told(frames, events)).error["error"] == error
        assert frames.over
    assert (check_socket(messages(events)).error or {})["error"] == error


@pytest.mark.contract("FACE-4")
def test_a_timeout_says_the_seconds_it_ran_without_those_it_waited() -> None:
    events = log(
        *BEGUN,
        QuestionAsked(question_id="q1", kind="input", prompt="Which one?"),
        RunWaiting(questions=[ASKED]),
        QuestionAnswered(question_id="q1", by="local", outcome="answered"),
        RunResumed(attempt=1, reason="answered"),
        RunFailed(error=ErrorInfo(code="timed_out", message="Too long.")),
        seconds=[0, 1, 5, 5, 45, 45, 50],
    )
    turn = TextTurn()
    for stamped in events:
        turn.take(stamped)
    assert turn.end is not None
    assert turn.end.failure is not None
    assert (turn.end.failure.status, turn.end.failure.error) == (408, "Request timed out after 9 seconds")


@pytest.mark.contract("FACE-2", "EVT-4")
def test_a_wait_that_is_over_does_not_end_a_log_that_is_read_again() -> None:
    events = log(
        *BEGUN,
        QuestionAsked(question_id="q1", kind="input", prompt="Which one?"),
        RunWaiting(questions=[ASKED]),
        RunResumed(attempt=1, reason="answered"),
        *said("m1", "Milk"),
        done("Milk"),
    )
    assert check_indexed(told(TextFrames(Indexed()), events)).text == "Milk"
    assert check_queries(told(QueryFrames(), events)).error is None


@pytest.mark.contract("FACE-4", "EVT-4")
def test_a_listener_of_a_run_that_waited_misses_nothing_of_what_follows() -> None:
    so_far: list[Event] = [
        *BEGUN,
        *said("m1", "One "),
        QuestionAsked(question_id="q1", kind="input", prompt="Which one?"),
        RunWaiting(questions=[ASKED]),
    ]
    before = told(TextFrames(Indexed()), log(*so_far))
    assert (check_indexed(before).error or {})["error"] == "The agent waits for an answer"
    seen = max(int(line.rpartition(":")[2]) for line in before.split("\n") if line.startswith("id: "))
    after = log(*so_far, RunResumed(attempt=1, reason="answered"), *said("m2", "two"), done("two", "m2"))
    assert check_indexed(told(TextFrames(Indexed(seen=seen)), after), after=seen).text == "\n\ntwo"


@pytest.mark.contract("FACE-2")
def test_a_guards_words_are_told_when_it_blocks() -> None:
    events = log(
        *BEGUN,
        GuardTripped(guard="math", stage="input", action="block", info="homework"),
        RunFailed(error=ErrorInfo(code="guard_tripped", message="Request blocked.")),
    )
    assert check_lesson(told(TextFrames(Lesson()), events)).error == {
        "error": "Request blocked: homework",
        "detail": "Request blocked: homework",
    }
