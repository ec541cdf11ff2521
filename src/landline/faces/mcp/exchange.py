"""One HTTP exchange handed to the protocol's own transport, under the edge's rules: drain, slow readers, heartbeats."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from landline.faces.mcp.going import GONE, RUN
from landline.faces.mcp.streams import UNDER_DOOR
from landline.web.door import Door
from landline.web.limits import told_in as told_limits
from landline.web.sse import HEARTBEAT

__all__ = ["Exchange"]

Serve = Callable[[Scope, Receive, Send], Awaitable[None]]
_SAID: Final = {
    "draining": "The server is stopping. A run that was accepted goes on: look at it with landline_run.",
    "credential_revoked": "The credential does not hold any more. A run that was accepted goes on.",
}
_AND_THEN: Final = {503: (b"retry-after", b"2"), 401: (b"www-authenticate", b"Bearer")}
_GOODBYE_S: Final = 1.0


class Exchange(Response):
    """Serves one request whose body was read already.

    When the server drains, or the caller's credential stops holding, the exchange ends with an error of the protocol that
    names the run; the run goes on. A reader
    who takes nothing is dropped. A stream that is silent gets a comment, so that proxies keep it open. `beside` is what the
    transport's own scope holds and the request's does not.
    """

    stays_open = True
    """It may be a stream, which nobody knows before it is one: it holds a place under the limit on streams."""

    def __init__(
        self, serve: Serve, *, body: bytes, message_id: Any, door: Door, beside: Mapping[str, Any]
    ) -> None:
        self.background = None
        self.status_code = 200
        self._serve = serve
        self._body = body
        self._beside = beside
        self._message_id = message_id
        self._door = door
        self._streams: bool | None = None
        self._ended = False
        self._wrote = 0
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it."""
        given = False

        async def replayed() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": self._body, "more_body": False}
            message = await receive()
            if message["type"] == "http.disconnect":
                scope["state"][GONE] = True
            return message

        async def paced(message: Message) -> None:
            await self._write(scope, message, send)

        # Not every server takes the space around a value off, which is no part of it (RFC 9110, 5.5).
        headers = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        inner = {**scope, **self._beside, "headers": headers}
        failed: list[Exception] = []

        async def serve() -> None:
            UNDER_DOOR.set(True)  # for this task alone
            try:
                await self._serve(inner, replayed, paced)
            except _SlowReader:
                pass  # its connection is cut, and there is nobody to tell
            except Exception as error:  # noqa: BLE001 - raised below, out of the group, as it is
                failed.append(error)

        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(serve())
            unwatch = self._door.drain.watch(work.cancel)
            lease = self._door.leases.hold(scope["state"].get("caller"), work.cancel)
            try:
                await self._beat(work, send)
            finally:
                lease.release()
                unwatch()
                work.cancel()
        if failed:
            raise failed[0]
        if self._door.drain.started and work.cancelled():
            await self._end(scope, send, "draining", 503)
        elif lease.ended and work.cancelled():
            await self._end(scope, send, "credential_revoked", 401)
        elif self._streams is not None and not self._ended:
            with suppress(OSError):  # a session that was closed ends its streams without a word
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _beat(self, work: "asyncio.Task[None]", send: Send) -> None:
        seen = self._wrote
        while not (await asyncio.wait({work}, timeout=self._door.heartbeat_s))[0]:
            if self._streams and not self._ended and self._wrote == seen and not self._lock.locked():
                async with self._lock:
                    with suppress(TimeoutError, OSError):
                        async with asyncio.timeout(self._door.send_timeout_s):
                            await send({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})
            seen = self._wrote

    async def _write(self, scope: Scope, message: Message, send: Send) -> None:
        async with self._lock:
            if message["type"] == "http.response.start":
                kinds = [
                    value for name, value in message.get("headers", ()) if name.lower() == b"content-type"
                ]
                self._streams = any(kind.startswith(b"text/event-stream") for kind in kinds)
                told_limits(message, scope)
            elif not message.get("more_body", False):
                self._ended = True
            self._wrote += 1
            limit = asyncio.timeout(self._door.send_timeout_s)
            try:
                async with limit:
                    await send(message)
            except TimeoutError:
                if not limit.expired():
                    raise
                _abort(scope)
                raise _SlowReader from None

    async def _end(self, scope: Scope, send: Send, code: str, status: int) -> None:
        """Say why it ends, in whatever form the answer has begun."""
        if self._ended:
            return
        body = _ending(code, self._message_id, scope["state"].get(RUN))
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(_GOODBYE_S):
                if self._streams is None:
                    headers = [(b"content-type", b"application/json"), _AND_THEN[status]]
                    await send({"type": "http.response.start", "status": status, "headers": headers})
                    await send({"type": "http.response.body", "body": body})
                    return
                last = b"event: message\r\ndata: %s\r\n\r\n" % body
                tail = last if self._streams and self._message_id is not None else b""
                await send({"type": "http.response.body", "body": tail, "more_body": False})


class _SlowReader(Exception):
    """The reader took nothing for too long; its connection is cut."""


def _ending(code: str, message_id: Any, run_id: str | None) -> bytes:
    data = {"code": code, **({"run_id": run_id} if run_id else {})}
    error = {"code": -32603, "message": _SAID[code], "data": data}
    return json.dumps({"jsonrpc": "2.0", "id": message_id, "error": error}).encode()


def _abort(scope: Scope) -> None:
    """Cut the connection where the server offers it; a plain close would wait for the reader that does not read."""
    abort = scope.get("extensions", {}).get("landline.abort")
    if abort is not None:
        abort["call"]()
