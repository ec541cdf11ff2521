"""Sockets: admitted before they are accepted, text only, bounded, and closed with a reason (FACE-5, TRU-12, TRU-13)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from landline.model.callers import Caller
from landline.model.errors import Forbidden, Invalid, LandlineError, RateLimited
from landline.web.caller import Needed, admit
from landline.web.door import Door
from landline.web.limits import hold_stream, let_go, tally_of
from landline.web.origins import page_of
from landline.web.problems import respond
from landline.web.route import requires
from landline.web.sse import SlowReader
from landline.web.within import Overdue, within

__all__ = ["MAX_MESSAGE_BYTES", "ClosedSocket", "Socket", "request_of", "socket_endpoint"]

MAX_MESSAGE_BYTES: Final = 1024 * 1024
_GOODBYE_S: Final = 1.0
_CLOSE_OF_STATUS: Final = {401: 4401, 403: 4403}

_logger = logging.getLogger("landline.web.websocket")


class ClosedSocket(Exception):
    """The socket is closed; `code` and `reason` are what is said when it was this side."""

    def __init__(self, code: int = 1000, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Socket:
    """An accepted socket of one caller.

    There is no queue: a writer waits for the socket's own buffer, in the order of asking, so that one busy subscription
    cannot starve the others.
    """

    def __init__(self, websocket: WebSocket, door: Door, caller: Caller) -> None:
        self.caller = caller
        self.refused: Callable[[RateLimited, bytes], Awaitable[None]] | None = None
        """Told of each message that is one too many and is dropped; without it such a message closes the socket."""
        self._websocket = websocket
        self._door = door
        self._turn = asyncio.Lock()

    async def send(self, *messages: bytes) -> None:
        """Send JSON messages, together and in order. Raises SlowReader, ClosedSocket."""
        async with self._turn:
            try:
                await within(self._door.send_timeout_s, self._send_all(messages))
            except Overdue:
                raise SlowReader from None
            except (WebSocketDisconnect, RuntimeError, OSError) as error:
                raise ClosedSocket from error
        # A socket whose buffer has room never waits; this lets the others have their turn.
        await asyncio.sleep(0)

    async def _send_all(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            await self._websocket.send_text(message.decode())

    async def receive(self) -> bytes:
        """Return the next message.

        Raises:
            ClosedSocket: It is closed, or this side will not take the message.
            RateLimited: The message is one too many, and nobody is told of that.
        """
        while True:
            data = await self._receive()
            limits, tally = self._door.limits, tally_of(self._websocket.scope)
            if limits is None or tally is None:
                return data
            try:
                await limits.message(tally, self.caller)
            except RateLimited as error:
                if self.refused is None:
                    raise
                await self.refused(error, data)
            else:
                return data

    async def _receive(self) -> bytes:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise ClosedSocket(message.get("code", 1005))
        text = message.get("text")
        if text is None:
            raise ClosedSocket(1003, "binary frames are not understood; send JSON as text")
        if (
            len(text) > MAX_MESSAGE_BYTES
            or len(data := text.encode("utf-8", "surrogatepass")) > MAX_MESSAGE_BYTES
        ):
            raise ClosedSocket(1009, f"a message may have {MAX_MESSAGE_BYTES} bytes")
        return data


def socket_endpoint(
    door: Door,
    scopes: Sequence[Needed],
    serve: Callable[[Socket], Awaitable[None]],
    *,
    streams: bool = False,
) -> Callable[[WebSocket], Awaitable[None]]:
    """Return the endpoint that admits, accepts and serves a socket, and closes it with a reason.

    A refused one gets an HTTP answer where the server can give one, a close code (4401, 4403, 1008) where not.
    With `streams` a stream token in the URL opens it, and `serve` keeps to its thread (`only_thread`).
    `serve` runs until it returns or the client leaves; it is cancelled when the server drains, and when the caller's
    credential stops holding (4401, `revoked`).
    """

    async def endpoint(websocket: WebSocket) -> None:
        try:
            _check_origin(websocket, door)
            caller = await admit(websocket, door, scopes, streams=streams)
            await hold_stream(websocket, door)
        except Exception as error:  # noqa: BLE001 - every refusal is told the same way
            await _deny(websocket, respond(error, websocket))
            return
        try:
            await websocket.accept()
            code, reason = await _run(serve(Socket(websocket, door, caller)), door, caller)
        finally:
            let_go(websocket)
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await websocket.close(code, reason)
        except (TimeoutError, RuntimeError, OSError, WebSocketDisconnect):
            pass  # The client was faster, or reads nothing any more.

    return requires(*scopes)(endpoint)


async def _run(serving: Awaitable[None], door: Door, caller: Caller) -> tuple[int, str]:
    task = asyncio.ensure_future(serving)
    unwatch = door.drain.watch(task.cancel)
    lease = door.leases.hold(caller, task.cancel)
    try:
        await asyncio.wait({task})
    finally:
        lease.release()
        unwatch()
        task.cancel()
    if lease.ended and not door.drain.started:
        return 4401, "revoked"
    if task.cancelled():
        return (1012, "drain") if door.drain.started else (1001, "")
    error = _innermost(task.exception())
    if error is None:
        return 1000, ""
    if isinstance(error, ClosedSocket):
        return error.code, error.reason
    if isinstance(error, SlowReader):
        return 1008, "the reader takes nothing"
    if isinstance(error, LandlineError):
        return 1008, error.code
    _logger.error("a socket failed", exc_info=error)
    return 1011, "internal"


def _innermost(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


async def _deny(websocket: WebSocket, response: Response) -> None:
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(response)
    else:
        await websocket.close(_CLOSE_OF_STATUS.get(response.status_code, 1008))


def _check_origin(websocket: WebSocket, door: Door) -> None:
    """A browser sends a user's credentials and network position from any page; the page must be ours (TRU-13)."""
    headers: Any = websocket.headers
    host: str | None = headers.get("host")
    if "landline.guarded" not in websocket.scope and not door.hosts.allows(host):
        raise Invalid("This server does not answer to that name.", code="unknown_host")
    if page_of(websocket, door) == "foreign":
        raise Forbidden("A page of that origin may not open a socket here.", code="unknown_origin")


def request_of(scope: MutableMapping[str, Any]) -> Request:
    """Return the request that opened the socket, as one of HTTP without a body: what a host's dependency looks at."""
    left_out = ("subprotocols", "extensions")
    asked = {name: value for name, value in scope.items() if name not in left_out}
    scheme = "https" if scope.get("scheme") == "wss" else "http"
    asked |= {"type": "http", "method": "GET", "scheme": scheme, "state": dict(scope.get("state", {}))}
    return Request(asked, _no_body)


async def _no_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}
