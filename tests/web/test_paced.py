"""A large answer arrives whole, in pieces, and does not stay in memory for a reader that does not take it (REL-10)."""

import asyncio
import tempfile
from typing import Any

import pytest
from starlette.responses import Response

from landline.web.paced import LARGE_BYTES, PIECE_BYTES, Paced, paced

BODY = bytes(range(256)) * 4 * 1024
SCOPE: dict[str, Any] = {"type": "http"}


class Reader:
    """Takes what it is sent once it reads."""

    def __init__(self, *, reads: bool) -> None:
        self.got: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        if reads:
            self.reads.set()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            await self.reads.wait()
        self.got.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.got[1:])


async def nothing() -> Any:
    await asyncio.Event().wait()


def test_a_small_answer_stays_as_it_is() -> None:
    small = Response(b"a" * LARGE_BYTES)
    assert paced(small) is small


@pytest.mark.contract("REL-10")
async def test_a_large_answer_is_sent_in_pieces() -> None:
    reader = Reader(reads=True)
    answer = paced(Response(BODY, 201, {"x-a": "b"}))
    await answer(SCOPE, nothing, reader.send)
    assert reader.got[0]["status"] == 201
    assert (b"x-a", b"b") in reader.got[0]["headers"]
    assert reader.body == BODY
    assert max(len(message["body"]) for message in reader.got[1:]) <= PIECE_BYTES
    assert [message["more_body"] for message in reader.got[1:]][-2:] == [True, False]
    assert Paced.in_memory == 0


@pytest.mark.contract("REL-10")
async def test_what_a_reader_does_not_take_leaves_the_memory_and_arrives_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("landline.web.paced.PATIENCE_S", 0.01)
    reader, whole = Reader(reads=False), Response(BODY)
    answer = paced(whole)
    assert whole.body == b""
    sending = asyncio.create_task(answer(SCOPE, nothing, reader.send))
    async with asyncio.timeout(5):
        while not Paced.in_memory:  # noqa: ASYNC110 - nothing rings a bell
            await asyncio.sleep(0.001)
        while Paced.in_memory:  # noqa: ASYNC110 - nothing rings a bell
            await asyncio.sleep(0.01)
        reader.reads.set()
        await sending
    assert reader.body == BODY


@pytest.mark.contract("REL-10")
async def test_on_a_full_disk_it_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("landline.web.paced.PATIENCE_S", 0.01)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    reader = Reader(reads=False)
    sending = asyncio.create_task(paced(Response(BODY))(SCOPE, nothing, reader.send))
    await asyncio.sleep(0.1)
    assert Paced.in_memory == len(BODY)
    reader.reads.set()
    await sending
    assert reader.body == BODY
    assert Paced.in_memory == 0


@pytest.mark.contract("REL-10")
async def test_a_reader_that_is_cut_off_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landline.web.paced.PATIENCE_S", 0.01)
    sending = asyncio.create_task(paced(Response(BODY))(SCOPE, nothing, Reader(reads=False).send))
    await asyncio.sleep(0.1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert Paced.in_memory == 0
