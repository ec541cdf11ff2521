"""The guard of the edge: pure ASGI around a whole app (TRU-11, TRU-13). It checks the request's line and headers,
names the request, and adds security headers to every response.
"""

from collections.abc import MutableMapping
from typing import Any, Final, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from landline.model.errors import Invalid, LandlineError, TooLarge
from landline.web.door import Door
from landline.web.problems import MEDIA_TYPE, problem_body, request_id, too_large

__all__ = ["MAX_HEADER_BYTES", "Guard"]

MAX_HEADER_BYTES: Final = 32 * 1024

_SECURITY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")


class Guard:
    """Wraps an app. A response's own security headers win over the guard's."""

    def __init__(self, app: ASGIApp, *, door: Door, tls: bool = False) -> None:
        self._app = app
        self._door = door
        # The outermost bound; a route that takes no uploads holds its body to less.
        self._limit = max(door.max_body_bytes, door.max_upload_bytes)
        self._extra = (*_SECURITY, _HSTS) if tls else _SECURITY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        named = request_id(scope).encode()
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
                self._add_headers(message, named)
            await send(message)

        if refusal:
            await _tell(refusal, scope, guarded_send)
            return
        try:
            await self._app(scope, self._counted(receive), guarded_send)
        except TooLarge as error:
            if started:
                raise
            await _tell(error, scope, guarded_send)

    def _refusal(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> LandlineError | None:
        if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
            return TooLarge("The headers are larger than 32 KB.", code="headers_too_large")
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

    def _add_headers(self, message: MutableMapping[str, Any], named: bytes) -> None:
        headers = list(message.get("headers", ()))
        present = {name.lower() for name, _ in headers}
        headers.extend(pair for pair in self._extra if pair[0] not in present)
        if b"x-request-id" not in present:
            headers.append((b"x-request-id", named))
        message["headers"] = headers


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
