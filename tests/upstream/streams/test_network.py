"""One connection by itself: when it looks at a response, and in which order a reader is told what goes wrong."""

from typing import Any

import pytest

from landline.upstream.streams.network import MergingStream
from tests.upstream.streams.provider import HEAD
from tests.upstream.streams.wires import chat

REQUEST = b"POST /v1 HTTP/1.1\r\nhost: x\r\n\r\n"
PAIR = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in chat(["a", "b"], [], [])[1:3])


class Wire:
    """Gives what it is told, and raises what is an error."""

    def __init__(self, *given: bytes | Exception) -> None:
        self.given = list(given)

    async def read(self, *args: Any, **kwargs: Any) -> bytes:
        given = self.given.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    async def write(self, buffer: bytes, *args: Any, **kwargs: Any) -> None:
        pass

    async def aclose(self) -> None:
        pass

    async def start_tls(self, *args: Any, **kwargs: Any) -> "Wire":
        return self

    def get_extra_info(self, info: str) -> Any:
        return None


async def test_an_error_is_told_once_after_what_was_kept_back() -> None:
    stream = MergingStream(Wire(HEAD + b"4\r\ndata\r\n", OSError("gone"), b"later"))
    await stream.write(REQUEST)
    assert await stream.read(1) == HEAD
    assert await stream.read(1) == b"4\r\ndata\r\n"
    with pytest.raises(OSError, match="gone"):
        await stream.read(1)


async def test_an_end_is_told_after_what_was_kept_back() -> None:
    stream = MergingStream(Wire(HEAD + b"4\r\ndata\r\n", b"", b""))
    await stream.write(REQUEST)
    assert [await stream.read(1) for _ in range(3)] == [HEAD, b"4\r\ndata\r\n", b""]


@pytest.mark.parametrize(
    "before", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"]
)
async def test_a_head_is_found_however_it_is_cut(before: bytes) -> None:
    whole = before + HEAD
    for place in range(1, len(whole)):
        stream = MergingStream(Wire(whole[:place], whole[place:] + PAIR))
        await stream.write(REQUEST)
        assert await stream.read(1) == whole[:place]
        rest = await stream.read(1)
        assert rest.startswith(whole[place:])
        assert rest.count(b"data: ") == 1


@pytest.mark.parametrize(
    "written", [b"", b'{"model":"POST / HTTP/1.1"}', b"PUT /v1 HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"]
)
async def test_what_follows_no_request_for_a_stream_passes(written: bytes) -> None:
    stream = MergingStream(Wire(HEAD + PAIR))
    await stream.write(written)
    assert await stream.read(1) == HEAD + PAIR


async def test_the_next_request_begins_anew() -> None:
    plain = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
    stream = MergingStream(Wire(plain + PAIR, HEAD + PAIR + b"0\r\n\r\n", plain + PAIR))
    await stream.write(REQUEST)
    assert await stream.read(1) == plain + PAIR
    await stream.write(REQUEST)
    assert len(await stream.read(1)) < len(HEAD + PAIR)
    await stream.write(REQUEST)
    assert await stream.read(1) == plain + PAIR


async def test_tls_over_it_is_a_connection_of_its_own() -> None:
    inner = await MergingStream(Wire(HEAD + PAIR)).start_tls()
    await inner.write(REQUEST)
    assert len(await inner.read(1)) < len(HEAD + PAIR)
