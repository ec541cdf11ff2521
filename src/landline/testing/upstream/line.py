"""One response on its way to one client: keeps the pace, hears the client hang up."""

import asyncio
from collections.abc import Sequence

from starlette.types import Receive, Send

from landline.testing.upstream.frames import Ending, Frame
from landline.testing.upstream.journal import Exchange, Journal, Outcome

__all__ = ["Line"]

_SSE = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class Line:
    """Sends one response. Must be made, and used, in the server's event loop."""

    def __init__(self, exchange: Exchange, journal: Journal, receive: Receive, send: Send) -> None:
        self.exchange = exchange
        self._journal = journal
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._gone = False
        self._watcher = self._loop.create_task(self._watch())
        self._headers = [(b"x-request-id", b"req_%06d" % exchange.request.index)]

    async def stream(
        self, frames: Sequence[Frame], ending: Ending, outcome: Outcome, *, first_s: float, interval_s: float
    ) -> None:
        """Send a stream, each token when it is due, and end it in the given way, noted as `outcome`."""
        await self._start(200, _SSE)
        due = self._loop.time() + first_s
        last = len(frames) - 1
        for place, frame in enumerate(frames):
            if frame.token and (first_s or interval_s):
                await self._until(due)
                due += interval_s
            if self._gone:
                return
            self.exchange.tokens_sent += frame.token
            more = place < last or ending != "finish"
            if not more:  # noted before it is sent: a test that has read the end must find it noted
                self._end(outcome)
            await self._send({"type": "http.response.body", "body": frame.data, "more_body": more})
        if ending == "stall":
            await self.silence()

    async def body(
        self,
        status: int,
        kind: str,
        data: bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        outcome: Outcome = "faulted",
    ) -> None:
        """Send a whole response, noted as `outcome`."""
        await self._head(status, kind, len(data), headers)
        if not self._gone:
            self._end(outcome)
            await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def half_body(self, kind: str, data: bytes) -> None:
        """Announce a whole response and send half of it."""
        await self._head(200, kind, len(data), ())
        await self._send({"type": "http.response.body", "body": data[: len(data) // 2], "more_body": True})

    async def pause(self, delay_s: float) -> bool:
        """Wait, no longer than there is someone to wait for; False when there is not."""
        if delay_s > 0:
            await self._until(self._loop.time() + delay_s)
        return not self._gone

    async def silence(self) -> None:
        """Say nothing until the client leaves or the server stops."""
        while not self._gone:
            await self._until(None)

    def hang_up(self) -> None:
        """End the response from the server's side, now."""
        self._gone = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """Stop listening. What has not ended by now was broken off on purpose."""
        self._watcher.cancel()
        self._end("faulted")

    async def _head(self, status: int, kind: str, length: int, headers: Sequence[tuple[str, str]]) -> None:
        fixed = [(b"content-type", kind.encode()), (b"content-length", b"%d" % length)]
        await self._start(status, [*fixed, *((name.encode(), value.encode()) for name, value in headers)])

    async def _start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        await self._send(
            {"type": "http.response.start", "status": status, "headers": [*headers, *self._headers]}
        )

    async def _watch(self) -> None:
        # The body has been read: what comes now is the end of the response, or of the connection.
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._end("disconnected")
        self.hang_up()

    async def _until(self, due: float | None) -> None:
        # Cheaper than a task per pause, and woken by hang_up at once.
        if self._gone:
            return
        if due is not None and due <= self._loop.time():
            await asyncio.sleep(0)  # behind its time, but not alone
            return
        waiter = self._waiter = self._loop.create_future()
        timer = None if due is None else self._loop.call_at(due, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _end(self, outcome: Outcome) -> None:
        self._journal.end(self.exchange, outcome)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
