"""One connection to a provider: a request goes out, its response is parsed as it arrives and taken as it is read."""

import asyncio
import select
from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from landline.upstream.streams.pace import BUSY_S, give_way

__all__ = ["Connection"]

_LONGEST_HEAD = 128 * 1024
"""Bytes that may come in a row without a byte of a body: heads, interim answers, what chunks say beside their size, trailers."""
_MOST_WAITING = 128 * 1024
"""Bytes of a body that wait for their reader before the provider has to; what one read of the socket brings may come on top."""

_NO_ANSWER = "Server disconnected without sending a response."


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 to one origin, one request at a time. Errors are of the HTTP core whose pool this stands in for."""

    __slots__ = (
        "_active",
        "_closed",
        "_core",
        "_deadline",
        "_drained",
        "_dry",
        "_error",
        "_head_done",
        "_keep",
        "_loop",
        "_on_lost",
        "_parser",
        "_paused",
        "_pieces",
        "_received",
        "_rings_at",
        "_size",
        "_socket",
        "_timer",
        "_transport",
        "_waiter",
        "_whole",
        "_woken_at",
        "expires_at",
        "headers",
        "origin",
        "reason",
        "sent",
        "status",
        "version",
        "writable",
    )

    def __init__(
        self, core: Any, origin: tuple[bytes, bytes, int], on_lost: Callable[["Connection"], None]
    ) -> None:
        self.origin = origin
        self.expires_at = 0.0
        self.writable = True
        self._core = core
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        # What h11 forgives, on which the pools of both cores stand: lines that end in LF alone, values folded over several
        # lines, and a length beside chunks (the chunks hold).
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_chunked_length=True, lenient_optional_cr_before_lf=True
        )
        self._transport: Any = None
        self._socket: Any = None
        self._active = self._closed = self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = self._deadline = self._woken_at = 0.0
        self.begin()
        self._active = False

    # ---------------------------------------------------------------------------------------- one request and its response

    def begin(self) -> None:
        """Expect a response: a request follows."""
        self._active = True
        self.sent = False
        self.status = 0
        self.version = self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._head_done = self._whole = self._keep = False
        self._error: Exception | None = None
        if self._closed:
            # Between its opening, or its last request, and this one.
            self._error = self._core.RemoteProtocolError(_NO_ANSWER)
        self._pieces: list[bytes] = []
        self._size = self._dry = self._received = 0

    def write(self, data: bytes) -> None:
        """Write; when `writable` is False afterwards, `drain` comes before the next piece."""
        if not self.over:
            self._transport.write(data)

    async def drain(self, within: float | None) -> None:
        """Wait until more may be written, or nothing more needs to be because the response is whole or will never come.

        Raises:
            WriteTimeout: of the core.
        """
        try:
            async with asyncio.timeout(within):
                while not self.writable and not self.over:
                    self._drained = self._loop.create_future()
                    await self._drained
        except TimeoutError as error:
            raise self._core.WriteTimeout from error

    async def head(self, within: float | None) -> None:
        """Wait for the head of the final response: `status`, `reason`, `headers` and `version` hold it then.

        Raises:
            ReadTimeout, ReadError, RemoteProtocolError: of the core.
        """
        while not self._head_done:
            if self._error is not None:
                raise self._error
            await self._arrival(within)

    async def read(self, within: float | None, *, patient: bool) -> bytes:
        """Return all of the body that has arrived, at least one byte of it; b"" at its end.

        Args:
            within: Seconds in which something has to arrive.
            patient: Whether others may go first in a loop that is busy.

        Raises:
            ReadTimeout, ReadError, RemoteProtocolError: of the core, after all that has arrived was taken.
        """
        if self._pieces:
            if patient:
                await give_way()
        else:
            while not self._pieces:
                if self._error is not None:
                    raise self._error
                if self._whole:
                    return b""
                await self._arrival(within)
            # The pass that has woken us is the first to be measured.
            if patient and perf_counter() - self._woken_at > BUSY_S:
                await give_way()
        pieces, self._pieces, self._size = self._pieces, [], 0
        if self._paused:
            self._paused = False
            if not self._closed:
                self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def over(self) -> bool:
        """Whether nothing more of the response will come."""
        return self._whole or self._closed or self._error is not None

    def rest(self) -> bool:
        """End the request, and tell whether another one may follow: all was sent, all has come, and both sides keep it open."""
        self._active = False
        if not (self._whole and self._keep and self.sent) or self._closed:
            return False
        self._pieces = []
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return True

    # -------------------------------------------------------------------------------------------------- the connection itself

    @property
    def idle(self) -> bool:
        """Whether no request is on it."""
        return not self._active

    @property
    def quiet(self) -> bool:
        """Whether it is open and nothing waits in its socket: an end, or words that nobody asked for."""
        if self._closed:
            return False
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        return not poll.poll(0)

    def close(self, error: Exception | None = None) -> None:
        """Close at once; whoever still reads gets `error`."""
        if self._error is None and not self._whole:
            self._error = error
        if not self._closed:
            self._closed = True
            self._transport.abort()
        self._ring_off()
        self._wake()

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection, by the cores' names (ssl_object, client_addr, server_addr, socket, is_readable)."""
        if info == "is_readable":
            return not self.quiet
        if info in ("client_addr", "server_addr"):
            address = self._transport.get_extra_info("sockname" if info == "client_addr" else "peername")
            return None if address is None else address[:2]
        return self._transport.get_extra_info(info) if info in ("ssl_object", "socket") else None

    # ------------------------------------------------------------------------------------------------ called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what writes."""
        self._transport = cast("asyncio.Transport", transport)
        self._socket = transport.get_extra_info("socket")

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, and wake its reader."""
        if not self._active or self._whole:
            self._keep = False
            if not self._active:
                self.close()
            return
        self._dry += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            # After a response that is whole it only means that there is no other one to be had here.
            self._keep = False
            if not self._whole:
                cause = error.__context__ if isinstance(error, HttpParserCallbackError) else error
                self._fail(self._core.RemoteProtocolError(str(cause)))
        else:
            if self._dry > _LONGEST_HEAD:
                self._fail(self._core.RemoteProtocolError("Receive buffer too long"))
        self._wake()

    def eof_received(self) -> None:
        """Take the end of what the provider says for the end of the connection."""
        if self._active:
            self._end(None)
        else:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, and the pool."""
        self._closed = True
        self._end(exc)
        self._ring_off()
        self._on_lost(self)

    def pause_writing(self) -> None:
        """Have the request wait."""
        self.writable = False

    def resume_writing(self) -> None:
        """Let the request go on."""
        self.writable = True
        self._wake_writer()

    # ------------------------------------------------------------------------------------------------------ called by the parser

    def on_message_begin(self) -> None:
        """Begin a head, of the final response or of one before it."""
        if self._whole:
            raise ValueError("a response to no request")
        self.headers, self.reason = [], b""

    def on_status(self, reason: bytes) -> None:
        """Keep a piece of the reason phrase."""
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what follows the body has no reader."""
        if not self._head_done:
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Note the final head; those before it (100 Continue, 103 Early Hints) are for nobody."""
        status = self._parser.get_status_code()
        if status == 101:
            raise ValueError("Received a switch of protocols that was not asked for")
        if status < 200:
            return
        coding = [value for name, value in self.headers if name.lower() == b"transfer-encoding"]
        if coding and [value.lower() for value in coding] != [b"chunked"]:
            raise ValueError("Only a transfer encoding of chunked is known")
        self.status = status
        self.version = b"HTTP/" + self._parser.get_http_version().encode()
        self._keep = self._parser.should_keep_alive()
        self._head_done, self._dry = True, 0

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body until it is read."""
        self._pieces.append(data)
        self._dry = 0
        self._received += len(data)
        self._size += len(data)
        if self._size > _MOST_WAITING and not self._paused and not self._closed:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Note the end of the response."""
        self._whole = self._head_done

    # --------------------------------------------------------------------------------------------------------------------- waiting

    async def _arrival(self, within: float | None) -> None:
        """Wait until something arrives, or nothing will.

        One timer serves all reads: it rings when the first deadline is over, and then looks how much later the present one is.
        """
        self._waiter = self._loop.create_future()
        if within is not None:
            self._deadline = self._loop.time() + within
            if self._timer is None or self._rings_at > self._deadline:
                self._ring_at(self._deadline)
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._deadline = 0.0

    def _ring_at(self, time: float) -> None:
        self._ring_off()
        self._rings_at = time
        self._timer = self._loop.call_at(time, self._ring)

    def _ring_off(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self._waiter is None or not self._deadline:
            return
        if self._loop.time() < self._deadline:
            self._ring_at(self._deadline)
        elif self._error is None:
            self._error = self._core.ReadTimeout()
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._woken_at = perf_counter()
            self._waiter.set_result(None)
        if self._drained is not None and self.over:
            self._wake_writer()

    def _wake_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # ------------------------------------------------------------------------------------------------------------------------- ends

    def _fail(self, error: Exception) -> None:
        self._error = error
        self.close()

    def _end(self, error: Exception | None) -> None:
        """Judge what the end of the connection means for the response that is on it."""
        self._keep = False
        if self._active and not self._whole and self._error is None:
            if error is not None:
                self._error = self._core.ReadError(str(error))
            elif (cut := self._cut()) is None:
                self._whole = True
            else:
                self._error = self._core.RemoteProtocolError(cut)
        self._wake()

    def _cut(self) -> str | None:
        """Return what is missing, or None when the response ends with its connection."""
        if not self._head_done:
            return _NO_ANSWER
        fields = {name.lower(): value for name, value in self.headers}
        missing = "peer closed connection without sending complete message body"
        if b"transfer-encoding" in fields:
            return f"{missing} (incomplete chunked read)"
        if b"content-length" in fields:
            return f"{missing} (received {self._received} bytes, expected {int(fields[b'content-length'])})"
        return None
