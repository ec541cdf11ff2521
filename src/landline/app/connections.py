"""What the server allows a connection: how long and how large its headers, its body and its silence may be (TRU-11, TRU-12).

uvicorn's parsers hand on what they understood; what never becomes a request, such as headers without end, is counted
here. Time is looked at once a second for all connections together, so that a request costs no timer.
"""

import socket
from typing import Any, Final, Literal, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import SecurityError
from websockets.frames import Frame

__all__ = ["BODY_S", "HEADERS_S", "MAX_SOCKET_MESSAGE", "HttpWire", "SocketWire", "look"]

HEADERS_S: Final = 12.5
"""From a connection, or from the first byte of a further request, to the end of the headers: 15 s with the looking, and with empty lines before."""

BODY_S: Final = 27.0
"""What a body may take for each `PROGRESS_BYTES`: who stalls or drips is cut within 30 s, who is on a slow line is not."""

PROGRESS_BYTES: Final = 16 * 1024

MAX_HEAD_BYTES: Final = 96 * 1024
"""What is read of a request line and headers; the guard of the edge refuses far less, and says so."""

FRAMING: Final = 16
"""How many bytes of chunked framing a byte of the body may have, once over `MAX_HEAD_BYTES`."""

MAX_PIPELINED: Final = 32
"""How many requests may wait behind one that is being answered."""

SEND_BUFFER_BYTES: Final = 64 * 1024
"""What a reader that does not read may leave in the system's hands (REL-10); the system doubles it.

Over a line of 100 ms a stream still gets more than a megabyte a second.
"""

WRITE_BUFFER_BYTES: Final = 16 * 1024
"""What waits in our own memory for such a reader before its stream pauses."""

MAX_WRITE_BUFFER_BYTES: Final = 1024 * 1024
"""What may wait for the reader of a socket that keeps asking for pongs and reads none."""

MAX_SOCKET_MESSAGE: Final = 1024 * 1024
MAX_FRAGMENTS: Final = 4096

DEAD_S: Final = 50
"""After how long a peer that acknowledges nothing is dead: 60 s with the looking."""

_KEEPALIVE: Final = (
    ("TCP_KEEPIDLE", 20),
    ("TCP_KEEPINTVL", 10),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", DEAD_S * 1000),
)


class _Wire:
    """What both kinds of connection have: a peer that may be dead, or reads nothing."""

    transport: Any
    unread_since: float | None = None
    unread: int = 0

    def check_reader(self, now: float, patience_s: float) -> None:
        """Cut a reader that takes nothing for `patience_s`, also one whose answer is written and whose end is awaited."""
        size: int = self.transport.get_write_buffer_size()
        if not size or not (self.write_paused or self.transport.is_closing()):
            self.unread_since = None
        elif self.unread_since is None or size <= self.unread - PROGRESS_BYTES:
            self.unread_since, self.unread = now, size
        elif now - self.unread_since >= patience_s:
            self.transport.abort()

    @property
    def write_paused(self) -> bool:
        """Whether the answer waits for its reader."""
        raise NotImplementedError


