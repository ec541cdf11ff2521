"""Events to chunks of the AI SDK's stream: whole transcripts, and what is true of every log."""

import pytest

from landline.faces.ai_sdk.encode import CUT, Encoder
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
    RunCancelled,
    RunFailed,
    RunResumed,
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
from landline.model.runs import Question
from landline.testing.faces.ai_sdk import check_stream
from tests.faces.ai_sdk_logs import (
    RESUMED,
    answered,
    ask,
    completed,
    kinds,
    log,
    past_of,
    replayed,
    said,
    told,
    waiting,
)


@pytest.mark.contract("FACE-9", "FACE-17")
def test_a_turn_with_everything_in_it() -> None:
    events = log(
        *said("m1", "Let ", "me see.", thought="Hm."),
        ToolCalled(call_id="c1", name="add", arguments={"a": 2}),
        ToolCalled(call_id="c2", name="sub", arguments=None),
        ToolProgress(call_id="c1", message="half", fraction=0.5),
        ToolCompleted(call_id="c2", result=None),
        ToolFailed(call_id="c1", error=ErrorInfo(code="tool_error", message="add failed.")),
        UsageReported(input_tokens=1, output_tokens=1, total_tokens=2),
        AgentChanged(source="notes", target="other"),
        GuardTripped(guard="g", stage="input", action="flag"),
        Custom(name="mood", data={"glad": True}),
        MessageStarted(message_id="m2", role="assistant"),
        SourceAdded(message_id="m2", title="A", url="https://example.com/a", quote="q"),
        SourceAdded(message_id="m2", title="B"),
        TextDelta(message_id="m2", delta="Five."),
        FileAdded(message_id="m2", file_id="f1", name="a.txt", media_type="text/plain"),
        FileAdded(message_id="m2", file_id="f2", name="b.txt", media_type="text/plain"),
        TextDelta(message_id="m2", delta=" Done."),
        MessageCompleted(message_id="m2", text="Five. Done."),
        completed("Five. Done.", "m2"),
    )
    chunks = told(events, files={"f1": "data:text/plain;base64,YQ=="})
    assert chunks == [
        {"type": "start", "messageId": "r", "messageMetadata": {"runId": "r", "threadId": "t"}},
        {"type": "start-step"},
        {"type": "reasoning-start", "id": "reasoning-1"},
        {"type": "reasoning-delta", "id": "reasoning-1", "delta": "Hm."},
        {"type": "reasoning-end", "id": "reasoning-1"},
        {"type": "text-start", "id": "text-2"},
        {"type": "text-delta", "id": "text-2", "delta": "Let "},
        {"type": "text-delta", "id": "text-2", "delta": "me see."},
        {"type": "text-end", "id": "text-2"},
        {"type": "tool-input-start", "toolCallId": "c1", "toolName": "add"},
        {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '{"a":2}'},
        {"type": "tool-input-available", "toolCallId": "c1", "toolName": "add", "input": {"a": 2}},
        {"type": "tool-input-start", "toolCallId": "c2", "toolName": "sub"},
        {"type": "tool-input-delta", "toolCallId": "c2", "inputTextDelta": "null"},
        {"type": "tool-input-available", "toolCallId": "c2", "toolName": "sub", "input": None},
        {
            "type": "data-landline-progress",
            "data": {"toolCallId": "c1", "message": "half", "fraction": 0.5},
            "transient": True,
        },
        {"type": "tool-output-available", "toolCallId": "c2", "output": None},
        {"type": "tool-output-error", "toolCallId": "c1", "errorText": "add failed."},
        {"type": "data-landline-agent", "data": {"from": "notes", "to": "other"}},
        {"type": "data-mood", "data": {"glad": True}},
        {"type": "finish-step"},
        {"type": "start-step"},
        {
            "type": "source-url",
            "sourceId": "source-1",
            "url": "https://example.com/a",
            "title": "A",
            "providerMetadata": {"landline": {"quote": "q"}},
        },
        {"type": "source-document", "sourceId": "source-2", "mediaType": "text/plain", "title": "B"},
        {"type": "text-start", "id": "text-3"},
        {"type": "text-delta", "id": "text-3", "delta": "Five."},
        {"type": "text-end", "id": "text-3"},
        {"type": "file", "url": "data:text/plain;base64,YQ==", "mediaType": "text/plain"},
        {
            "type": "data-landline-file",
            "id": "f2",
            "data": {"fileId": "f2", "name": "b.txt", "mediaType": "text/plain"},
        },
        {"type": "text-start", "id": "text-4"},
        {"type": "text-delta", "id": "text-4", "delta": " Done."},
        {"type": "text-end", "id": "text-4"},
        {"type": "finish-step"},
        {
            "type": "finish",
            "finishReason": "stop",
            "messageMetadata": {"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}},
        },
    ]
    message = check_stream(chunks)
    assert message.text == "Let me see.Five. Done."
    assert message.metadata["usage"]["totalTokens"] == 7


@pytest.mark.contract("FACE-9")
def test_a_call_after_results_is_another_step_and_parallel_calls_are_one() -> None:
    events = log(
        ToolCalled(call_id="a", name="x", arguments={}),
        ToolCalled(call_id="b", name="x", arguments={}),
        ToolCompleted(call_id="a", result=1),
        ToolCompleted(call_id="b", result=1),
        ToolCalled(call_id="c", name="x", arguments={}),
        ToolCompleted(call_id="c", result=1),
        completed("", None),
    )
    chunks = told(events)
    check_stream(chunks)
    # The last, empty step keeps a client from taking the results for its own and sending them on.
    assert [kind for kind in kinds(chunks) if kind.endswith("-step")] == ["start-step", "finish-step"] * 3


ERASE = {"tool": "erase", "call_id": "c", "arguments": {"name": "disk"}}
APPROVAL = ask("q", **ERASE)
ASKED: list[Event] = [*said("m1", "Let me."), APPROVAL, waiting(APPROVAL)]
ERASED: list[Event] = [
    ToolCalled(call_id="c", name="erase", arguments={"name": "disk"}),
    ToolCompleted(call_id="c", result="gone"),
]


@pytest.mark.contract("FACE-9", "RUN-8")
def test_an_approval_ends_one_stream_and_the_answer_begins_another_of_the_same_message() -> None:
    first = log(*ASKED)
    before = check_stream(chunks := told(first))
    assert chunks[-3:] == [
        {"type": "tool-approval-request", "approvalId": "q", "toolCallId": "c", "reason": "q?"},
        {"type": "finish-step"},
        {"type": "finish", "finishReason": "tool-calls"},
    ]
    assert before.tool("c")["state"] == "approval-requested"
    whole = log(*ASKED, answered("q"), RESUMED, *ERASED, *said("m2", "Gone."), completed("Gone.", "m2"))
    more = told(whole, after=first[-1].seq)
    assert more[:3] == [
        {"type": "start", "messageId": "r", "messageMetadata": {"runId": "r", "threadId": "t"}},
        {"type": "tool-approval-response", "approvalId": "q", "approved": True},
        {"type": "tool-output-available", "toolCallId": "c", "output": "gone"},
    ]
    message = check_stream(more, before=before)
    # To the client that gave the answer it is not told.
    assert told(whole, after=first[-1].seq, given=["q"]) == [more[0], *more[2:]]
    assert message.text == "Let me.Gone."
    assert message.tool("c")["output"] == "gone"
    # A client that comes later builds the same message.
    assert replayed(whole).parts == message.parts


@pytest.mark.contract("FACE-9", "RUN-8")
@pytest.mark.parametrize("outcome", ["denied", "expired"])
def test_a_denied_call_is_told_as_denied(outcome: str) -> None:
    refused = ToolFailed(call_id="c", error=ErrorInfo(code="denied", message="no"))
    events = log(*ASKED, answered("q", outcome), RESUMED, ERASED[0], refused, completed("", None))
    tool = replayed(events).tool("c")
    assert tool["state"] == "output-denied"
    assert tool["approval"]["approved"] is False
    assert tool["approval"].get("reason") == ("expired" if outcome == "expired" else None)


@pytest.mark.contract("FACE-9", "RUN-8")
def test_what_an_approver_edited_is_what_is_shown() -> None:
    edited = ToolCalled(call_id="c", name="erase", arguments={"name": "tape"})
    events = log(*ASKED, answered("q"), RESUMED, edited, ERASED[1], completed("", None))
    assert replayed(events).tool("c")["input"] == {"name": "tape"}


@pytest.mark.contract("FACE-9", "RUN-8")
@pytest.mark.parametrize(
    ("outcome", "state"), [("approved", "output-available"), ("denied", "output-denied")]
)
def test_an_approval_of_no_call_is_shown_as_one(outcome: str, state: str) -> None:
    asked = ask("q")
    events = log(asked, waiting(asked), answered("q", outcome), RESUMED, *said("m", "x"), completed())
    tool = replayed(events).tool("q")
    assert (tool["type"], tool["input"], tool["state"]) == ("tool-approval", {"prompt": "q?"}, state)


@pytest.mark.contract("FACE-9", "RUN-8")
def test_approvals_that_are_still_open_are_asked_again() -> None:
    second = ask("q2", tool="erase", call_id="c2", arguments={})
    events = log(APPROVAL, second, waiting(APPROVAL, second), answered("q"))
    before = check_stream(told(events[:-1]))
    encoder = Encoder(after=len(events))
    for event in events:
        assert encoder.take(event) == []
    chunks = encoder.again(
        "r", "t", [Question(question_id="q2", kind="approval", prompt="q2?", call_id="c2")]
    )
    message = check_stream(chunks, before=before)
    assert kinds(chunks) == ["start", "tool-approval-request", "finish"]
    assert message.tool("c2")["state"] == "approval-requested"
    # Both are of one step, or a client would send its answers before it has them all.
    assert kinds(told(events[:-1])).count("start-step") == 1


@pytest.mark.contract("FACE-9")
def test_a_tool_of_the_client_is_told_once_and_its_result_with_the_rest() -> None:
    asked = ask("q", "input", tool="here", call_id="c", arguments={"a": 1})
    first = log(asked, waiting(asked))
    before = check_stream(told(first))
    assert (before.finish_reason, before.tool("c")["state"]) == ("tool-calls", "input-available")
    whole = log(
        asked,
        waiting(asked),
        answered("q", "answered"),
        RESUMED,
        ToolCalled(call_id="c", name="here", arguments={"a": 1}),
        ToolCompleted(call_id="c", result="Rome"),
        *said("m", "Rome"),
        completed("Rome"),
    )
    more = told(whole, after=first[-1].seq)
    assert kinds(more)[:3] == ["start", "tool-output-available", "start-step"]
    assert check_stream(more, before=before).parts == replayed(whole).parts


@pytest.mark.contract("FACE-9")
def test_a_question_in_words_ends_the_message_and_the_answer_begins_another() -> None:
    asked = ask("q", "choice", choices=["red", "blue"])
    first = log(*said("m1", "Well."), asked, waiting(asked))
    message = check_stream(told(first))
    assert message.finish_reason == "other"
    shown = {"questionId": "q", "kind": "choice", "prompt": "q?", "choices": ["red", "blue"]}
    assert message.data("landline-question") == [shown]
    more: list[Event] = [*said("m1", "Well."), asked, waiting(asked), answered("q", "answered"), RESUMED]
    whole = log(*more, *said("m2", "Red."), completed("Red.", "m2"))
    for chunks in (told(whole, after=first[-1].seq), told(whole, after=past_of(whole).begins[-1])):
        message = check_stream(chunks)
        assert (message.id, message.text) == ("r.2", "Red.")
    # A reader that was there when the answer came is told the end of its message only.
    assert check_stream(told(whole)).text == "Well."
    expired = log(*more[:-2], answered("q", "expired"), RESUMED, *said("m2", "Bye."), completed("Bye."))
    message = replayed(expired)
    assert (message.id, message.text) == ("r", "Well.Bye.")
    assert message.data("landline-question") == [{**shown, "outcome": "expired"}]


@pytest.mark.contract("FACE-9")
def test_a_tool_that_asks_while_it_runs_asks_in_words() -> None:
    asked = ask("q", "input", tool="x", call_id="c")
    before: list[Event] = [ToolCalled(call_id="c", name="x", arguments={}), asked, waiting(asked)]
    first = check_stream(told(log(*before)))
    (question,) = first.data("landline-question")
    assert (first.finish_reason, question["toolCallId"]) == ("other", "c")
    whole = log(
        *before, answered("q", "answered"), RESUMED, ToolCompleted(call_id="c", result=1), completed("")
    )
    assert replayed(whole).id == "r.2"


@pytest.mark.contract("FACE-9")
def test_a_result_of_a_call_of_the_message_before_brings_its_call() -> None:
    name = ask("n", "input")
    events = log(
        APPROVAL, name, waiting(APPROVAL, name), answered("q"), answered("n", "answered"), RESUMED, *ERASED,
        completed("", None),
    )  # fmt: skip
    message = replayed(events)
    assert (message.id, message.tool("c")["output"]) == ("r.2", "gone")
    under_way = log(
        ERASED[0], name, waiting(name), answered("n", "answered"), RESUMED, ERASED[1], completed("")
    )
    assert replayed(under_way).tool("c")["output"] == "gone"


@pytest.mark.contract("FACE-9", "RUN-8")
def test_what_is_said_beside_an_open_question_stays_in_its_step() -> None:
    second = ask("q2", tool="erase", call_id="c2", arguments={})
    events = log(APPROVAL, *said("m1", "Wait."), *said("m2", "Wait!"), second, waiting(APPROVAL, second))
    assert kinds(told(events)).count("start-step") == 1


@pytest.mark.contract("FACE-9", "EVT-4")
def test_what_was_taken_back_is_forgotten_where_the_wire_can() -> None:
    retracted = MessageRetracted(message_id="m1", reason="rejected")
    events = log(
        MessageStarted(message_id="m1", role="assistant"),
        TextDelta(message_id="m1", delta="wrong"),
        retracted,
        *said("m2", "right"),
        completed("right", "m2"),
    )
    chunks = told(events)
    assert "reset-step" in kinds(chunks)
    assert check_stream(chunks).text == "right"
    again = told(events, past=past_of(events))
    assert "reset-step" not in kinds(again)
    assert check_stream(again).text == "right"
    # With a call in the same step it cannot: the SDK would forget the call too.
    stuck = log(
        *said("m1", "wrong"), ToolCalled(call_id="c", name="x", arguments={}), retracted, completed("", None)
    )
    assert told(stuck)[-1] == {"type": "error", "errorText": CUT}
    # Nor once another step has begun.
    late = log(*said("m1", "wrong"), *said("m2", "x"), retracted, completed("x", "m2"))
    assert told(late)[-1] == {"type": "error", "errorText": CUT}
    assert replayed(late).text == "x"
    unheard = log(MessageStarted(message_id="m1", role="assistant"), retracted, *said("m2", "x"), completed())
    assert check_stream(told(unheard)).text == "x"


@pytest.mark.contract("FACE-9", "EVT-4")
def test_a_crash_in_mid_message_ends_the_stream_and_a_new_read_gives_what_was_rewritten() -> None:
    events = log(
        *said("m0", "First."),
        MessageStarted(message_id="m1", role="assistant"),
        TextDelta(message_id="m1", delta="half"),
        RunResumed(attempt=2, reason="recovered", drop_message_id="m1"),
        *said("m2", "whole"),
        completed("whole", "m2"),
    )
    chunks = told(events)
    assert kinds(chunks)[-3:] == ["text-end", "finish-step", "error"]
    assert check_stream(chunks).error == CUT
    assert replayed(events).text == "First.whole"
    silent = log(
        *said("m0", "First."), RunResumed(attempt=2, reason="recovered"), *said("m2", "x"), completed()
    )
    assert check_stream(told(silent)).text == "First.x"


@pytest.mark.contract("FACE-9")
def test_structured_answers_are_a_data_part_that_grows() -> None:
    events = log(
        MessageStarted(message_id="m", role="assistant"),
        OutputPartial(message_id="m", output={"a": 1}),
        OutputPartial(message_id="m", output={"a": 1, "b": 2}),
        MessageCompleted(message_id="m", text='{"a":1,"b":2}'),
        completed({"a": 1, "b": 2}),
    )
    chunks = told(events)
    assert kinds(chunks).count("data-landline-output") == 2
    assert check_stream(chunks).data("landline-output") == [{"a": 1, "b": 2}]
    bare = told(log(completed([1], None)))
    assert check_stream(bare).data("landline-output") == [[1]]


@pytest.mark.contract("FACE-9", "RUN-5")
def test_a_run_that_fails_or_is_cancelled_closes_what_is_open() -> None:
    opened: list[Event] = [
        ToolCalled(call_id="c", name="x", arguments={}),
        MessageStarted(message_id="m", role="assistant"),
        TextDelta(message_id="m", delta="half"),
    ]
    failed = check_stream(told(log(*opened, RunFailed(error=ErrorInfo(code="x", message="It failed.")))))
    assert (failed.ended, failed.error, failed.text) == ("error", "It failed.", "half")
    cancelled = check_stream(told(log(*opened, RunCancelled(by="local"))))
    assert (cancelled.ended, cancelled.text) == ("abort", "half")
    assert cancelled.tool("c")["state"] == "output-error"


@pytest.mark.contract("EVT-3", "FACE-9")
def test_kinds_of_another_build_and_input_on_the_way() -> None:
    events = log(InputReceived(message_id="u2", input=[TextPart(text="and?")]), *said("m", "x"), completed())
    events.insert(
        2, Stamped(seq=0, run_id="r", thread_id="t", at="now", type="new.kind", body=b'{"type":"new.kind"}')
    )
    assert check_stream(told(events)).data("landline-input") == [{"text": "and?"}]
