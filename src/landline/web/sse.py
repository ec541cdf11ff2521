"""Server-sent events: a small ASGI response that writes the log's own bytes (WIRE-2, FACE-15, REL-10).

The built-in responses of the framework know no drain, cut the socket without a word when the source raises, and queue
for a reader that does not read. This one writes a batch of frames with one send, waits for the socket before it asks for
more, drops a reader that takes nothing, and always says why it ends.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from landline.model.events import Stamped
from landline.web.door import Door
from landline.web.leases import revoked
from landline.web.paced import PIECE_BYTES
from landline.web.problems import problem_body, request_id
from landline.web.waiting import disconnected
from landline.web.within import Overdue, within

__all__ = [
    "CLOSING",
    "HEADERS",
    "HEARTBEAT",
    "EventStream",
    "SlowReader",
    "error_frame",
    "frame",
    "frames",
]

HEARTBEAT: Final = b": hb\n\n"
CLOSING: Final = b'retry: 1000\nevent: stream.closing\ndata: {"type":"stream.closing","reason":"drain"}\n\n'
"""Said on drain; without an id, so that a reader comes back to where it was."""

HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-store, no-transform",
    "x-accel-buffering": "no",
}
_GOODBYE_S: Final = 1.0
_CACHED_BATCHES: Final = 64
_CACHED_BYTES: Final = 32 * 1024

_logger = logging.getLogger("landline.web.sse")
_cache: OrderedDict[tuple[int, int], tuple[Sequence[Stamped], bytes]] = OrderedDict()


class SlowReader(Exception):
    """The reader took nothing for too long."""


class _ReaderLeft(Exception):
    """The server found the connection closed when it sent."""


def frame(event: Stamped) -> bytes:
    """Return one event as a frame; its id is its place in the log."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.type.encode(), event.wire)


def frames(batch: Sequence[Stamped]) -> bytes:
    """Return a batch as frames, built once for all readers that are handed the same batch."""
    if len(batch) == 1:
        return frame(batch[0])
    key = (id(batch), len(batch))
    found = _cache.get(key)
    if found is not None and found[0] is batch:
        return found[1]
    data = b"".join(map(frame, batch))
    if len(data) <= _CACHED_BYTES:
        # The entry holds the batch, so that its id cannot come to name another.
        _cache[key] = (batch, data)
        if len(_cache) > _CACHED_BATCHES:
            _cache.popitem(last=False)
    return data


def error_frame(error: Exception, scope: Scope) -> bytes:
    """Return the last frame of a stream that failed: the problem, without an id, so that the reader may come back."""
    body, _, _ = problem_body(error, request_id(scope))
    return b"event: error\ndata: %s\n\n" % body


class EventStream(Response):
    """Writes a source of byte pieces (each one or more whole frames) until it ends.

    `on_gone` is called when the client goes away before that; not when the server drains or drops a slow reader, who
    may both return. `closing` is said on drain, `error_frame` makes what is said when the source raises or the caller's
    credential stops holding.
    """

    media_type = "text/event-stream"
    stays_open = True
    """Holds a place under the limit on streams."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        *,
        door: Door,
        on_gone: Callable[[], Awaitable[Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        error_frame: Callable[[Exception, Scope], bytes] = error_frame,
        closing: bytes = CLOSING,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({**HEADERS, **(headers or {})})
        self._pieces = pieces
        self._door = door
        self._on_gone = on_gone
        self._error_frame = error_frame
        self._closing = closing
        self._lock = asyncio.Lock()
        self._wrote = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the stream."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        pump = asyncio.create_task(self._pump(send))
        gone = asyncio.create_task(disconnected(receive))
        unwatch = self._door.drain.watch(pump.cancel)
        lease = self._door.leases.hold(scope.get("state", {}).get("caller"), pump.cancel)
        try:
            await self._beat(pump, gone, send)
        except SlowReader:
            return _abort(scope)
        except _ReaderLeft:
            return await self._leave()
        finally:
            lease.release()
            unwatch()
            pump.cancel()
            gone.cancel()
            await asyncio.wait({pump, gone})
        if self._door.drain.started and pump.cancelled():
            await self._end(send, self._closing)
            return None
        if lease.ended and pump.cancelled():
            return await self._throw_out(scope, send)
        error = None if pump.cancelled() else pump.exception()
        if isinstance(error, SlowReader):
            return _abort(scope)
        if pump.cancelled() or isinstance(error, _ReaderLeft):
            return await self._leave()
        await self._end(send, self._error_frame(error, scope) if isinstance(error, Exception) else b"")
        return None

    async def _throw_out(self, scope: Scope, send: Send) -> None:
        """Say that the credential does not hold any more; who does not read that is cut off."""
        if not await self._end(send, self._error_frame(revoked(), scope), within_s=_GOODBYE_S):
            _abort(scope)

    async def _beat(self, pump: "asyncio.Task[None]", gone: "asyncio.Task[None]", send: Send) -> None:
        """Wait for the end of either task, with a comment in every silence, so that proxies keep the line open."""
        loop = asyncio.get_running_loop()
        pulse = loop.create_future()

        def beat(_: object = None) -> None:
            if not pulse.done():
                pulse.set_result(None)

        pump.add_done_callback(beat)
        gone.add_done_callback(beat)
        while not (pump.done() or gone.done()):
            seen, timer = self._wrote, loop.call_later(self._door.heartbeat_s, beat)
            try:
                await pulse
            finally:
                timer.cancel()
            pulse = loop.create_future()
            if self._wrote == seen and not (pump.done() or gone.done() or self._lock.locked()):
                await self._write(send, HEARTBEAT)

    async def _pump(self, send: Send) -> None:
        async with aclosing(cast("AsyncGenerator[bytes, None]", self._pieces)) as pieces:
            async for piece in pieces:
                await self._write(send, piece)

    async def _write(self, send: Send, data: bytes) -> None:
        async with self._lock:
            for start in range(0, len(data), PIECE_BYTES):
                piece = data[start : start + PIECE_BYTES]
                sending = send({"type": "http.response.body", "body": piece, "more_body": True})
                try:
                    await within(self._door.send_timeout_s, sending)
                except Overdue:
                    raise SlowReader from None
                except OSError as error:
                    raise _ReaderLeft from error
                self._wrote += 1

    async def _end(self, send: Send, last: bytes, *, within_s: float | None = None) -> bool:
        """Write the last of it, and tell whether it was taken."""
        with suppress(TimeoutError, OSError):
            goodbye = _GOODBYE_S if last is self._closing else self._door.send_timeout_s
            async with asyncio.timeout(within_s or goodbye):
                await send({"type": "http.response.body", "body": last, "more_body": False})
                return True
        return False

    async def _leave(self) -> None:
        if self._on_gone is None:
            return
        try:
            await self._on_gone()
        except Exception:  # the client is gone, there is nobody to tell
            _logger.exception("what was to be done when a client leaves failed")


def _abort(scope: Scope) -> None:
    """Cut the connection where the server offers it; a plain close would wait for the reader that does not read."""
    abort = scope.get("extensions", {}).get("landline.abort")
    if abort is not None:
        abort["call"]()
