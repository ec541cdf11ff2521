"""The tutorials' streams as pure functions of a log: whole transcripts, and what the strict checker refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from landline.faces.tutorials.encode import as_text
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
    AgentChanged,
    Custom,
    Event,
    FileAdded,
    MessageCompleted,
    MessageStarted,
    ReasoningDelta,
    SourceAdded,
    Stamped,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    UsageReported,
)
from landline.testing.faces.tutorials import (
    check_deltas,
    check_indexed,
    check_lesson,
    check_queries,
)
from tests.faces.tutorials_logs import BEGUN, HELLO, STRUCTURED, done, log, messages, said, told


@pytest.mark.contract("FACE-2", "FACE-17")
def test_the_lessons_stream_names_its_events() -> None:
    assert told(TextFrames(Lesson()), HELLO) == (
        "event: session\ndata: t1\n\n"
        "event: token\ndata: Hel\n\n"
        "event: token\ndata: lo\ndata: \n\n"
        "event: token\ndata: you\n\n"
        "event: done\ndata: 16\n\n"
    )
    assert check_lesson(told(TextFrames(Lesson()), HELLO)).text == "Hello\nyou"


@pytest.mark.contract("FACE-2", "FACE-17")
def test_the_second_style_has_deltas_and_the_final_text() -> None:
    assert told(TextFrames(Deltas()), HELLO) == (
        'data: {"delta":"Hel"}\n\ndata: {"delta":"lo\\n"}\n\ndata: {"delta":"you"}\n\n'
        'data: {"done":true,"final":"Hello\\nyou","session_id":"t1"}\n\n'
    )


@pytest.mark.contract("FACE-4", "FACE-17")
def test_the_patterns_streams() -> None:
    assert told(TextFrames(Tokens()), HELLO).endswith('data: {"token":"you"}\n\ndata: {"done":true}\n\n')
    assert told(TextFrames(Indexed()), HELLO) == (
        'id: r1:0:0\ndata: {"token":"Hel","index":0}\n\n'
        'id: r1:0:1\ndata: {"token":"lo\\n","index":1}\n\n'
        'id: r1:0:2\ndata: {"token":"you","index":2}\n\n'
        'id: r1:0:3\nevent: done\ndata: {"index":3}\n\n'
    )


@pytest.mark.contract("FACE-5", "FACE-17")
def test_the_sockets_messages() -> None:
    assert messages(HELLO) == [
        '{"type":"token","content":"Hel"}',
        '{"type":"token","content":"lo\\n"}',
        '{"type":"token","content":"you"}',
        '{"type":"complete","full_response":"Hello\\nyou"}',
    ]


@pytest.mark.contract("FACE-3", "FACE-17")
def test_the_banks_stream_has_the_ids_of_the_thread() -> None:
    assert told(QueryFrames(), log(*BEGUN, *said("m1", "Hi"), done("Hi"))) == (
        'event: message_created\ndata: {"event":"message_created","message":{"id":"u","role":"user"}}\n\n'
        'event: message_started\ndata: {"event":"message_started","message_id":"m1"}\n\n'
        'event: text_delta\ndata: {"event":"text_delta","message_id":"m1","token":"Hi"}\n\n'
        'event: message_complete\ndata: {"event":"message_complete","message_id":"m1"}\n\n'
        'event: done\ndata: {"event":"done"}\n\n'
    )


@pytest.mark.contract("FACE-3", "FACE-17")
def test_a_structured_answer_is_told_as_snapshots_to_the_bank_and_whole_to_the_lesson() -> None:
    asked = check_queries(told(QueryFrames(), STRUCTURED), structured=True)
    assert asked.messages == {"m1": ['{"advice":"Bl"}', '{"advice":"Block","risk":7}']}
    assert check_lesson(told(TextFrames(Lesson()), STRUCTURED)).pieces == ['{"advice":"Block","risk":7}']
    assert check_deltas(told(TextFrames(Deltas()), STRUCTURED)).text == '{"advice":"Block","risk":7}'


TOOLS: list[Event] = [
    ToolCalled(call_id="c1", name="a", arguments={}),
    ToolCalled(call_id="c2", name="b", arguments={}),
    ToolFailed(call_id="c2", error=ErrorInfo(code="x", message="no")),
    ToolCompleted(call_id="c1", result=1),
    UsageReported(input_tokens=1, output_tokens=1, total_tokens=2),
    AgentChanged(source="a", target="b"),
    SourceAdded(message_id="m1", title="A book"),
    FileAdded(message_id="m1", file_id="f", name="n", media_type="text/plain"),
    Custom(name="x", data=1),
]


@pytest.mark.contract("FACE-2", "FACE-3", "FACE-17")
def test_several_messages_are_one_text_with_an_empty_line_between() -> None:
    events = log(
        *BEGUN, *said("m1", "Let me see."), *TOOLS, *said("m2", "It is ", "5."), done("It is 5.", "m2")
    )
    assert check_deltas(told(TextFrames(Deltas()), events)).pieces == ["Let me see.", "\n\nIt is ", "5."]
    asked = check_queries(told(QueryFrames(), events))
    assert asked.messages == {"m1": ["Let me see."], "m2": ["It is ", "5."]}


@pytest.mark.contract("FACE-2", "FACE-17")
def test_messages_that_grow_at_once_are_told_one_after_the_other() -> None:
    first, second = said("m1", "one ", "two"), said("m2", "three ", "four")
    mixed = [event for pair in zip(first, second, strict=True) for event in pair]
    assert (
        check_deltas(told(TextFrames(Deltas()), log(*BEGUN, *mixed, done("x")))).text
        == "one two\n\nthree four"
    )


@pytest.mark.contract("FACE-2", "FACE-3")
def test_reasoning_and_what_this_build_does_not_know_are_skipped() -> None:
    events = log(
        *BEGUN,
        MessageStarted(message_id="m1", role="assistant"),
        ReasoningDelta(message_id="m1", delta="hmm"),
        TextDelta(message_id="m1", delta="Hi"),
        MessageCompleted(message_id="m1", text="Hi"),
        done("Hi"),
    )
    strange = Stamped(99, "r1", "t1", events[3].at, "of.tomorrow", b'{"type":"of.tomorrow"}')
    events.insert(4, strange)
    assert check_deltas(told(TextFrames(Deltas()), events)).text == "Hi"
    assert check_queries(told(QueryFrames(), events)).messages == {"m1": ["Hi"]}


@pytest.mark.contract("FACE-2", "FACE-3")
def test_an_answer_that_was_never_a_message_is_told_all_the_same() -> None:
    events = log(*BEGUN, done({"a": 1}, None))
    assert check_lesson(told(TextFrames(Lesson()), events)).text == '{"a":1}'
    assert check_queries(told(QueryFrames(), events)).messages == {}
    assert check_lesson(told(TextFrames(Lesson()), log(*BEGUN, done("", None)))).text == ""
    assert as_text(None) == ""


@pytest.mark.contract("FACE-17")
@pytest.mark.parametrize(
    "text", ["a\r\nb", "a\rb", "\r", "a\r", "\n", "\r\n\r\n", " a ", ": hb", "data: x", "é\u2028"]
)
def test_bare_text_arrives_byte_equal_but_for_carriage_returns(text: str) -> None:
    wanted = text.replace("\r\n", "\n").replace("\r", "\n")
    for cut in range(len(text) + 1):
        deltas = [part for part in (text[:cut], text[cut:]) if part]
        events = log(*BEGUN, *said("m1", *deltas), done(text))
        assert check_lesson(told(TextFrames(Lesson()), events)).text == wanted
        assert check_deltas(told(TextFrames(Deltas()), events)).text == text


@pytest.mark.contract("FACE-4", "EVT-4")
def test_a_listener_that_comes_back_after_any_frame_reads_the_rest() -> None:
    whole = told(TextFrames(Indexed()), HELLO)
    blocks = [f"{block}\n\n" for block in whole.split("\n\n")[:-1]]
    for seen in range(-1, len(blocks) - 1):
        rest = told(TextFrames(Indexed(seen=seen)), HELLO)
        assert rest == "".join(blocks[seen + 1 :])
        check_indexed(rest, after=seen)
    assert told(TextFrames(Indexed(seen=len(blocks) - 1)), HELLO) == ""


@pytest.mark.contract("EVT-1", "FACE-17")
@pytest.mark.parametrize("made", [Lesson, Deltas, Tokens, Indexed])
def test_the_same_log_is_the_same_bytes_however_it_comes(made: Callable[[], Any]) -> None:
    whole = told(TextFrames(made()), STRUCTURED)
    frames = TextFrames(made())
    assert b"".join(frame for event in STRUCTURED for frame in frames.take([event])).decode() == whole
