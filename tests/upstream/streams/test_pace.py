"""In a loop that does not keep up, streams share each pass with what starts and commits (PRF-2)."""

import asyncio
import gc
import time
import weakref

import httpcore
import pytest

from landline.upstream.streams import pace
from landline.upstream.streams.connection import Connection

STREAMS = 160
WORK_S = 0.001
LATER = 4
"""Passes until a pass is known to be too long."""


class Passes:
    """Counts the passes of the loop while the block runs."""

    def __init__(self) -> None:
        self.count = 0
        self._handle: asyncio.Handle | None = None

    def _tick(self) -> None:
        self.count += 1
        self._handle = asyncio.get_running_loop().call_soon(self._tick)

    def __enter__(self) -> "Passes":
        self._handle = asyncio.get_running_loop().call_soon(self._tick)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._handle is not None
        self._handle.cancel()


@pytest.mark.contract("PRF-2")
async def test_a_start_is_behind_a_few_streams_in_each_pass_and_not_behind_all() -> None:
    turns: list[int] = []

    async def stream() -> None:
        await pace.give_way()
        time.sleep(WORK_S)  # noqa: ASYNC251 - what decoding takes of the loop
        turns.append(passes.count)

    with Passes() as passes:
        await asyncio.gather(*(stream() for _ in range(STREAMS)))
    each = [turns.count(number) for number in range(max(turns) + 1)]
    assert max(each[LATER:]) <= STREAMS / 8
    assert max(turns) - min(turns) <= 16
    assert turns == sorted(turns)


@pytest.mark.contract("PRF-2")
async def test_tokens_gather_while_others_have_their_turn() -> None:
    """A reader that waits takes all at once that came meanwhile."""

    def lost(_: Connection) -> None:
        raise AssertionError

    connection = Connection(httpcore, (b"http", b"x", 80), lost)
    connection.begin()
    connection.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")

    async def other() -> None:
        await pace.give_way()
        time.sleep(WORK_S)  # noqa: ASYNC251 - what decoding takes of the loop
        connection.data_received(b"1\r\nb\r\n")

    others = [asyncio.create_task(other()) for _ in range(STREAMS)]
    await asyncio.sleep(0)
    assert await connection.read(5, patient=True) == b"a" + b"b" * sum(one.done() for one in others)
    assert sum(one.done() for one in others) >= STREAMS / 2
    await asyncio.gather(*others)


async def test_in_a_loop_that_keeps_up_nobody_waits() -> None:
    with Passes() as passes:
        least = 100
        for _ in range(20):
            before = passes.count
            await pace.give_way()
            least = min(least, passes.count - before)
    assert least <= 2


async def test_a_reader_that_is_cancelled_keeps_nobody_back() -> None:
    async def stream() -> None:
        await pace.give_way()

    gone, stays = asyncio.create_task(stream()), asyncio.create_task(stream())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(stays, 1)


def test_a_loop_that_is_closed_is_forgotten() -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(pace.give_way())
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None