class HttpWire(_Wire, HttpToolsProtocol):
    """A connection of HTTP.

    Offers `landline.abort`, with which a stream drops a reader that does not read (REL-10): closing such a connection
    would wait for the reader to take what is buffered.
    """

    reading: Literal["head", "body", ""] = ""
    """What is on its way: nothing between a request's end and the next one's first byte."""
    due: float = 0.0
    taken: int = 0
    raw: int = 0
    phase: int = 0

    def connection_made(self, transport: Any) -> None:
        """Begin a connection with a send buffer that has an end: the system's own grows to megabytes a reader."""
        _ready(transport.get_extra_info("socket"))
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        super().connection_made(transport)
        self._begin("head", HEADERS_S)

    @property
    def write_paused(self) -> bool:
        """Whether the answer waits for its reader."""
        return self.flow.write_paused

    def resume_writing(self) -> None:
        """Write on. The reader took nearly all: how full the buffer is each time it is looked at does not show that."""
        self.unread_since = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take bytes; what is neither a head that ends nor a body that grows is cut."""
        if self.reading == "":
            self._begin("head", HEADERS_S)
        phase = self.phase
        super().data_received(data)
        if self.phase != phase or self.transport.is_closing():
            return
        self.raw += len(data)
        if self.raw > MAX_HEAD_BYTES and (self.reading == "head" or self.raw > FRAMING * self.taken):
            self._refuse(431 if self.reading == "head" else 400)

    def on_message_begin(self) -> None:
        """Begin a request."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests before the first answer")  # the parser's caller answers 400
        if self.reading == "":
            self._begin("head", HEADERS_S)
        super().on_message_begin()
        self.scope.setdefault("extensions", {})["landline.abort"] = {"call": self.transport.abort}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, but none that comes after a body: nobody reads those, and they have no end."""
        if self.reading != "body":
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to wait for the body."""
        self._begin("body", BODY_S)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        block = self.taken // PROGRESS_BYTES
        self.taken += len(body)
        if self.taken // PROGRESS_BYTES > block:
            self.due = self.loop.time() + BODY_S
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for nothing until the next request."""
        self._begin("", 0.0)
        super().on_message_complete()

    def check(self, now: float, patience_s: float) -> None:
        """Cut a client that is late with its headers or its body, and a reader that does not read."""
        self.check_reader(now, patience_s)
        if self.reading == "" or now < self.due or self.transport.is_closing():
            return
        if self.flow.read_paused:  # we are the ones who do not read
            self.due = now + BODY_S
            return
        self._refuse(408)

    def _begin(self, what: Literal["head", "body", ""], patience_s: float) -> None:
        self.reading, self.due = what, self.loop.time() + patience_s
        self.taken = self.raw = 0
        self.phase += 1

    def _refuse(self, status: int) -> None:
        """Say why where no answer has begun, and close."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # what its own type does not say
        live = None if cycle is None or cycle.response_complete else cycle
        if (live is None) if self.reading == "head" else (live is not None and not live.response_started):
            self.transport.write(_ANSWERS[status])
        if live is not None:
            live.disconnected = True
            live.message_event.set()
        self.transport.close()


class SocketWire(_Wire, WebSocketsSansIOProtocol):
    """A connection that became a WebSocket."""

    @property
    def write_paused(self) -> bool:
        """Whether what is sent waits for its reader."""
        return not self.writable.is_set()

    def resume_writing(self) -> None:
        """Write on; as with HTTP, the reader took nearly all."""
        self.unread_since = None
        super().resume_writing()

    def check(self, now: float, patience_s: float) -> None:
        """Cut a reader that does not read; dead ones are found by pings."""
        self.check_reader(now, patience_s)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a handshake that the protocol's package cannot read is answered, which it does not do itself."""
        super().data_received(data)
        refused = self.conn.handshake_exc
        if refused is None or self.handshake_initiated or self.transport.is_closing():
            return
        too_large = isinstance(refused.__cause__, SecurityError)
        self.transport.write(_HANDSHAKES[431 if too_large else 400])
        self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        """Take a piece of a message, unless it has so many that they are its weight."""
        if self.close_sent:
            return
        if len(self.frames) >= MAX_FRAGMENTS:
            self.conn.fail(1009, f"a message may have {MAX_FRAGMENTS} frames")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping, unless the answers are not read."""
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MAX_WRITE_BUFFER_BYTES:
            self.transport.abort()


def look(connections: Any, now: float, patience_s: float) -> None:
    """Check every connection; `patience_s` is what a reader gets."""
    for connection in list(connections):
        cast("HttpWire | SocketWire", connection).check(now, patience_s)


def _ready(held: socket.socket | None) -> None:
    if held is None or held.family not in (socket.AF_INET, socket.AF_INET6):
        return
    held.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        option = getattr(socket, name, None)  # systems differ in what they have
        if option is not None:
            held.setsockopt(socket.IPPROTO_TCP, option, value)


def _answer(status: int, phrase: str, code: str, said: str) -> bytes:
    body = f'{{"type":"urn:landline:problem:{code}","title":"{phrase}","status":{status},"code":"{code}","detail":"{said}"}}'
    head = (
        f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/problem+json\r\ncontent-length: {len(body)}\r\n"
        "connection: close\r\nx-content-type-options: nosniff\r\n\r\n"
    )
    return (head + body).encode()


_ANSWERS: Final = {
    400: _answer(400, "Bad Request", "malformed_body", "The body's framing is larger than the body."),
    408: _answer(408, "Request Timeout", "too_slow", "The request took too long to arrive."),
    431: _answer(
        431, "Request Header Fields Too Large", "headers_too_large", "The headers are larger than 32 KB."
    ),
}

_HANDSHAKES: Final = {
    400: _answer(400, "Bad Request", "malformed_handshake", "This is no handshake of a WebSocket."),
    431: _answer(
        431,
        "Request Header Fields Too Large",
        "headers_too_large",
        "A socket is asked for with at most 128 headers and 8 KB a line.",
    ),
}
"""`websockets` bounds each line and the number of headers, below what a request may have."""
