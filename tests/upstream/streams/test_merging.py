"""Events that wait together become one; what anybody puts together from a stream is the same, however it was cut."""

import json
import re
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landline.upstream.streams.merging import Merging
from tests.upstream.streams.wires import PIECES, WIRES, anthropic, chat, cuts, google, responses

TEXTS = (["Hel", "lo", " wor", "ld"], ["hm", " hm"], ['{"a"', ":1", "}"])
TEXT = ("content", "reasoning_content", "arguments", "delta", "text", "thinking", "partial_json")
FILLERS = ("obfuscation", "sequence_number", "candidatesTokenCount", "totalTokenCount")


def passed(pieces: Sequence[bytes]) -> bytes:
    merging = Merging()
    return b"".join([merging.feed(piece) for piece in pieces]) + merging.flush()


def events(data: bytes) -> list[bytes]:
    gap = b"\r\n\r\n" if b"\r\n" in data else b"\n\n"
    return [event for event in data.split(gap) if event]


def _told(value: Any, name: str = "") -> tuple[Any, str | None]:
    """Return an event without its delta's text and without what counts on, and the text, None where it has none."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        told = {key: _told(inner, key) for key, inner in fields.items() if key not in FILLERS}
        said = [text for _, text in told.values() if text is not None]
        return {key: kept for key, (kept, _) in told.items()}, "".join(said) if said else None
    if isinstance(value, list):
        several = [_told(inner, name) for inner in cast("list[Any]", value)]
        said = [text for _, text in several if text is not None]
        return [kept for kept, _ in several], "".join(said) if said else None
    return (None, value) if name in TEXT and isinstance(value, str) else (value, None)


def story(data: bytes) -> list[Any]:
    """Return what a stream tells, by a way of its own: like neighbours are put together by decoding them."""
    told: list[tuple[bytes, Any, str | None]] = []
    for event in events(data):
        name, _, body = event.rpartition(b"data: ")
        rest, said = _told(json.loads(body)) if body.startswith(b"{") else (event, None)
        if told and said is not None and told[-1][:2] == (name, rest):
            said = (told.pop()[2] or "") + said
        told.append((name, rest, said))
    # Half an emoji and its other half are one, wherever they met.
    return [(n, r, t and t.encode("utf-16", "surrogatepass").decode("utf-16", "replace")) for n, r, t in told]


@pytest.mark.parametrize("wire", WIRES)
def test_what_waits_together_is_merged(wire: str) -> None:
    whole = WIRES[wire](*TEXTS)
    got = events(passed([b"".join(whole)]))
    # A text of four pieces, reasoning of two; arguments where they are streamed.
    assert len(got) <= len(whole) - 4
    assert story(b"".join(whole)) == story(passed([b"".join(whole)]))


@pytest.mark.parametrize("wire", WIRES)
def test_an_event_that_comes_alone_passes_byte_for_byte_at_once(wire: str) -> None:
    merging = Merging()
    for event in WIRES[wire](*TEXTS):
        assert merging.feed(event) is event


@pytest.mark.parametrize("wire", WIRES)
def test_the_story_is_the_same_for_every_single_cut(wire: str) -> None:
    whole = WIRES[wire](["é", "\ud83d", "\ude00"], ["x", "y"], ['{"k":', "1}"])
    data = b"".join([event for event in whole if len(event) < 420])
    told = story(data)
    cut = {passed([data[:place], data[place:]]) for place in range(len(data))}
    single = passed([data[place : place + 1] for place in range(len(data))])
    assert len(cut) > 5
    assert single == data
    assert all(story(got) == told for got in cut)


@pytest.mark.parametrize("wire", WIRES)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), text=PIECES, thought=PIECES, arguments=PIECES, ascii_only=st.booleans())
def test_the_story_is_the_same_for_all_texts_and_cuts(
    wire: str,
    data: st.DataObject,
    text: list[str],
    thought: list[str],
    arguments: list[str],
    ascii_only: bool,
) -> None:
    whole = b"".join(WIRES[wire](text, thought, arguments, ascii_only=ascii_only))
    places = data.draw(st.lists(st.integers(0, len(whole)), max_size=30))
    assert story(passed(cuts(whole, places))) == story(whole)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), wire=st.sampled_from(list(WIRES)), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_every_line_end_and_stray_line_keeps_the_story(data: st.DataObject, wire: str, end: bytes) -> None:
    whole = [event.replace(b"\r\n", b"\n") for event in WIRES[wire](*TEXTS)]
    stray = st.sampled_from(
        [b": keep-alive\n\n", b"\n", b"\xef\xbb\xbf", b"data: {\ndata: }\n\n", b"id: 1\n", b"retry: 5\n\n"]
    )
    for place in data.draw(st.lists(st.integers(0, len(whole)), max_size=4)):
        whole.insert(place, data.draw(stray))
    stream = b"".join(whole).replace(b"\n", end)
    got = passed(cuts(stream, data.draw(st.lists(st.integers(0, len(stream)), max_size=20))))
    assert got == stream if end == b"\r" else story(got) == story(stream)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60) | st.sampled_from(chat(*TEXTS)), max_size=12))
def test_bytes_of_any_other_kind_are_the_same(pieces: list[bytes]) -> None:
    others = [piece.replace(b"data", b"dato") for piece in pieces]
    assert passed(others) == b"".join(others)


@pytest.mark.parametrize(
    "change",
    [
        ('"logprobs":null', '"logprobs":{"content":[{"token":"a"}]}'),
        ('"index":0', '"index":1'),
        ('"content":"', '"role":"assistant","content":"'),
        ('"usage":null', '"usage":{"total_tokens":1}'),
        ('"usage":null', '"usage":null,"x_new":1'),
        ('"content":"', '"refusal":"no","content":"'),
        (
            '"choices":[',
            '"choices":[{"index":1,"delta":{"content":"z"},"logprobs":null,"finish_reason":null},',
        ),
        ('"finish_reason":null', '"finish_reason":"stop"'),
        ('"id":"chatcmpl-1"', '"id":"chatcmpl-1","id":"chatcmpl-1"'),
        ("data: ", "id: 7\ndata: "),
        ("data: ", "event: error\ndata: "),
    ],
)
def test_what_is_not_known_exactly_passes_untouched(change: tuple[str, str]) -> None:
    whole = [event.decode().replace(*change).encode() for event in chat(["a", "b", "c"], [], [])[1:4]]
    if change == ('"index":0', '"index":1'):
        # A choice of its own is one choice: these may be merged, but not with another one's.
        whole = [whole[0], chat(["b"], [], [])[1], whole[2]]
    assert passed([b"".join(whole)]) == b"".join(whole)


@pytest.mark.parametrize(
    "name", ["response.refusal.delta", "response.audio.delta", "response.new_thing.delta"]
)
def test_deltas_of_other_kinds_pass_untouched(name: str) -> None:
    whole = b"".join(responses(*TEXTS)).replace(b"response.output_text.delta", name.encode())
    kept = [event for event in events(whole) if name.encode() in event]
    assert [event for event in events(passed([whole])) if name.encode() in event] == kept


def said(whole: Sequence[bytes], *, warm: bool) -> list[str]:
    """Return the texts of what is given for events that wait together; `warm`: the stream's shape is known already."""
    merging = Merging()
    if warm:
        merging.feed(b"".join(_plain(["x", "y"], ascii_only=True)))
    got = [json.loads(event[6:])["choices"] for event in events(merging.feed(b"".join(whole)))]
    return [choices[0]["delta"]["content"] for choices in got]


