"""Chunks are opened and closed again such that an HTTP parser of somebody else's reads the same events."""

import json

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landline.upstream.streams.framing import Body, Chunked, ToTheEnd, body_of
from tests.upstream.streams.test_merging import TEXTS, story
from tests.upstream.streams.wires import chat, cuts

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked"


def chunked(pieces: list[bytes]) -> bytes:
    return b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def parsed(pieces: list[bytes]) -> tuple[bytes, bool]:
    """Return what h11, which httpx stands on, makes of a body, and whether it ended as it should."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="POST", target="/", headers=[("host", "x"), ("content-length", "0")]))
    parser.send(h11.EndOfMessage())
    got = b""
    try:
        for piece in [HEAD + b"\r\n\r\n", *pieces, b""]:
            parser.receive_data(piece)
            while (event := parser.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.Data):
                    got += bytes(event.data)
                if isinstance(event, h11.EndOfMessage):
                    return got, True
    except h11.RemoteProtocolError:
        pass
    return got, False


def rewritten(body: Body, pieces: list[bytes]) -> list[bytes]:
    return [given for given in [*(body.feed(piece) for piece in pieces), body.flush()] if given]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_parser_reads_the_same_events_however_chunks_and_reads_are_cut(data: st.DataObject) -> None:
    stream = b"".join(chat(["é", "lo", '"', "x"], ["a", "b"], ['{"k"', ":1}"]))
    sent = chunked(cuts(stream, data.draw(st.lists(st.integers(0, len(stream)), max_size=12))))
    reads = cuts(sent, data.draw(st.lists(st.integers(0, len(sent)), max_size=12)))
    got, whole = parsed(rewritten(Chunked(), reads))
    assert whole
    assert story(got) == story(stream)


def test_every_single_cut_and_single_bytes_give_the_same_events() -> None:
    events = chat(["a", "b"], [], [])[1:4]
    sent = chunked(events)
    told = story(b"".join(events))
    for place in range(len(sent)):
        got, whole = parsed(rewritten(Chunked(), [piece for piece in (sent[:place], sent[place:]) if piece]))
        assert whole
        assert story(got) == told
    got, whole = parsed(rewritten(Chunked(), [sent[place : place + 1] for place in range(len(sent))]))
    assert whole
    assert got == b"".join(events)


def test_a_chunk_of_one_event_is_not_touched_at_all() -> None:
    body = Chunked()
    for event in chat(*TEXTS):
        chunk = b"%04x\r\n%b\r\n" % (len(event), event)
        assert body.feed(chunk) is chunk
    assert body.feed(b"0\r\n\r\n") == b"0\r\n\r\n"


@settings(max_examples=150, deadline=None)
@given(data=st.data(), harm=st.binary(min_size=1, max_size=4))
def test_frames_that_are_wrong_are_for_the_parser_to_refuse(data: st.DataObject, harm: bytes) -> None:
    events = chat(["a", "b", "c"], [], [])
    sent = chunked(events)
    place = data.draw(st.integers(0, len(sent)))
    broken = sent[:place] + harm + sent[place:]
    reads = cuts(broken, data.draw(st.lists(st.integers(0, len(broken)), max_size=6)))
    _, whole = parsed(reads)
    _, whole_too = parsed(rewritten(Chunked(), reads))
    assert whole_too == whole


@pytest.mark.parametrize("line", [b"5;name=value", b"+5", b"0x5", b" 5", b"1_0", b"", b"123456789", b"g"])
def test_what_is_no_plain_size_is_passed_on_as_it_is(line: bytes) -> None:
    body = Chunked()
    rest = line + b"\r\nhello\r\n5\r\nworld\r\n"
    assert body.feed(rest) == rest
    assert body.feed(b"more") == b"more"


def test_a_body_that_breaks_off_gives_what_was_there() -> None:
    event = chat(["a"], [], [])[1]
    sent = chunked([event])[: -len(b"0\r\n\r\n") - 10]
    got, whole = parsed(rewritten(Chunked(), [sent]))
    assert not whole
    assert event.startswith(got)
    assert parsed([sent])[0] == got


def test_trailers_and_what_follows_the_body_pass() -> None:
    body = Chunked()
    assert body.feed(b"0\r\nx-sum: 1\r\n\r\nHTTP/1.1") == b"0\r\nx-sum: 1\r\n\r\nHTTP/1.1"


def test_a_body_without_a_frame_is_merged_to_its_end() -> None:
    events = chat(["a", "b"], [], [])[1:3]
    body = ToTheEnd()
    got = body.feed(b"".join(events) + b"data: [DO") + body.flush()
    assert json.loads(got.split(b"\n\n")[0][6:])["choices"][0]["delta"]["content"] == "ab"
    assert got.endswith(b"data: [DO")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (HEAD, Chunked),
        (HEAD.replace(b"; charset=utf-8", b""), Chunked),
        (HEAD.replace(b"\r\nTransfer-Encoding: chunked", b""), ToTheEnd),
        (HEAD.replace(b"200", b"429"), None),
        (HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"), None),
        (HEAD.replace(b"text/event-stream", b"application/json"), None),
        (HEAD.replace(b"utf-8", b"latin-1"), None),
        (HEAD + b"\r\nContent-Encoding: gzip", None),
        (HEAD.replace(b"chunked", b"gzip, chunked"), None),
        (HEAD + b"\r\nContent-Length: 5", None),
        (HEAD + b"\r\nContent-Type: text/plain", None),
        (HEAD + b"\r\n folded", None),
        (b"", None),
    ],
)
def test_only_streams_of_events_that_nobody_packed_are_looked_at(head: bytes, kind: type | None) -> None:
    body = body_of(head)
    assert (type(body) if body is not None else None) is kind


def test_a_chunk_that_is_not_closed_is_an_error_for_the_parser() -> None:
    events = chat(["a", "b"], [], [])
    sent = chunked(events[:2]).replace(b"\n\n\r\n", b"\n\nXX", 1)
    assert not parsed([sent])[1]
    for place in range(1, len(sent)):
        assert not parsed(rewritten(Chunked(), [sent[:place], sent[place:]]))[1]


def test_a_line_without_an_end_comes_before_the_end_of_the_body() -> None:
    body = Chunked()
    assert body.feed(b"4\r\ndata\r\n") == b""
    assert body.feed(b"0\r\n\r\n") == b"4\r\ndata\r\n0\r\n\r\n"
