"""The edge counts here: requests, sockets and streams, and answers tell what is left of their limits (TRU-8)."""

from typing import Any, Final

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from landline.model.callers import Caller
from landline.ports.limits import Release, Tally
from landline.web.client import client_address
from landline.web.door import Door
from landline.web.limit_headers import limit_headers

__all__ = ["arrived", "hold_stream", "let_go", "settled", "tally_of", "told", "told_in"]

_TALLY: Final = "landline_tally"
_HELD: Final = "landline_held"


def tally_of(scope: Any) -> Tally | None:
    """Return what was counted for this request, where anything is."""
    return scope.get("state", {}).get(_TALLY)


async def arrived(connection: HTTPConnection, door: Door) -> Tally | None:
    """Count a request or socket before it is known whose it is. Raises RateLimited."""
    if door.limits is None:
        return None
    tally = await door.limits.arrived(client_address(connection.scope, door.proxies))
    connection.scope.setdefault("state", {})[_TALLY] = tally
    return tally


async def hold_stream(connection: HTTPConnection, door: Door) -> None:
    """Take a place for the stream that will answer this request, before what it does cannot be undone.

    A route whose answer turns out to be a stream takes one in any case; a second call takes no second one.

    Raises:
        RateLimited: Too many are open.
    """
    state: dict[str, Any] = connection.scope.setdefault("state", {})
    tally: Tally | None = state.get(_TALLY)
    if door.limits is None or tally is None or _HELD in state:
        return
    caller: Caller | None = state.get("caller")
    state[_HELD] = await door.limits.stream(tally, caller)


async def settled(response: Response, connection: HTTPConnection, door: Door) -> Response:
    """Return the answer with a place for as long as it is open, if it is a stream, and what the limits are.

    Raises:
        RateLimited: It is a stream, and too many are open.
    """
    if getattr(response, "stays_open", False):
        await hold_stream(connection, door)
        if (release := connection.scope["state"].pop(_HELD, None)) is not None:
            response = _Held(response, release)
    return told(response, connection)


def told(response: Response, connection: HTTPConnection) -> Response:
    """Return the answer with what the limits are; a place that was held for a stream that it is not is given back."""
    let_go(connection)
    tally = tally_of(connection.scope)
    if tally is not None and tally.states and hasattr(response, "raw_headers"):
        _add(response.raw_headers, tally)
    return response


def told_in(message: Message, scope: Scope) -> None:
    """Add what the limits are to the start of an answer that somebody else writes."""
    tally = tally_of(scope)
    if tally is not None and tally.states:
        headers = message["headers"] = list(message.get("headers", ()))
        _add(headers, tally)


def _add(headers: list[tuple[bytes, bytes]], tally: Tally) -> None:
    if any(name == b"ratelimit" for name, _ in headers):
        return  # a refusal tells it itself
    for name, value in limit_headers(tally.states.values()).items():
        headers.append((name.encode(), value.encode()))


def let_go(connection: HTTPConnection) -> None:
    """Give the place of a stream back; harmless without one."""
    release: Release | None = connection.scope.get("state", {}).pop(_HELD, None)
    if release is not None:
        release()


class _Held(Response):
    """A stream that holds a place until it is over, however it ends."""

    def __init__(self, stream: Response, release: Release) -> None:
        self.status_code, self.background = stream.status_code, None
        self._stream, self._release = stream, release
        if hasattr(stream, "raw_headers"):
            self.raw_headers = stream.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write it."""
        try:
            await self._stream(scope, receive, send)
        finally:
            self._release()