def _plain(texts: Sequence[str], *, ascii_only: bool) -> list[bytes]:
    whole = chat(texts, [], [], ascii_only=ascii_only)[1 : 1 + len(texts)]
    return [re.sub(rb',"obfuscation":"x*"', b"", event) for event in whole]


@pytest.mark.parametrize("piece", ["<think>", "</think>", "<", "[THINK]", "◁think▷", "|x|"])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("warm", [True, False])
def test_what_may_be_a_tag_stays_a_piece_of_its_own(piece: str, ascii_only: bool, warm: bool) -> None:
    texts = ["a", "b", piece, "c", "d"]
    assert said(_plain(texts, ascii_only=ascii_only), warm=warm) == ["ab", piece, "cd"]
    assert said(_plain(texts[2:], ascii_only=ascii_only), warm=warm) == [piece, "cd"]


@pytest.mark.parametrize("warm", [True, False])
def test_a_tag_is_not_made_of_pieces(warm: bool) -> None:
    assert said(_plain(["<", "think", ">"], ascii_only=True), warm=warm) == ["<", "think>"]


@pytest.mark.parametrize("blank", [" ", "\n\n", "\t", "\u3000", "\u00a0", ""])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("warm", [True, False])
def test_white_space_before_the_first_word_stays_by_itself(blank: str, ascii_only: bool, warm: bool) -> None:
    texts = [blank, "a", blank, "b"]
    assert said(_plain(texts, ascii_only=ascii_only), warm=warm) == [blank, f"a{blank}b"]


