"""What is remembered of one stream serves the next, and never its constants; joining costs few calls, however much is joined."""

import json
import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landline.upstream.streams.merging import Merging
from tests.upstream.streams.test_merging import events, passed, story
from tests.upstream.streams.wires import WIRES, anthropic, chat

WORDS = [f"w{n}" for n in range(16)]


class Calls:
    """How many calls were made, those of C code included."""

    count = 0

    def note(self, _: FrameType, event: str, __: Any) -> None:
        self.count += event in ("call", "c_call")


def calls_of(merging: Merging, data: bytes) -> int:
    calls = Calls()
    before = sys.getprofile()
    sys.setprofile(calls.note)
    try:
        merging.feed(data)
    finally:
        sys.setprofile(before)
    return calls.count


def of_stream(number: int, data: bytes) -> bytes:
    return data.replace(b'"chatcmpl-1"', b'"chatcmpl-%d"' % number).replace(
        b"1790000000", b"179%07d" % number
    )


@pytest.mark.contract("PRF-3")
def test_a_turn_that_comes_at_once_costs_few_calls() -> None:
    # About 160 in November 2026, five of them for each word; 1,600 when each stream learned all by itself.
    turn = b"".join(event for event in chat(WORDS, [], []) if b"tool_calls" not in event)
    for number in (1, 2):
        calls = calls_of(Merging(), of_stream(number, turn))
    assert calls < 300


@pytest.mark.contract("PRF-3")
@pytest.mark.parametrize("text", ["word ", 'a "quoted"\n', "é\u3000"])
@pytest.mark.parametrize("wire", WIRES)
def test_what_is_joined_costs_no_call_for_each_event(wire: str, text: str) -> None:
    said = json.dumps(text).encode()
    run = [event for event in WIRES[wire]([text] * 200, [], []) if said in event]
    assert len(run) == 200
    merging = Merging()
    merging.feed(run[0] + run[1])
    assert calls_of(merging, b"".join(run[:100])) < 80
    few, many = (calls_of(merging, b"".join(run[:size])) for size in (20, 200))
    assert few == many


def test_a_stream_that_is_like_an_earlier_one_keeps_its_own_constants() -> None:
    one, two = (of_stream(number, b"".join(chat(["a", "b"], ["c", "d"], ["{", "}"]))) for number in (7, 8))
    assert passed([one]).replace(b"chatcmpl-7", b"chatcmpl-8").replace(
        b"1790000007", b"1790000008"
    ) == passed([two])


def test_events_of_two_streams_are_never_joined() -> None:
    said = [
        event for event in chat(["a", "b", "c"], [], []) if b'"content":"' in event and b"role" not in event
    ]
    mixed = [of_stream(number, event) for event in said for number in (1, 2)]
    passed([b"".join(said)])
    assert passed([b"".join(mixed)]) == b"".join(mixed)


@pytest.mark.parametrize(
    "text",
    [
        "content_block_delta",
        "response.output_text.delta",
        "0",
        '"0"',
        ':"x"',
        '","usage":{"x":1},"y":"',
        '"},"logprobs":null,"finish_reason":"stop"}]',
        '\n\n{"id":"chatcmpl-1"}',
        "\\",
        '\\"',
        ": 5",
    ],
)
@pytest.mark.parametrize("wire", ["anthropic", "chat", "responses", "google"])
def test_a_text_that_looks_like_the_wire_is_joined_like_any_other(wire: str, text: str) -> None:
    whole = WIRES[wire](["a", text, "b"], [], [])
    first = WIRES[wire]([text, "b", text], [], [])
    for stream in (whole, first):
        got = passed([b"".join(stream)])
        assert story(got) == story(b"".join(stream))
        assert len(events(got)) == len(stream) - 2


@pytest.mark.parametrize(
    "change",
    [
        (b'"id":"chatcmpl-1"', b'"":{"id":"chatcmpl-1"}'),
        (b'"choices":[', b'"choices.0.index":0,"choices":['),
        (b'"choices":[', b'"a:5":1,"choices":['),
        (b'"choices":[', b'"a:":"x","choices":['),
        (b'"index":0', b'"index":0,"ind\\u0065x":0'),
        (b'"usage":null', b'"usage":null,"usage":null'),
        (b'"model":"gpt-6"', b'"model":NaN'),
        (b'"model":"gpt-6"', b'"model":01'),
        (b'"model":"gpt-6"', b'"model":["gpt-6"]'),
        (b'"model":"gpt-6"', b'"model":"gpt-6\\x"'),
        (b'"model":"gpt-6"', b'"model":"gpt-6" "x"'),
        (b'"content":', b'"content":' + b"[" * 5000),
    ],
)
def test_names_and_values_that_are_none_of_ours_pass_untouched(change: tuple[bytes, bytes]) -> None:
    whole = b"".join(chat(["a", "b", "c"], [], [])[1:4])
    assert len(events(passed([whole]))) == 1
    assert passed([whole.replace(*change)]) == whole.replace(*change)


def test_a_byte_that_we_put_between_values_is_not_taken_for_ours() -> None:
    said = anthropic(["a", "b", "c", "d"], [], [])
    run = [event for event in said if b'"text_delta"' in event]
    for byte in (b"\x00", b"\x01"):
        merging = Merging()
        merging.feed(run[0] + run[1])
        whole = b"".join(
            event.replace(b'"b"', b'"b%b"' % byte).replace(b'"c"', b'"%bc"' % byte) for event in run
        )
        assert merging.feed(whole) == whole


@settings(max_examples=60, deadline=None)
@given(data=st.data(), texts=st.lists(st.text(max_size=5), min_size=2, max_size=6), space=st.booleans())
def test_fields_may_stand_in_any_order(data: st.DataObject, texts: list[str], space: bool) -> None:
    order = data.draw(st.permutations(["id", "created", "choices", "usage", "obfuscation"]))
    inner = data.draw(st.permutations(["index", "delta", "finish_reason"]))
    whole: list[bytes] = []
    for place, text in enumerate(texts):
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        fields = {
            "id": "x",
            "created": 1,
            "choices": [{name: choice[name] for name in inner}],
            "usage": None,
            "obfuscation": "o" * place,
        }
        ordered = {name: fields[name] for name in order}
        whole.append(
            b"data: " + json.dumps(ordered, separators=None if space else (",", ":")).encode() + b"\n\n"
        )
    got = passed([b"".join(whole)])
    assert story(got) == story(b"".join(whole))
    if all(text[:1].isalnum() for text in texts):
        assert len(events(got)) == 1
