"""Logs as AG-UI events: tables, whole transcripts, and every cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from landline.faces.ag_ui.encode import Encoder
from landline.faces.ag_ui.frames import Frame, Past, Segment, sse
from landline.model.errors import ErrorInfo
from landline.model.events import (
    AgentChanged,
    Custom,
    Event,
    FileAdded,
    GuardTripped,
    InputReceived,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    QuestionAnswered,
    QuestionAsked,
    ReasoningDelta,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunResumed,
    RunStarted,
    RunWaiting,
    SourceAdded,
    Stamped,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
    UsageReported,
)
from landline.model.messages import TextPart
from landline.model.runs import Question, Usage
from landline.testing.faces.ag_ui import AgUiRun, read_ag_ui
from tests.faces import logs
from tests.faces.ag_ui_judges import judged
from tests.faces.fakes import AT
from tests.faces.logs import BEGUN, completed, said

SEGMENT = Segment(thread="t", run="r", log="run-1")
END = completed("ok", "m1")


log = partial(logs.log, run_id="run-1", thread_id="thread-1")


def told(events: Sequence[Event], segment: Segment = SEGMENT, past: Past | None = None) -> str:
    encoder = Encoder(segment, past=past)
    frames: list[Frame] = []
    for stamped in log(*events):
        frames += encoder.feed(stamped)
    return sse(frames).decode()


def run_of(
    *events: Event, segment: Segment = SEGMENT, past: Past | None = None, known: Sequence[str] = ()
) -> AgUiRun:
    return judged(told(events, segment, past), known_calls=known)


def kinds(body: str) -> list[str]:
    return [frame.event["type"] for frame in read_ag_ui(body)]


@pytest.mark.contract("FACE-8", "FACE-17")
def test_a_run_is_told_from_its_start_to_its_end() -> None:
    body = told([*BEGUN, *said("m1", "Hel", "lo"), END])
    assert [(frame.id, frame.event) for frame in read_ag_ui(body)] == [
        ("1.0", {"type": "RUN_STARTED", "timestamp": 1795248000000, "threadId": "t", "runId": "r",
                 "protocolVersion": "1.0",
                 "metadata": {"landline": {"threadId": "thread-1", "runId": "run-1"}}}),
        ("4.0", {"type": "TEXT_MESSAGE_START", "timestamp": 1795248000000, "messageId": "m1", "role": "assistant"}),
        ("4.1", {"type": "TEXT_MESSAGE_CONTENT", "timestamp": 1795248000000, "messageId": "m1", "delta": "Hel"}),
        ("5.0", {"type": "TEXT_MESSAGE_CONTENT", "timestamp": 1795248000000, "messageId": "m1", "delta": "lo"}),
        ("6.0", {"type": "TEXT_MESSAGE_END", "timestamp": 1795248000000, "messageId": "m1"}),
        ("7.0", {"type": "RUN_FINISHED", "timestamp": 1795248000000, "threadId": "t", "runId": "r", "result": "ok",
                 "outcome": {"type": "success"}}),
    ]  # fmt: skip
    assert judged(body).answer == "Hello"


@pytest.mark.contract("FACE-8", "FACE-17")
def test_reasoning_comes_before_and_between_texts_each_span_of_its_own() -> None:
    run = run_of(
        *BEGUN,
        MessageStarted(message_id="m1", role="assistant"),
        ReasoningDelta(message_id="m1", delta="a"),
        ReasoningDelta(message_id="m1", delta="b"),
        TextDelta(message_id="m1", delta="x"),
        ReasoningDelta(message_id="m1", delta="c"),
        TextDelta(message_id="m1", delta="y"),
        ReasoningDelta(message_id="m1", delta="d"),
        MessageCompleted(message_id="m1", text="xy"),
        END,
    )
    assert run.reasoning == {"m1:reasoning-1": "ab", "m1:reasoning-2": "c", "m1:reasoning-3": "d"}
    assert run.text == {"m1": "xy"}


@pytest.mark.contract("FACE-8", "FACE-17")
def test_a_message_without_text_is_not_told_and_one_told_whole_is() -> None:
    silent = [MessageStarted(message_id="m1", role="assistant"), MessageCompleted(message_id="m1", text="")]
    whole = [MessageStarted(message_id="m2", role="assistant"), MessageCompleted(message_id="m2", text="all")]
    assert run_of(*BEGUN, *silent, *whole, END).text == {"m2": "all"}


@pytest.mark.contract("FACE-8", "FACE-17")
def test_tools_in_parallel_their_results_and_failures() -> None:
    run = run_of(
        *BEGUN,
        *said("m1", "Let me see."),
        ToolCalled(call_id="c1", name="look", arguments={"n": 1}),
        ToolCalled(call_id="c2", name="look", arguments={}),
        ToolProgress(call_id="c1", fraction=0.5),
        ToolFailed(call_id="c2", error=ErrorInfo(code="denied", message="No.")),
        ToolCompleted(call_id="c1", result={"found": [1]}),
        *said("m2", "Done."),
        END,
    )
    assert run.calls == {"c1": "look", "c2": "look"}
    assert run.arguments == {"c1": {"n": 1}, "c2": {}}
    assert run.results == {"c2": "No.", "c1": '{"found":[1]}'}
    assert run.custom == [("landline:tool_progress", {"toolCallId": "c1", "fraction": 0.5})]


@pytest.mark.contract("FACE-8")
def test_what_the_protocol_has_no_word_for_is_custom_and_unknown_kinds_are_passed_over() -> None:
    unknown = Stamped(3, "run-1", "thread-1", AT, "novel", b'{"type":"novel"}')
    encoder = Encoder(SEGMENT)
    first, second, *_ = log(*BEGUN)
    assert encoder.feed(first)
    assert list(encoder.feed(second)) == []
    assert list(encoder.feed(unknown)) == []
    run = run_of(
        *BEGUN,
        MessageStarted(message_id="m1", role="assistant"),
        TextDelta(message_id="m1", delta="x"),
        SourceAdded(message_id="m1", title="Book", url="https://example.org"),
        FileAdded(message_id="m1", file_id="f", name="a.txt", media_type="text/plain"),
        GuardTripped(guard="pii", stage="output", action="flag"),
        Custom(name="weather", data=None),
        MessageCompleted(message_id="m1", text="x"),
        END,
    )
    assert run.custom == [
        ("landline:source", {"messageId": "m1", "title": "Book", "url": "https://example.org"}),
        ("landline:file", {"messageId": "m1", "fileId": "f", "fileName": "a.txt", "mediaType": "text/plain"}),
        ("landline:guard", {"guard": "pii", "stage": "output", "action": "flag"}),
        ("weather", None),
    ]


@pytest.mark.contract("FACE-8")
def test_an_answer_that_grows_is_the_state() -> None:
    run = run_of(
        *BEGUN,
        MessageStarted(message_id="m1", role="assistant"),
        OutputPartial(message_id="m1", output={"a": 1}),
        OutputPartial(message_id="m1", output={"a": 1, "b": 2}),
        MessageCompleted(message_id="m1", text='{"a":1,"b":2}'),
        RunCompleted(output={"a": 1, "b": 2}, message_id="m1", usage=Usage()),
    )
    assert run.state == {"output": {"a": 1, "b": 2}}
    assert run.last["result"] == {"a": 1, "b": 2}
    assert kinds(told([*BEGUN, RunCompleted(output=[1], message_id=None, usage=Usage())])) == [
        "RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED",
    ]  # fmt: skip


@pytest.mark.contract("FACE-8")
def test_a_handoff_is_a_step_and_steering_is_the_users_message() -> None:
    run = run_of(
        *BEGUN,
        AgentChanged(source="a", target="b"),
        *said("m1", "x"),
        InputReceived(message_id="u2", input=[TextPart(text="and?")]),
        AgentChanged(source="b", target="c"),
        *said("m2", "y"),
        END,
    )
    assert run.steps == ["b", "c"]
    assert run.users == ["and?"]


@pytest.mark.contract("FACE-8")
def test_usage_is_the_runs_own() -> None:
    used = UsageReported(input_tokens=3, output_tokens=2, total_tokens=5)
    run = run_of(*BEGUN, used, *said("m1", "x"), used, END)
    assert run.last["usage"] == [{"inputTokens": 6, "outputTokens": 4, "totalTokens": 10}]


@pytest.mark.contract("FACE-8", "FACE-17")
@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (RunCancelled(by="me"), "cancelled"),
        (RunFailed(error=ErrorInfo(code="agent_error", message="Sorry.")), "error"),
    ],
)
def test_whatever_is_open_is_closed_when_a_run_is_cut_short(event: Event, outcome: str) -> None:
    run = run_of(
        *BEGUN,
        AgentChanged(source="a", target="b"),
        MessageStarted(message_id="m1", role="assistant"),
        TextDelta(message_id="m1", delta="so far"),
        ReasoningDelta(message_id="m1", delta="hm"),
        event,
    )
    assert run.outcome == outcome
    assert run.text == {"m1": "so far"}


def approval(id_: str = "q1", call: str | None = "c1") -> tuple[QuestionAsked, Question]:
    asked: dict[str, Any] = {"question_id": id_, "kind": "approval", "prompt": "Allow erase?"}
    if call is not None:
        asked |= {"tool": "erase", "call_id": call, "arguments": {"name": "disk"}}
    return QuestionAsked(**asked), Question(**asked)


@pytest.mark.contract("FACE-8", "FACE-17")
def test_an_approval_is_an_interrupt_and_the_resumed_run_tells_the_result_only() -> None:
    asked, question = approval()
    events = [
        *BEGUN,
        *said("m1", "Let me see."),
        asked,
        RunWaiting(questions=[question]),
        QuestionAnswered(question_id="q1", by="me", outcome="approved"),
        RunResumed(attempt=1, reason="answered"),
        RunStarted(agent="a", attempt=1),
        ToolCalled(call_id="c1", name="erase", arguments={"name": "disk"}),
        ToolCompleted(call_id="c1", result="Erased."),
        *said("m2", "Done."),
        END,
    ]
    first = run_of(*events)
    assert first.outcome == "interrupt"
    assert first.arguments == {"c1": {"name": "disk"}}
    (interrupt,) = first.interrupts
    assert interrupt["reason"] == "tool_call"
    assert interrupt["toolCallId"] == "c1"
    assert interrupt["responseSchema"]["required"] == ["approved"]
    assert "editedArgs" in interrupt["responseSchema"]["properties"]
    second = run_of(
        *events, segment=Segment(thread="t", run="r2", log="run-1", after=7, parent="r"), known=["c1"]
    )
    assert second.calls == {}
    assert second.results == {"c1": "Erased."}
    assert second.answer == "Done."
    assert second.outcome == "success"


@pytest.mark.contract("FACE-8")
def test_a_call_of_the_applications_tool_is_left_to_it_and_its_result_is_not_told_back() -> None:
    asked = QuestionAsked(
        question_id="q1",
        kind="input",
        prompt="p",
        tool="paint",
        call_id="c1",
        arguments={"x": 1},
        client=True,
    )
    question = Question(
        question_id="q1",
        kind="input",
        prompt="p",
        tool="paint",
        call_id="c1",
        arguments={"x": 1},
        client=True,
    )
    events = [
        *BEGUN,
        asked,
        RunWaiting(questions=[question]),
        QuestionAnswered(question_id="q1", by="me", outcome="answered"),
        RunResumed(attempt=1, reason="answered"),
        ToolCalled(call_id="c1", name="paint", arguments={"x": 1}),
        ToolCompleted(call_id="c1", result="painted"),
        *said("m1", "Nice."),
        END,
    ]
    first = run_of(*events)
    assert (first.outcome, first.calls) == ("success", {"c1": "paint"})
    assert first.last["outcome"]["pendingToolCallIds"] == ["c1"]
    second = run_of(*events, segment=Segment(thread="t", run="r2", log="run-1", after=4), known=["c1"])
    assert (second.calls, second.results, second.answer) == ({}, {}, "Nice.")


@pytest.mark.contract("FACE-8")
def test_a_call_and_a_question_at_once_are_an_interrupt() -> None:
    asked, question = approval(call=None)
    call = Question(
        question_id="q2", kind="input", prompt="p", tool="paint", call_id="c2", arguments={}, client=True
    )
    tool = QuestionAsked(
        question_id="q2", kind="input", prompt="p", tool="paint", call_id="c2", arguments={}, client=True
    )
    run = run_of(*BEGUN, asked, tool, RunWaiting(questions=[question, call]))
    assert [interrupt["id"] for interrupt in run.interrupts] == ["q1"]
    assert run.interrupts[0]["reason"] == "confirmation"
    assert list(run.calls) == ["c2"]


@pytest.mark.contract("FACE-8")
@pytest.mark.parametrize(
    ("question", "schema"),
    [
        (Question(question_id="q", kind="input", prompt="Who?"), {"type": "string"}),
        (
            Question(question_id="q", kind="input", prompt="Who?", choices=["Ada"]),
            {"type": "string", "examples": ["Ada"]},
        ),
        (
            Question(question_id="q", kind="choice", prompt="Which?", choices=["a", "b"]),
            {"type": "string", "enum": ["a", "b"]},
        ),
    ],
)
def test_questions_for_input_say_what_they_take(question: Question, schema: dict[str, Any]) -> None:
    asked = QuestionAsked(
        question_id="q", kind=question.kind, prompt=question.prompt, choices=question.choices
    )
    run = run_of(*BEGUN, asked, RunWaiting(questions=[question]))
    assert run.interrupts[0]["reason"] == "input_required"
    assert run.interrupts[0]["responseSchema"] == schema
    assert run.interrupts[0]["message"] == question.prompt


PAST = Past(messages=[{"id": "mine", "role": "user", "content": "hi"}], names={"u1": "mine"})


def retracted(how: Event) -> list[Event]:
    return [
        *BEGUN,
        *said("m0", "Kept."),
        ToolCalled(call_id="c1", name="look", arguments={}),
        ToolCompleted(call_id="c1", result="seen"),
        MessageStarted(message_id="m1", role="assistant"),
        TextDelta(message_id="m1", delta="Wrong"),
        how,
        *said("m2", "Right."),
        END,
    ]


@pytest.mark.contract("FACE-8", "FACE-17", "EVT-4")
@pytest.mark.parametrize(
    "how",
    [
        MessageRetracted(message_id="m1", reason="guard"),
        RunResumed(attempt=2, reason="recovered", drop_message_id="m1"),
    ],
)
def test_a_message_that_is_taken_back_is_lost_by_a_snapshot_without_it(how: Event) -> None:
    body = told(retracted(how), past=PAST)
    run = judged(body)
    assert run.text == {"m0": "Kept.", "m2": "Right."}
    (snapshot,) = [frame.event for frame in read_ag_ui(body) if frame.event["type"] == "MESSAGES_SNAPSHOT"]
    function = {"name": "look", "arguments": "{}"}
    assert snapshot["messages"] == [
        {"id": "mine", "role": "user", "content": "hi"},
        {"id": "m0", "role": "assistant", "content": "Kept."},
        {
            "id": "c1",
            "role": "assistant",
            "toolCalls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"id": "c1:result", "role": "tool", "toolCallId": "c1", "content": "seen"},
    ]


@pytest.mark.contract("EVT-4", "FACE-8")
def test_what_an_earlier_run_told_is_taken_back_too() -> None:
    asked, question = approval()
    before = [*BEGUN, *said("m1", "Wrong"), asked, RunWaiting(questions=[question])]
    after: list[Event] = [
        RunResumed(attempt=1, reason="answered"),
        MessageRetracted(message_id="m1", reason="guard"),
        *said("m2", "Right."),
        END,
    ]
    later = Segment(thread="t", run="r2", log="run-1", after=len(before))
    body = told([*before, *after], later, PAST)
    (snapshot,) = [frame.event for frame in read_ag_ui(body) if frame.event["type"] == "MESSAGES_SNAPSHOT"]
    assert [shown["id"] for shown in snapshot["messages"]] == ["mine", "c1"]
    assert judged(body, known_calls=["c1"]).text == {"m2": "Right."}


@pytest.mark.contract("EVT-4")
def test_taking_back_what_was_never_told_says_nothing() -> None:
    events = [*BEGUN, MessageStarted(message_id="m1", role="assistant"), RunResumed(
        attempt=2, reason="recovered", drop_message_id="m1"), *said("m2", "x"), END]  # fmt: skip
    assert "MESSAGES_SNAPSHOT" not in kinds(told(events))
    encoder = Encoder(SEGMENT)
    assert not any(encoder.takes_back(stamped) for stamped in log(*events) if not encoder.feed(stamped))


@pytest.mark.contract("FACE-8", "EVT-4")
def test_every_cut_goes_on_with_the_same_bytes() -> None:
    events = retracted(MessageRetracted(message_id="m1", reason="guard"))
    whole = told(events, past=PAST)
    frames = read_ag_ui(whole)
    for index in range(len(frames)):
        seen = frames[index].place
        assert seen is not None
        encoder, rest = Encoder(SEGMENT, past=PAST), list[Frame]()
        for stamped in log(*events):
            rest += [frame for frame in encoder.feed(stamped) if frame[:2] > seen]
        assert whole.endswith(sse(rest).decode())
        assert len(read_ag_ui(sse(rest).decode())) == len(frames) - index - 1


def test_ids_and_json_of_a_transcript_never_change() -> None:
    """The bytes of a log are a promise to whoever comes back after an update."""
    body = told([*BEGUN, *said("m1", "é"), END])
    assert json.loads(body.split("data: ")[3].split("\n")[0])["delta"] == "é"
    assert body == told([*BEGUN, *said("m1", "é"), END])