@pytest.mark.parametrize("text", ['a"b', "a\\", "\n", "é", "😀", "\u2028", "a\ud83d"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_hard_texts_are_joined_as_they_stand(text: str, ascii_only: bool) -> None:
    assert said(_plain(["x", text, "y", text], ascii_only=ascii_only), warm=True) == [f"x{text}y{text}"]


def test_halves_of_an_emoji_meet_in_one_string() -> None:
    got = passed([b"".join(anthropic(["a\ud83d", "\ude00b"], [], []))])
    assert rb'"text":"a\ud83d\ude00b"' in got


def test_counts_and_numbers_are_the_last_ones() -> None:
    assert b'"candidatesTokenCount": 3' in passed(
        [b"".join(google(["a", "b", "c", "d"], [], [])[:4])]
    ).replace(b":3", b": 3")
    merged = passed([b"".join(responses(["a", "b", "c"], [], []))])
    event = next(e for e in events(merged) if b'"delta":"abc"' in e)
    numbers = [json.loads(e.partition(b"data: ")[2])["sequence_number"] for e in events(merged)]
    assert numbers == sorted(set(numbers))
    assert json.loads(event.partition(b"data: ")[2])["sequence_number"] == 9


def test_a_long_unfinished_event_is_not_kept_back() -> None:
    merging = Merging()
    big = b"data: " + b"x" * 300_000
    assert merging.feed(big) == big
    rest = b"".join(chat(*TEXTS))
    assert merging.feed(rest) == rest


def test_a_line_that_has_ended_is_not_kept_back() -> None:
    merging = Merging()
    assert merging.feed(b": ping\nda") == b": ping\n"
    assert merging.feed(b"ta: 1\n") == b"data: 1\n"
    assert merging.feed(b"\n") == b"\n"


def test_an_event_whose_beginning_has_passed_is_not_merged() -> None:
    merging = Merging()
    one, two = chat(["a", "b"], [], [])[1:3]
    assert merging.feed(b"event: other\n") == b"event: other\n"
    assert merging.feed(one + two) == one + two


def test_a_stream_of_strangers_is_soon_let_alone() -> None:
    merging = Merging()
    stranger = b'data: {"new":1}\n\n'
    merging.feed(stranger * 70)
    rest = b"".join(chat(*TEXTS))
    assert merging.feed(rest) == rest


def test_two_texts_in_one_event_are_not_told_apart_by_us() -> None:
    both = [
        event.replace(b'"content":', b'"reasoning_content":"r","content":')
        for event in _plain("ab", ascii_only=True)
    ]
    assert passed([b"".join(both)]) == b"".join(both)


@pytest.mark.parametrize("event", [b"data: 1\r\r", b"data: 1\n\r\n", b"data: 1\r\n\n", b"data: 1\n\r"])
def test_an_event_that_ends_in_another_way_does_not_wait(event: bytes) -> None:
    merging = Merging()
    assert merging.feed(event) + merging.feed(b"\rdata") == event + b"\rdata"
    assert Merging().feed(event + b"data: 2") == event + b"data: 2"
