"""Responses over a WebSocket, as Open Responses has it: `response.create` in, the events of the stream out, one at a time.

The socket remembers its last response, so that one that is not stored can be followed here, and nowhere else.
"""

import asyncio
from collections.abc import MutableMapping
from contextlib import aclosing
from typing import Any, Final, cast

from pydantic import ValidationError
from starlette.requests import Request

from landline.faces.openai.errors import envelope
from landline.faces.openai.responses_record import Record
from landline.faces.openai.responses_settings import refuse
from landline.faces.openai.responses_turn import Responses
from landline.faces.openai.responses_wire import ResponseBody
from landline.model.errors import Invalid, LandlineError
from landline.model.events import encode
from landline.web import strict_json
from landline.web.faults import faults_of
from landline.web.problems import request_id, told
from landline.web.websocket import ClosedSocket, Socket

__all__ = ["MAX_AGE_S", "ResponsesSocket"]

MAX_AGE_S: Final = 3600.0
"""How long a socket may live, as the wire says."""

_MOST_WAITING: Final = 16
_LEFT_OUT: Final = frozenset({"type", "stream", "stream_options"})
"""What clients send that is for HTTP, and says here what is so anyway."""


class ResponsesSocket:
    """What one accepted socket holds: the requests that wait their turn, and its last response."""

    def __init__(
        self,
        socket: Socket,
        responses: Responses,
        scope: MutableMapping[str, Any],
        *,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self._socket, self._responses, self._scope = socket, responses, scope
        self._caller = socket.caller
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._last: Record | None = None
        self._open: Record | None = None
        self._until = asyncio.get_running_loop().time() + max_age_s

    async def serve(self) -> None:
        """Serve until the client leaves or the socket is too old."""
        self._socket.refused = self._refused
        try:
            async with asyncio.TaskGroup() as tasks:
                hearing = tasks.create_task(self._hear())
                await self._answer_all()
                hearing.cancel()
        finally:
            # What is not stored can be asked for by nobody any more.
            for record in (self._open, self._last):
                await self._let_go(record)

    async def _hear(self) -> None:
        while True:
            await self._waiting.put(await self._socket.receive())

    async def _answer_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout_at(self._until):
                    raw = await self._waiting.get()
            except TimeoutError:
                raw = b""
            if loop.time() >= self._until:
                await self._tell(
                    Invalid(
                        "This socket has reached its age; open another.",
                        code="websocket_connection_limit_reached",
                    )
                )
                raise ClosedSocket(1000, "the socket has reached its age")
            await self._answer(raw)

    async def _answer(self, raw: bytes) -> None:
        followed: str | None = None
        try:
            data = strict_json.parse(raw)
            followed = _followed(data)
            body = _body(data)
            record = await self._responses.create(
                self._caller, _request_of(self._scope), body, local=self._last
            )
            self._open = record
            frames = self._responses.follow(self._caller, record)
            async with aclosing(cast("Any", frames)) as batches:
                async for batch in batches:
                    await self._socket.send(*(encode(frame) for frame in batch))
        except LandlineError as error:
            self._open = None
            if self._last is not None and followed == self._last.id:
                last, self._last = self._last, None
                await self._let_go(last)
            await self._tell(error)
            return
        before, self._last, self._open = self._last, record, None
        if before is not None and before.thread_id != record.thread_id:
            await self._let_go(before)

    async def _let_go(self, record: Record | None) -> None:
        if record is not None and not record.store:
            await self._responses.abandon(self._caller, record)

    async def _refused(self, error: LandlineError, _: bytes) -> None:
        await self._tell(error)

    async def _tell(self, error: LandlineError) -> None:
        problem, _ = told(error, request_id(self._scope))
        status = 400 if problem.status == 422 else problem.status
        await self._socket.send(encode({"type": "error", "status": status, **envelope(problem)}))


def _followed(data: Any) -> str | None:
    given: Any = cast("dict[str, Any]", data).get("previous_response_id") if isinstance(data, dict) else None
    return given if isinstance(given, str) else None


def _body(data: Any) -> ResponseBody:
    fields = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    if fields.get("type") != "response.create":
        raise Invalid("A message here is a response.create.", code="unknown_event")
    if fields.get("stream") not in (None, True):
        refuse("stream", "a socket always streams")
    if fields.get("background") is not None:
        refuse("background", "this is for HTTP")
    body = {name: value for name, value in fields.items() if name not in _LEFT_OUT}
    try:
        return ResponseBody.model_validate(body)
    except ValidationError as error:
        faults = faults_of(error.errors(), body)
        raise Invalid("The message does not fit.", code="invalid_request", errors=faults) from None


def _request_of(scope: MutableMapping[str, Any]) -> Request:
    """Return the request that opened the socket, as one of HTTP without a body: what a host's dependency looks at."""
    asked = {name: value for name, value in scope.items() if name not in {"subprotocols", "extensions"}}
    scheme = "https" if scope.get("scheme") == "wss" else "http"
    asked |= {"type": "http", "method": "GET", "scheme": scheme, "state": dict(scope.get("state", {}))}
    return Request(asked, _no_body)


async def _no_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}
