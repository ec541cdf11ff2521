"""The guard of the edge: pure ASGI around a whole app (TRU-11, TRU-13). It checks the request's line and headers,
names the request, answers preflights, and adds security headers to every response.
"""

from collections.abc import MutableMapping
from typing import Any, Final, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from landline.model.errors import Forbidden, Invalid, LandlineError, TooLarge
from landline.web.cors import Cors, Pairs
from landline.web.door import Door
from landline.web.headers import HSTS, SECURITY
from landline.web.hosts import is_loopback
from landline.web.problems import MEDIA_TYPE, problem_body, request_id, too_large

__all__ = ["MAX_HEADERS", "MAX_HEADER_BYTES", "MAX_URL_BYTES", "Guard"]

MAX_HEADER_BYTES: Final = 32 * 1024

MAX_HEADERS: Final = 256
MAX_URL_BYTES: Final = 16 * 1024
_PER_HEADER: Final = 4
"""What the wire adds to a name and a value."""


class Guard:
    """Wraps an app. A response's own security headers win over the guard's."""

    def __init__(self, app: ASGIApp, *, door: Door) -> None:
        self._app = app
        self._door = door
        # The outermost bound; a route that takes no uploads holds its body to less.
        self._limit = max(door.max_body_bytes, door.max_upload_bytes)
        self._cors = Cors(door.origins) if door.origins else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
        refusal = self._refusal(scope, headers)
        scope["landline.guarded"] = True
        if scope["type"] == "websocket":
            if refusal:
                await _refuse_socket(refusal, scope, send)
            else:
                await self._app(scope, receive, send)
            return
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._add_headers(message, scope, headers)
            await send(message)

        refusal = refusal or self._refused_preflight(scope, headers)
        if refusal:
            await _tell(refusal, scope, guarded_send)
            return
        if self._cors is not None and _is_preflight(scope, headers):
            await guarded_send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        try:
            await self._app(scope, self._counted(receive), guarded_send)
        except TooLarge as error:
            if started:
                raise
            await _tell(error, scope, guarded_send)

    def _refusal(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> LandlineError | None:
        size = sum(len(name) + len(value) for name, value in headers) + len(headers) * _PER_HEADER
        if size > MAX_HEADER_BYTES or len(headers) > MAX_HEADERS:
            return TooLarge(
                f"The headers are larger than 32 KB, or more than {MAX_HEADERS}.", code="headers_too_large"
            )
        if len(scope["path"]) + len(scope.get("query_string", b"")) > MAX_URL_BYTES:
            return TooLarge("The address is longer than 16 KB.", code="url_too_long")
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self._door.hosts.allows(hosts[0].decode("latin-1")):
            return Invalid("This server does not answer to that name.", code="unknown_host")
        limit = self._limit
        for name, value in headers:
            if name == b"content-length" and value.isdigit() and (len(value) > 18 or int(value) > limit):
                return too_large(limit)
        return None

    def _counted(self, receive: Receive) -> Receive:
        limit = self._limit
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise too_large(limit)
            return message

        return counted

    def _refused_preflight(self, scope: Scope, headers: Pairs) -> LandlineError | None:
        if self._cors is None or not _is_preflight(scope, headers):
            return None
        if self._cors.allows(_value(headers, b"origin") or b"", open_=self._door.authenticator.open):
            return None
        return Forbidden("Pages of that origin may not call this server.", code="foreign_origin")

    def _add_headers(self, message: MutableMapping[str, Any], scope: Scope, asked: Pairs) -> None:
        headers = list(message.get("headers", ()))
        present = {name.lower() for name, _ in headers}
        headers.extend(pair for pair in SECURITY if pair[0] not in present)
        if HSTS[0] not in present and self._is_tls(scope, asked):
            headers.append(HSTS)
        if b"x-request-id" not in present:
            headers.append((b"x-request-id", request_id(scope).encode()))
        if self._cors is not None:
            headers.extend(self._cors_headers(scope, asked))
        message["headers"] = headers

    def _is_tls(self, scope: Scope, asked: Pairs) -> bool:
        """Tell whether to ask for TLS for a year: never over plain HTTP, which this machine's own users may use."""
        if scope["scheme"] == "https":
            return True
        return self._door.tls and not is_loopback((_value(asked, b"host") or b"").decode("latin-1"))

    def _cors_headers(self, scope: Scope, asked: Pairs) -> Pairs:
        assert self._cors is not None
        origin, open_ = _value(asked, b"origin"), self._door.authenticator.open
        if origin is not None and _is_preflight(scope, asked):
            wanted = _value(asked, b"access-control-request-headers") or b""
            told = self._cors.preflight(origin, wanted, open_=open_)
            if told is not None:
                return told
        return self._cors.headers(origin, open_=open_)


def _is_preflight(scope: Scope, headers: Pairs) -> bool:
    return (
        scope["method"] == "OPTIONS"
        and _value(headers, b"origin") is not None
        and _value(headers, b"access-control-request-method") is not None
    )


def _value(headers: Pairs, wanted: bytes) -> bytes | None:
    return next((value for name, value in headers if name == wanted), None)


async def _tell(error: LandlineError, scope: Scope, send: Send) -> None:
    body, status, extra = problem_body(error, request_id(scope))
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers.extend((name.encode(), value.encode()) for name, value in extra.items())
    # What is left of the body is not read: the connection cannot be used again.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse_socket(error: LandlineError, scope: Scope, send: Send) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": error.code})
        return
    body, status, _ = problem_body(error, request_id(scope))
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
