"""Events of runs as chat completions: the stream, the whole answer, and that both say the same."""

import json
from typing import Any

import pytest

from landline.faces.openai.chat_calls import call_id
from landline.faces.openai.chat_encode import Completion, Shape, whole
from landline.faces.openai.wire import DONE, data_frame
from landline.model.errors import ErrorInfo, LandlineError
from landline.model.events import (
    AgentChanged,
    Custom,
    Event,
    FileAdded,
    GuardTripped,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    ReasoningDelta,
    RunCancelled,
    RunCompleted,
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
from landline.testing.faces.openai_chat import Transcript, check_chat, check_completion
from tests.faces import logs
from tests.faces.logs import BEGUN
from tests.faces.openai import RUN, asked, called, log, waiting

USED = UsageReported(input_tokens=3, output_tokens=2, total_tokens=5)


def said(text: str, id_: str = "m") -> list[Event]:
    middle = len(text) // 2
    return logs.said(id_, text[:middle], text[middle:])


def completed(output: Any = "Hello", id_: str = "m") -> RunCompleted:
    return logs.completed(output, id_)


def shape(**given: Any) -> Shape:
    return Shape(model="notes", call_id=call_id, **given)


def streamed(events: list[Stamped], told: Shape) -> bytes:
    completion, sent = Completion(told), b""
    for event in events:
        sent += b"".join(map(data_frame, completion.take(event)))
    completion.end()
    return sent + DONE


def gathered(events: list[Stamped], told: Shape) -> dict[str, Any]:
    return whole(told, events)


def both(*events: Event, first: int = 1, **given: Any) -> Transcript:
    """Return what the stream adds up to, having seen that the whole answer says the same."""
    stamped = log(*BEGUN, *events) if first == 1 else log(*events, first=first)
    told = shape(after=first - 1, **given)
    stream = check_chat(streamed(stamped, told), include_usage=told.include_usage)
    body = json.loads(json.dumps(whole(told, stamped)))
    one = check_completion(body)
    assert (one.content, one.reasoning, one.calls, one.finish_reason, one.citations) == (
        stream.content,
        stream.reasoning,
        stream.calls,
        stream.finish_reason,
        stream.citations,
    )
    assert {**stream.head, "object": "chat.completion"} == one.head
    assert stream.usage in (None, one.usage)
    return one


@pytest.mark.contract("FACE-6", "FACE-17")
def test_the_whole_transcript_of_an_answer() -> None:
    stamped = log(*BEGUN, *said("Hello"), USED, completed())
    head = f'data: {{"id":"chatcmpl-{RUN}","object":"chat.completion.chunk","created":1795248000,"model":"notes",'

    def choice(delta: str, finish: str = "null") -> str:
        return f'"choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"usage":null}}\n\n'

    expected = "".join(
        [
            head + choice('{"role":"assistant","content":"","refusal":null}'),
            head + choice('{"content":"He"}'),
            head + choice('{"content":"llo"}'),
            head + choice("{}", '"stop"'),
            head + '"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n',
            "data: [DONE]\n\n",
        ]
    )
    assert streamed(stamped, shape(include_usage=True)).decode() == expected
    assert streamed(stamped, shape(include_usage=True)).decode() == expected, "the same log, the same bytes"


@pytest.mark.contract("FACE-6", "FACE-17")
def test_several_messages_reasoning_and_the_agents_own_tools() -> None:
    told = both(
        MessageStarted(message_id="a", role="assistant"),
        ReasoningDelta(message_id="a", delta="Hm"),
        ReasoningDelta(message_id="a", delta="m."),
        TextDelta(message_id="a", delta="Let me see."),
        MessageCompleted(message_id="a", text="Let me see."),
        ToolCalled(call_id="1", name="add", arguments={"a": 1}),
        ToolCalled(call_id="2", name="add", arguments={"a": 2}),
        ToolProgress(call_id="1", message="half", fraction=0.5),
        ToolFailed(call_id="2", error=ErrorInfo(code="tool_error", message="no")),
        ToolCompleted(call_id="1", result=3),
        AgentChanged(source="notes", target="other"),
        GuardTripped(guard="g", stage="input", action="flag"),
        Custom(name="x", data={"y": 1}),
        MessageStarted(message_id="e", role="assistant"),
        MessageCompleted(message_id="e", text=""),
        MessageStarted(message_id="b", role="assistant"),
        ReasoningDelta(message_id="b", delta="Right."),
        TextDelta(message_id="b", delta="Three."),
        SourceAdded(message_id="b", title="t"),
        SourceAdded(message_id="b", title="Counting", url="https://example.org/"),
        FileAdded(message_id="b", file_id="f", name="n", media_type="text/plain"),
        MessageCompleted(message_id="b", text="Three."),
        USED,
        USED,
        completed("Three.", "b"),
        include_usage=True,
    )
    assert told.content == "Let me see.\n\nThree."
    assert told.reasoning == "Hmm.\n\nRight."
    (cited,) = told.citations
    place = cited["url_citation"]
    assert told.content[place["start_index"] : place["end_index"]] == "Three."
    assert (place["url"], place["title"]) == ("https://example.org/", "Counting")
    assert (told.calls, told.finish_reason) == ([], "stop")
    assert told.usage == {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}


@pytest.mark.contract("FACE-6", "EVT-3")
def test_events_of_kinds_that_nobody_knows_are_passed_over() -> None:
    stamped = log(*BEGUN, *said("Hello"), completed())
    strange = Stamped(3, RUN, "t", stamped[0].at, "strange.kind", b'{"type":"strange.kind","message_id":"m"}')
    told = check_chat(streamed([*stamped[:2], strange, *stamped[2:]], shape()))
    assert told.content == "Hello"


@pytest.mark.contract("FACE-6")
@pytest.mark.parametrize(
    ("output", "content"), [({"n": 1}, '{"n":1}'), ([1], "[1]"), ("", ""), (None, ""), ("plain", "plain")]
)
def test_an_answer_without_text_is_the_runs_output(output: Any, content: str) -> None:
    assert both(completed(output)).content == content


@pytest.mark.contract("FACE-6")
def test_a_structured_answer_is_its_json_and_nothing_else() -> None:
    structured: list[Event] = [
        *said("Let me see.", "a"),
        MessageStarted(message_id="b", role="assistant"),
        OutputPartial(message_id="b", output={"n": 1}),
        OutputPartial(message_id="b", output={"n": 1, "s": "é"}),
        MessageCompleted(message_id="b", text='{"n":1,"s":"é"}'),
        completed({"n": 1, "s": "é"}, "b"),
    ]
    assert both(*structured, structured=True).content == '{"n":1,"s":"é"}'
    assert both(*structured).content == 'Let me see.\n\n{"n":1,"s":"é"}'


@pytest.mark.contract("FACE-6")
@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_a_call_that_was_demanded_is_the_structured_answer(finish: str) -> None:
    told = both(
        *said("Hm.", "a"),
        completed({"city": "Paris"}, "a"),
        structured=True,
        call="weather",
        call_finish=finish,
    )
    assert (told.content, told.finish_reason) == ("", finish)
    assert [(call.name, call.arguments) for call in told.calls] == [("weather", '{"city":"Paris"}')]


@pytest.mark.contract("FACE-6", "FACE-17")
def test_calls_of_the_clients_tools_end_the_answer() -> None:
    first, second = called("weather", {"city": "Paris"}), called("time", None, call_id="c2")
    told = both(*said("One moment."), USED, *waiting(first, second))
    assert (told.content, told.finish_reason) == ("One moment.", "tool_calls")
    assert [(call.name, call.arguments) for call in told.calls] == [
        ("weather", '{"city":"Paris"}'),
        ("time", "{}"),
    ]
    assert [call.id for call in told.calls] == [
        call_id(RUN, question.question_id) for _, question in (first, second)
    ]
    assert all(len(call.id) == 38 for call in told.calls)


@pytest.mark.contract("FACE-6")
def test_an_approval_beside_a_call_of_the_clients_is_not_told_as_one() -> None:
    ask = asked(kind="approval", tool="erase", call_id="c2", arguments={})
    told = both(*waiting(called("weather", {}), ask))
    assert [call.name for call in told.calls] == ["weather"]


@pytest.mark.contract("FACE-6")
def test_the_answer_after_the_results_says_nothing_twice() -> None:
    told = both(
        RunResumed(attempt=1, reason="answered"),
        ToolCalled(call_id="c1", name="weather", arguments={"city": "Paris"}),
        ToolCompleted(call_id="c1", result="sunny"),
        *said("Sunny.", "n"),
        completed("Sunny.", "n"),
        first=9,
    )
    assert (told.content, told.calls) == ("Sunny.", [])
    assert told.head["id"] == f"chatcmpl-{RUN}-8"


@pytest.mark.contract("FACE-6")
def test_a_repeat_ends_where_the_first_answer_ended() -> None:
    told = both(
        *said("Wait."), *waiting(called("weather", {})), RunResumed(attempt=1, reason="answered"), *said("Sunny.", "n"),
        completed("Sunny.", "n"),
    )  # fmt: skip
    assert (told.content, told.finish_reason) == ("Wait.", "tool_calls")


@pytest.mark.contract("FACE-6", "RUN-9")
@pytest.mark.parametrize("kind", ["approval", "choice", "input"])
def test_a_question_for_a_human_is_an_error_that_says_which_run_asks_what(kind: str) -> None:
    about = {"tool": "erase", "call_id": "c", "arguments": {"name": "milk"}} if kind == "approval" else {}
    question = asked(kind=kind, prompt="Erase milk?", **about)
    stamped = log(*BEGUN, *said("Let me see."), *waiting(question))
    for tell in (streamed, gathered):
        with pytest.raises(LandlineError) as raised:
            tell(stamped, shape())
        assert raised.value.code == "run_waiting"
        for word in (RUN, question[1].question_id, "Erase milk?", kind):
            assert word in raised.value.detail
    # Once it is answered, the same request gets the answer.
    told = both(
        *waiting(question), RunResumed(attempt=1, reason="answered"), *said("Erased.", "n"), completed()
    )
    assert told.content == "Erased."


@pytest.mark.contract("FACE-6", "EVT-5")
@pytest.mark.parametrize(
    "back",
    [
        MessageRetracted(message_id="m", reason="blocked"),
        RunResumed(attempt=2, reason="recovered", drop_message_id="m"),
    ],
)
def test_what_was_told_cannot_be_taken_back_but_the_whole_answer_is_right(back: Event) -> None:
    stamped = log(*BEGUN, *said("Wrong")[:3], back, *said("Right", "n"), completed("Right", "n"))
    with pytest.raises(LandlineError) as raised:
        streamed(stamped, shape())
    assert raised.value.code == "message_retracted"
    assert check_completion(whole(shape(), stamped)).content == "Right"
    # What was not told yet may go.
    silent = log(*BEGUN, said("Wrong")[0], back, *said("Right", "n"), completed("Right", "n"))
    assert check_chat(streamed(silent, shape())).content == "Right"


@pytest.mark.contract("FACE-6", "ADP-5")
@pytest.mark.parametrize(
    ("end", "code", "kind"),
    [
        (RunFailed(error=ErrorInfo(code="agent_error", message="It failed.")), "agent_error", "agent"),
        (RunFailed(error=ErrorInfo(code="guard_tripped", message="Blocked.")), "guard_tripped", "invalid"),
        (RunCancelled(by="local"), "run_cancelled", "conflict"),
    ],
)
def test_a_run_that_does_not_end_well_is_an_error(end: Event, code: str, kind: str) -> None:
    stamped = log(*BEGUN, *said("Hello")[:3], end)
    for tell in (streamed, gathered):
        with pytest.raises(LandlineError) as raised:
            tell(stamped, shape())
        assert (raised.value.code, raised.value.kind) == (code, kind)
