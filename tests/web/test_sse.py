"""The SSE writer against a scripted ASGI line: heartbeats, drain, slow readers, errors, goodbyes."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from landline.model.errors import StorageFailed
from landline.model.events import Stamped, TextDelta, stamp
from landline.web.door import Door
from landline.web.drain import Drain
from landline.web.sse import CLOSING, HEARTBEAT, EventStream, frame, frames
from tests.faces.fakes import FakeAuthenticator


def event(seq: int, delta: str = "a") -> Stamped:
    return stamp(TextDelta(message_id="m", delta=delta), seq=seq, run_id="r", thread_id="t", at="now")


class Line:
    """An ASGI connection whose client reads, stalls or leaves as the test says."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.aborted = False
        self.scope: dict[str, Any] = {
            "type": "http",
            "extensions": {"landline.abort": {"call": lambda: setattr(self, "aborted", True)}},
        }

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        self.sent.append(message)
        self.arrived.set()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.sent)

    @property
    def complete(self) -> bool:
        return self.sent[-1].get("more_body") is False

    async def until(self, data: bytes) -> None:
        async with asyncio.timeout(5):
            while data not in self.body:
                self.arrived.clear()
                await self.arrived.wait()


def door(**given: Any) -> Door:
    return Door(authenticator=FakeAuthenticator(), **given)


async def pieces(
    *batches: Sequence[Stamped], then: Callable[[], Awaitable[Any]] | None = None
) -> AsyncIterator[bytes]:
    for batch in batches:
        yield frames(batch)
    if then is not None:
        await then()


async def forever() -> None:
    await asyncio.Event().wait()


async def run(stream: EventStream, line: Line) -> None:
    async with asyncio.timeout(5):
        await stream(line.scope, line.receive, line.send)


@pytest.mark.contract("WIRE-2")
async def test_a_frame_is_id_event_and_the_logs_own_bytes() -> None:
    one = event(7, "line\nbreak")
    lines = frame(one).decode().split("\n")
    assert lines[0] == "id: 7"
    assert lines[1] == "event: text.delta"
    assert json.loads(lines[2].removeprefix("data: ")) == json.loads(one.wire)
    assert lines[3:] == ["", ""]


async def test_a_batch_shared_by_readers_is_built_once() -> None:
    batch = [event(1), event(2)]
    assert frames(batch) is frames(batch)
    assert frames(batch) == frame(batch[0]) + frame(batch[1])
    grown = frames(batch)
    batch.append(event(3))
    assert frames(batch) != grown


@pytest.mark.contract("FACE-15")
async def test_a_stream_has_the_headers_that_keep_proxies_from_holding_it_back() -> None:
    line = Line()
    await run(EventStream(pieces([event(1)]), door=door()), line)
    headers = dict(line.sent[0]["headers"])
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert b"no-store" in headers[b"cache-control"]
    assert headers[b"x-accel-buffering"] == b"no"
    assert line.body == frame(event(1))
    assert line.complete


@pytest.mark.contract("FACE-15")
async def test_silence_is_filled_with_comments() -> None:
    line = Line()
    task = asyncio.create_task(
        run(EventStream(pieces([event(1)], then=forever), door=door(heartbeat_s=0.02)), line)
    )
    await line.until(HEARTBEAT + HEARTBEAT)
    line.gone.set()
    await task
    assert line.body.startswith(frame(event(1)) + HEARTBEAT)


@pytest.mark.contract("REL-4", "FACE-15")
async def test_drain_ends_a_stream_with_a_retry_hint_and_no_id() -> None:
    drain, line = Drain(), Line()
    left: list[bool] = []

    async def gone() -> None:
        left.append(True)

    stream = EventStream(pieces([event(1)], then=forever), door=door(drain=drain), on_gone=gone)
    task = asyncio.create_task(run(stream, line))
    await line.until(frame(event(1)))
    drain.start()
    await task
    assert line.body == frame(event(1)) + CLOSING
    assert b"id:" not in CLOSING
    assert line.complete
    assert not left


@pytest.mark.contract("REL-4")
async def test_a_stream_that_begins_while_draining_says_goodbye_at_once() -> None:
    drain, line = Drain(), Line()
    drain.start()
    await run(EventStream(pieces([event(1)], then=forever), door=door(drain=drain)), line)
    assert line.body == CLOSING


@pytest.mark.contract("REL-4")
async def test_a_face_says_goodbye_in_its_own_words() -> None:
    drain, line = Drain(), Line()
    drain.start()
    stream = EventStream(pieces([event(1)], then=forever), door=door(drain=drain), closing=b"data: bye\n\n")
    await run(stream, line)
    assert line.body == b"data: bye\n\n"


@pytest.mark.contract("REL-10")
async def test_a_reader_that_takes_nothing_is_dropped() -> None:
    line = Line()
    stream = EventStream(pieces([event(1)], [event(2)], then=forever), door=door(send_timeout_s=0.05))
    task = asyncio.create_task(run(stream, line))
    await line.until(b"id: 2")
    assert not line.aborted
    stalled = EventStream(pieces([event(1)], then=forever), door=door(send_timeout_s=0.05))
    stuck = Line()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            stuck.reads.clear()
        await stuck.send(message)

    async with asyncio.timeout(5):
        await stalled(stuck.scope, stuck.receive, send)
    assert stuck.aborted
    line.gone.set()
    await task


@pytest.mark.contract("RUN-2")
async def test_a_client_that_leaves_is_noticed_while_nothing_is_sent() -> None:
    line, left = Line(), asyncio.Event()
    closed = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            yield frames([event(1)])
            await forever()
        finally:
            closed.set()

    async def gone() -> None:
        left.set()

    task = asyncio.create_task(run(EventStream(source(), door=door(), on_gone=gone), line))
    await line.until(frame(event(1)))
    line.gone.set()
    await task
    assert left.is_set()
    assert closed.is_set()


@pytest.mark.contract("EVT-8", "WIRE-4")
async def test_a_failure_in_mid_stream_is_a_last_frame_with_a_safe_problem() -> None:
    async def fails() -> None:
        raise StorageFailed("The disk is full.")

    async def breaks() -> None:
        raise ValueError("secret dsn")

    for then, code in ((fails, "storage_failed"), (breaks, "internal")):
        line = Line()
        await run(EventStream(pieces([event(1)], then=then), door=door()), line)
        _, last = line.body.decode().split("event: error\ndata: ")
        assert json.loads(last)["code"] == code
        assert "secret" not in last
        assert "id:" not in last
        assert line.complete


async def test_a_source_that_raises_a_timeout_of_its_own_is_no_slow_reader() -> None:
    async def slow() -> None:
        raise TimeoutError

    line = Line()
    await run(EventStream(pieces(then=slow), door=door()), line)
    assert b"event: error" in line.body
    assert not line.aborted
