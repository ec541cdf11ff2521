"""A log as an A2A task: whole transcripts, and from every event on state and updates add up to the same task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from landline.faces.a2a.encode import Frame, Said, TaskView
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
    RunCreated,
    RunFailed,
    RunResumed,
    RunWaiting,
    SourceAdded,
    Stamped,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
    UsageReported,
)
from landline.model.messages import FilePart, TextPart
from landline.model.runs import Question
from landline.testing.faces.a2a import A2AError, check_a2a_stream, check_a2a_task
from tests.faces import logs
from tests.faces.fakes import AT
from tests.faces.logs import BEGUN, completed, said

APPROVE = Question(
    question_id="q", kind="approval", prompt="Allow it?", tool="erase", arguments={"name": "x"}
)
CHOOSE = Question(question_id="c", kind="choice", prompt="Which?", choices=["a", "b"])


def asked(*questions: Question) -> list[Event]:
    events: list[Event] = [
        QuestionAsked(question_id=one.question_id, kind=one.kind, prompt=one.prompt) for one in questions
    ]
    return [*events, RunWaiting(questions=questions)]


LOGS: dict[str, list[Event]] = {
    "text": [*said("m", "Hel", "", "lo"), completed("Hello", "m")],
    "several messages": [
        *said("m", "One "),
        ToolCalled(call_id="t", name="look", arguments={}),
        ToolCalled(call_id="s", name="look", arguments={}),
        ToolProgress(call_id="t", message="half way", fraction=0.5),
        ToolProgress(call_id="s", fraction=0.5),
        ToolFailed(call_id="s", error=ErrorInfo(code="tool_error", message="no")),
        ToolCompleted(call_id="t", result=1),
        ReasoningDelta(message_id="n", delta="hm"),
        *said("n", "two ", "three"),
        UsageReported(input_tokens=1, output_tokens=1, total_tokens=2),
        AgentChanged(source="notes", target="other"),
        GuardTripped(guard="g", stage="output", action="warn"),
        Custom(name="progress", data={}),
        InputReceived(message_id="i", input=[TextPart(text="more")]),
        completed("two three", "n"),
    ],
    "no message": [completed("said at the end", None)],
    "structured": [
        MessageStarted(message_id="m", role="assistant"),
        OutputPartial(message_id="m", output={"city": "Par"}),
        OutputPartial(message_id="m", output={"city": "Paris"}),
        MessageCompleted(message_id="m", text=""),
        completed({"city": "Paris", "sights": [1.5, None]}, "m"),
    ],
    "structured at once": [completed([1, 2], None)],
    "file and source": [
        *said("m", "See. ", end=False),
        FileAdded(message_id="m", file_id="f", name="list.txt", media_type="text/plain"),
        SourceAdded(message_id="m", title="list.pdf", url="https://example.com/list.pdf", quote="it says"),
        SourceAdded(message_id="m", title="a book", quote="by heart"),
        SourceAdded(message_id="m", title="out.txt", url="data:text/plain;base64,aGk="),
        SourceAdded(message_id="", title="odd", url="https://[broken"),
        MessageCompleted(message_id="m", text="See. "),
        completed("See. ", "m"),
    ],
    "retracted": [
        *said("m", "wrong ", "words", end=False),
        SourceAdded(message_id="m", title="s", url="https://example.com/a"),
        MessageRetracted(message_id="m", reason="rewritten"),
        *said("n", "right"),
        completed("right", "n"),
    ],
    "lost worker": [
        *said("m", "Hel", end=False),
        RunResumed(attempt=2, reason="recovered", drop_message_id="m"),
        *said("n", "Hello"),
        completed("Hello", "n"),
    ],
    "question": [
        *said("m", "Let me see. "),
        *asked(APPROVE),
        QuestionAnswered(question_id="q", by="local", outcome="approved"),
        RunResumed(attempt=1, reason="answered"),
        *said("n", "Erased."),
        completed("Erased.", "n"),
    ],
    "two questions": [
        *asked(APPROVE, CHOOSE),
        QuestionAnswered(question_id="q", by="local", outcome="denied"),
        QuestionAnswered(question_id="c", by="local", outcome="answered"),
        RunResumed(attempt=1, reason="answered"),
        completed("", None),
    ],
    "failed": [
        *said("m", "Hel", end=False),
        RunFailed(error=ErrorInfo(code="agent_error", message="It failed.")),
    ],
    "refused": [RunFailed(error=ErrorInfo(code="model_refused", message="I may not."))],
    "cancelled": [*said("m", "Hel", end=False), RunCancelled(by="local", message_id="m")],
    "cancelled while it waits": [*asked(CHOOSE), RunCancelled(by="local")],
}


def log(events: Sequence[Event]) -> list[Stamped]:
    return logs.log(*BEGUN, *events)


def view(*said: Said) -> TaskView:
    return TaskView("r", "c", first_id="mine", said=said)


def fold(events: Sequence[Stamped], into: TaskView | None = None) -> list[Frame]:
    into = into or view()
    return [
        frame for event in events for frame in into.take(event, raw="aGk=" if event.type == "file" else None)
    ]


def shown(artifacts: Sequence[Any]) -> list[Any]:
    """Artifacts as a reader has them: pieces of text are one text, what was taken back is not there."""
    found: list[Any] = []
    for parts in artifacts:
        texts = "".join(part["text"] for part in parts if "text" in part)
        rest = [part for part in parts if "text" not in part]
        if texts or rest:
            found.append([texts, rest])
    return found


@pytest.mark.contract("FACE-10", "FACE-17")
@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_a_well_formed_stream(name: str) -> None:
    # A stream ends at a question; the rest is that of a new one.
    events = log(LOGS[name])
    after = view()
    stream: list[Frame] = []
    for event in events:
        stream += after.take(event)
        if event.type == "run.waiting":
            check_a2a_stream(stream)
            stream = [{"task": after.task()}]
    told = check_a2a_stream(stream)
    check_a2a_task(after.task())
    assert shown(list(told.artifacts.values())) == shown(
        [one["parts"] for one in after.task().get("artifacts", ())]
    )
    assert msgspec.json.encode(fold(events)) == msgspec.json.encode(fold(events))


@pytest.mark.contract("FACE-10", "FACE-17", "EVT-2")
@pytest.mark.parametrize("name", LOGS)
def test_state_at_any_event_and_the_updates_after_it_add_up_to_the_task(name: str) -> None:
    events = log(LOGS[name])
    last = view()
    fold(events, last)
    for cut in range(1, len(events)):
        seen = view()
        fold(events[:cut], seen)
        frames: list[Frame] = [{"task": seen.task()}]
        for event in events[cut:]:
            frames += seen.take(event, raw="aGk=" if event.type == "file" else None)
            if event.type == "run.waiting":
                check_a2a_stream(frames)
                frames = [{"task": seen.task()}]
        told = check_a2a_stream(frames)
        assert shown(list(told.artifacts.values())) == shown(
            [one["parts"] for one in last.task().get("artifacts", ())]
        ), cut
        assert seen.task() == last.task()


@pytest.mark.contract("FACE-10", "FACE-17")
@pytest.mark.parametrize(
    ("name", "emptied", "left"),
    [("retracted", ["m", "m.6"], "right"), ("lost worker", ["m"], "Hello")],
)
def test_what_was_taken_back_is_emptied_for_readers_and_in_no_task(
    name: str, emptied: list[str], left: str
) -> None:
    after = view()
    stream = fold(log(LOGS[name]), after)
    told = [frame["artifactUpdate"]["artifact"] for frame in stream if "artifactUpdate" in frame]
    gone = [one for one in told if one.get("metadata") == {"retracted": True}]
    assert [(one["artifactId"], one["parts"]) for one in gone] == [(id_, [{"text": ""}]) for id_ in emptied]
    assert shown(list(check_a2a_stream(stream).artifacts.values())) == [[left, []]]
    assert shown([one["parts"] for one in after.task()["artifacts"]]) == [[left, []]]


def test_a_text_on_the_wire() -> None:
    ids = {"taskId": "r", "contextId": "c"}
    history = [{"messageId": "mine", **ids, "role": "ROLE_USER", "parts": [{"text": "hi"}]}]

    def piece(text: str, *, append: bool, last: bool) -> Frame:
        artifact = {"artifactId": "m", "parts": [{"text": text}]}
        return {"artifactUpdate": {**ids, "artifact": artifact, "append": append, "lastChunk": last}}

    def status(state: str) -> Frame:
        return {"statusUpdate": {**ids, "status": {"state": state, "timestamp": AT}}}

    assert fold(log(LOGS["text"])) == [
        {
            "task": {
                "id": "r",
                "contextId": "c",
                "status": {"state": "TASK_STATE_SUBMITTED", "timestamp": AT},
                "history": history,
            }
        },
        status("TASK_STATE_WORKING"),
        piece("Hel", append=False, last=False),
        piece("lo", append=True, last=False),
        piece("", append=True, last=True),
        status("TASK_STATE_COMPLETED"),
    ]


@pytest.mark.contract("RUN-8")
def test_a_question_shows_people_and_programs_what_is_approved() -> None:
    seen = view()
    fold(log(LOGS["two questions"])[:5], seen)
    message = seen.task()["status"]["message"]
    assert message["role"] == "ROLE_AGENT"
    text, data = message["parts"]
    assert text == {"text": '1. Allow it?\nerase {"name":"x"}\n2. Which?\n- a\n- b'}
    assert data["data"]["questions"] == [
        {
            "questionId": "q",
            "kind": "approval",
            "prompt": "Allow it?",
            "tool": "erase",
            "arguments": {"name": "x"},
        },
        {"questionId": "c", "kind": "choice", "prompt": "Which?", "choices": ["a", "b"]},
    ]
    fold(log(LOGS["two questions"])[5:6], seen)
    left = seen.task()["status"]["message"]["parts"]
    assert [question["questionId"] for question in left[1]["data"]["questions"]] == ["c"]


def test_the_history_has_questions_and_answers_in_their_order() -> None:
    reply = {
        "messageId": "a",
        "role": "ROLE_USER",
        "parts": [{"text": "yes"}],
        "taskId": "r",
        "contextId": "c",
    }
    events = log(LOGS["question"])
    waiting = next(event.seq for event in events if event.type == "run.waiting")
    seen = view(Said(waiting, reply))
    fold(events, seen)
    assert [message["messageId"] for message in seen.task()["history"]] == ["mine", f"r-{waiting}", "a"]
    assert [message["messageId"] for message in seen.task(history=1)["history"]] == ["a"]
    assert "history" not in seen.task(history=0)
    asking = view()
    fold(events[:waiting], asking)
    assert [message["messageId"] for message in asking.task()["history"]] == ["mine"]
    assert asking.task()["status"]["message"]["messageId"] == f"r-{waiting}"


@pytest.mark.parametrize(
    ("name", "state"), [("failed", "FAILED"), ("refused", "REJECTED"), ("cancelled", "CANCELED")]
)
def test_ends_that_are_not_good(name: str, state: str) -> None:
    seen = view()
    frames = fold(log(LOGS[name]), seen)
    assert frames[-1]["statusUpdate"]["status"]["state"] == f"TASK_STATE_{state}"
    if name == "failed":
        assert seen.task()["status"]["message"]["parts"] == [{"text": "It failed."}]
        assert seen.task()["status"]["message"]["metadata"] == {"code": "agent_error"}


def test_files_and_sources_are_parts() -> None:
    seen = view()
    fold(log(LOGS["file and source"]), seen)
    parts = [artifact["parts"][0] for artifact in seen.task()["artifacts"]]
    assert parts == [
        {"text": "See. "},
        {"raw": "aGk=", "filename": "list.txt", "mediaType": "text/plain"},
        {"url": "https://example.com/list.pdf", "mediaType": "application/pdf", "filename": "list.pdf"},
        {"text": "by heart"},
        {"raw": "aGk=", "mediaType": "text/plain", "filename": "out.txt"},
        {"url": "https://[broken", "filename": "odd"},
    ]
    asked_with = RunCreated(
        status="running", message_id="u", input=[FilePart(file_id="f", name="a.txt", media_type="text/plain")]
    )
    fold(logs.log(asked_with), seen)
    assert seen.task()["history"][-1]["parts"] == [
        {"data": {"fileId": "f"}, "filename": "a.txt", "mediaType": "text/plain"}
    ]


@pytest.mark.contract("FACE-17")
def test_the_checker_refuses_broken_streams() -> None:
    good = fold(log(LOGS["text"]))
    check_a2a_stream(good)
    task, working, first, more, last, end = good

    def other(frame: Frame, **changes: Any) -> Frame:
        (kind,) = frame
        return {kind: {**frame[kind], **changes}}

    status = end["statusUpdate"]["status"]
    broken: dict[str, list[Frame]] = {
        "no task": good[1:],
        "task twice": [task, *good],
        "no end": good[:-1],
        "end in the middle": [task, working, end, first, more, last],
        "two ends": [*good, end],
        "no last chunk": [task, working, first, more, end],
        "appended to nothing": [task, working, more, last, end],
        "appended after the last chunk": [task, working, first, last, more, end],
        "no beginning of work": [task, {"statusUpdate": {**end["statusUpdate"], "status": {**status, "state": "TASK_STATE_INPUT_REQUIRED"}}}],
        "another task": [task, other(working, taskId="x"), first, more, last, end],
        "unknown field": [task, other(working, final=True), first, more, last, end],
        "unknown state": [task, other(end, status={"state": "done"})],
        "no parts": [task, working, other(first, artifact={"artifactId": "m", "parts": []}), last, end],
        "two contents": [
            task, working,
            other(first, artifact={"artifactId": "m", "parts": [{"text": "a", "url": "b"}]}), last, end,
        ],
        "a time elsewhere": [task, other(working, status={"state": "TASK_STATE_WORKING", "timestamp": "2026-11-21T08:00:00+01:00"}), end],
        "a message": [task, working, {"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "x"}]}}, end],
    }  # fmt: skip
    for name, frames in broken.items():
        with pytest.raises(A2AError):
            print(name, check_a2a_stream(frames))
