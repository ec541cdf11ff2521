"""A run's events as a response: whole transcripts, every kind of event, and what was taken back."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from landline.faces.openai.responses_encode import DONE, Encoder, response_of, retractions, sse
from landline.faces.openai.responses_record import Record
from landline.model.errors import ErrorInfo, Gone
from landline.model.events import (
    AgentChanged,
    Custom,
    Event,
    FileAdded,
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
from landline.model.runs import Usage
from landline.testing.faces.openai_responses import Transcript, check_events, check_response, check_stream
from tests.faces import logs
from tests.faces.fakes import AT
from tests.faces.logs import BEGUN, completed, said
from tests.faces.openai import RUN

SHORT = RUN.replace("-", "")
ECHO: dict[str, Any] = {"tools": [], "tool_choice": "auto", "metadata": {}}

pytestmark = pytest.mark.contract("FACE-7", "FACE-17")


def record(*, after: int = 0, client_tools: Sequence[str] = ()) -> Record:
    return Record(
        id=f"resp_{RUN}", run_id=RUN, thread_id="t", after=after, model="a", echo=ECHO, input=[],
        client_tools=list(client_tools),
    )  # fmt: skip


def log(*events: Event) -> list[Stamped]:
    return logs.log(*BEGUN, *events, run_id=RUN)


def ended(output: Any = "", name: str | None = None) -> Event:
    return completed(output, name, Usage(input_tokens=1, output_tokens=2, total_tokens=3))


def told(events: Sequence[Stamped], made: Record | None = None) -> Transcript:
    """Return the transcript, checked, and the same as one read and as one object."""
    made = made or record()
    encoder = Encoder(made, taken_back=retractions(events))
    frames = [frame for event in events for frame in encoder.feed(event)]
    found = check_stream(sse(frames) + DONE)
    assert found.response == msgspec.json.decode(msgspec.json.encode(response_of(made, events)))
    check_response(found.response or {})
    return found


def items(found: Transcript) -> list[dict[str, Any]]:
    assert found.response is not None
    return found.response["output"]


def test_a_whole_transcript() -> None:
    found = told(log(*said("m", "Hel", "lo"), ended("Hello", "m")))
    assert found.types == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    part: dict[str, Any] = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    message: dict[str, Any] = {
        "id": "msg_m",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }
    assert found.response == {
        "id": f"resp_{RUN}",
        "object": "response",
        "created_at": 1795248000,
        "completed_at": 1795248000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "a",
        "output": [message],
        "usage": {
            "input_tokens": 1,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 3,
        },
        "background": False,
        "store": True,
        **ECHO,
    }


def test_the_frames_do_not_depend_on_how_the_log_came() -> None:
    events = log(
        ReasoningDelta(message_id="m", delta="hm"), *said("m", "a", "b"), *said("n", "c"), ended("c", "n")
    )
    once = Encoder(record())
    whole = [frame for event in events for frame in once.feed(event)]
    for cut in range(len(events) + 1):
        encoder = Encoder(record())
        frames = [frame for event in events[:cut] for frame in encoder.feed(event)]
        check_events(frames, whole=False)
        assert frames == whole[: len(frames)]
        assert encoder.response()["status"] == (
            "completed" if cut == len(events) else "in_progress" if cut else "queued"
        )


def test_a_queued_run_says_so() -> None:
    events = log(*said("m", "x"), ended("x", "m"))
    events[:1] = logs.log(RunCreated(status="queued", message_id="u", input=[]), run_id=RUN)
    assert told(events).types[:3] == ["response.created", "response.queued", "response.in_progress"]


def test_reasoning_before_and_between_is_items_of_its_own() -> None:
    thought = [ReasoningDelta(message_id="m", delta="a"), ReasoningDelta(message_id="m", delta="b")]
    more = [ReasoningDelta(message_id="n", delta="c"), MessageCompleted(message_id="n", text="")]
    found = told(log(MessageStarted(message_id="m", role="assistant"), *thought, *said("m", "x")[1:], *more, ended("x", "m")))  # fmt: skip
    assert [item["type"] for item in items(found)] == ["reasoning", "message", "reasoning"]
    assert items(found)[0]["summary"] == [{"type": "summary_text", "text": "ab"}]
    told_after = found.types[found.types.index("response.reasoning_summary_text.done") :]
    assert "response.output_text.delta" in told_after, "a thought ends before the words begin"


def test_own_tools_in_parallel_and_their_failures() -> None:
    found = told(
        log(
            ToolCalled(call_id="c1", name="look", arguments={"at": 1}),
            ToolCalled(call_id="c2", name="look", arguments=None),
            ToolProgress(call_id="c1", message="half", fraction=0.5),
            ToolFailed(call_id="c2", error=ErrorInfo(code="x", message="It broke.")),
            ToolCompleted(call_id="c1", result={"seen": True}),
            *said("m", "done"),
            ended("done", "m"),
        )
    )
    first, second, _ = items(found)
    assert (first["type"], first["status"], first["output"]) == ("mcp_call", "completed", '{"seen":true}')
    assert (second["status"], second["error"], second["arguments"]) == ("failed", "It broke.", "{}")


def test_calls_of_the_clients_tools_are_told_once() -> None:
    asked = [
        QuestionAsked(
            question_id=f"q{n}", kind="input", prompt="", tool="look", call_id=f"c{n}", arguments={"n": n}
        )
        for n in (1, 2)
    ]
    first = log(*said("m", "Let me see."), *asked, RunWaiting(questions=[]))
    made = record(client_tools=["look"])
    found = told(first, made)
    assert found.types[-1] == "response.completed"
    calls = items(found)[1:]
    assert [(call["call_id"], call["arguments"]) for call in calls] == [
        (f"call_{SHORT}_6", '{"n":1}'),
        (f"call_{SHORT}_7", '{"n":2}'),
    ]
    later = log(
        *said("m", "Let me see."),
        *asked,
        RunWaiting(questions=[]),
        QuestionAnswered(question_id="q1", by="u", outcome="answered"),
        RunResumed(attempt=1, reason="answered"),
        ToolCalled(call_id="c1", name="look", arguments={"n": 1}),
        ToolCompleted(call_id="c1", result="blue"),
        *said("n", "It is blue."),
        ended("It is blue.", "n"),
    )
    assert told(later, made).response == found.response
    rest = told(later, record(after=len(first), client_tools=["look"]))
    assert [item["type"] for item in items(rest)] == ["message"]
    assert rest.types[:2] == ["response.created", "response.in_progress"]


def test_a_call_that_must_be_made_and_is_not_fails_the_response() -> None:
    made = msgspec.structs.replace(record(client_tools=["look"]), must_call=True)
    found = told(log(*said("m", "No."), ended("No.", "m")), made)
    assert found.types[-1] == "response.failed"
    assert found.response is not None
    assert found.response["error"]["code"] == "tool_choice_not_kept"
    call = QuestionAsked(question_id="q", kind="input", prompt="", tool="look", call_id="c", arguments={})
    assert told(log(call, RunWaiting(questions=[])), made).types[-1] == "response.completed"


def test_approvals_and_questions() -> None:
    approval = QuestionAsked(
        question_id="q", kind="approval", prompt="Erase?", tool="erase", arguments={"a": 1}
    )
    found = told(log(approval, RunWaiting(questions=[])))
    assert items(found) == [
        {
            "id": f"mcpr_{SHORT}_3",
            "type": "mcp_approval_request",
            "server_label": "a",
            "name": "erase",
            "arguments": '{"a":1}',
        }
    ]
    choice = QuestionAsked(question_id="q", kind="choice", prompt="Which?", choices=["red", "blue"])
    found = told(log(choice, RunWaiting(questions=[])))
    assert found.text == "Which?\n- red\n- blue"


def test_sources_are_citations() -> None:
    early = SourceAdded(message_id="m", title="Early", url="https://a.example")
    late = SourceAdded(message_id="m", title="Late", url="https://b.example")
    paper = SourceAdded(message_id="m", title="A book")
    message = said("m", "One.", "Two.")
    found = told(log(early, *message[:2], late, paper, *message[2:], ended("One.Two.", "m")))
    notes = items(found)[0]["content"][0]["annotations"]
    assert [(note["title"], note["start_index"]) for note in notes] == [("Early", 0), ("Late", 4)]
    assert found.types.count("response.output_text.annotation.added") == 2


@pytest.mark.parametrize(
    ("events", "texts"),
    [
        ([OutputPartial(message_id="m", output={"a": 0}), ended({"a": 1}, "m")], ['{"a":1}']),
        ([*said("m", '{"a": 1}'), ended({"a": 1}, "m")], ['{"a": 1}']),
        ([*said("m", "Here it is."), ended({"a": 1}, "n")], ["Here it is.", '{"a":1}']),
        ([ended("said at once", "m")], ["said at once"]),
        ([ended(None, None)], []),
    ],
)
def test_the_answer_is_told_once_also_when_it_is_structured(events: list[Event], texts: list[str]) -> None:
    found = told(log(*events))
    assert [item["content"][0]["text"] for item in items(found)] == texts


def test_what_this_wire_has_no_words_for_is_left_out() -> None:
    unknown = Stamped(3, RUN, "t", AT, "never.heard", b'{"type":"never.heard"}')
    events = log(
        Custom(name="x", data=1), AgentChanged(source="a", target="b"),
        FileAdded(message_id="m", file_id="f", name="n", media_type="t"), ended("", None),
    )  # fmt: skip
    found = told([*events[:2], unknown, *events[3:]])
    assert found.types == ["response.created", "response.in_progress", "response.completed"]


def test_a_failure_and_a_cancel_close_what_is_open() -> None:
    begun = [*said("m", "Wel")[:2], ToolCalled(call_id="c", name="look", arguments={})]
    failed = told(log(*begun, RunFailed(error=ErrorInfo(code="agent_failed", message="The agent failed."))))
    assert failed.types[-1] == "response.failed"
    assert [item["status"] for item in items(failed)] == ["incomplete", "incomplete"]
    assert failed.response is not None
    assert failed.response["error"] == {"code": "agent_failed", "message": "The agent failed."}
    stopped = told(log(*begun, RunCancelled(by="u")))
    assert stopped.response is not None
    assert (stopped.types[-1], stopped.response["status"]) == ("response.incomplete", "cancelled")


def test_usage_adds_up_over_the_calls_of_one_response() -> None:
    call = UsageReported(input_tokens=1, output_tokens=2, total_tokens=3)
    found = told(log(call, call, ended("", None)))
    assert found.response is not None
    assert found.response["usage"]["total_tokens"] == 6


@pytest.mark.contract("EVT-6")
@pytest.mark.parametrize(
    "back", [RunResumed(attempt=2, reason="recovered", drop_message_id="m"), MessageRetracted(message_id="m", reason="guard")]
)  # fmt: skip
def test_a_message_that_was_taken_back_ends_the_stream_and_a_new_read_leaves_it_out(back: Event) -> None:
    events = log(*said("m", "Hal", "f")[:3], back, *said("n", "Whole"), ended("Whole", "n"))
    live = Encoder(record())
    for event in events[:5]:
        live.feed(event)
    with pytest.raises(Gone):
        live.feed(events[5])
    found = told(events)
    assert found.text == "Whole"
    encoder = Encoder(record(), taken_back=retractions(events))
    for event in events:
        encoder.feed(event)
    assert encoder.rewritten_from == 2


def test_a_message_of_which_nothing_was_told_is_taken_back_in_silence() -> None:
    begun = MessageStarted(message_id="m", role="assistant")
    dropped = RunResumed(attempt=2, reason="recovered", drop_message_id="m")
    events = log(begun, dropped, *said("m", "Whole"), ended("Whole", "m"))
    live = Encoder(record())
    frames = [frame for event in events for frame in live.feed(event)]
    assert check_events(frames).text == "Whole"
    assert told(events).text == "Whole"
