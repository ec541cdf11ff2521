"""Responses over HTTP: create, read, follow, cancel, delete, list the input, compact; and where the socket is."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope
from starlette.websockets import WebSocket

from landline.faces.openai.errors import tell_in_stream
from landline.faces.openai.params import IdempotencyParam
from landline.faces.openai.responses_compact import compact
from landline.faces.openai.responses_encode import DONE, sse
from landline.faces.openai.responses_pages import (
    AfterParam,
    IdPath,
    IncludeParam,
    LimitParam,
    OrderParam,
    page_of,
)
from landline.faces.openai.responses_record import Record
from landline.faces.openai.responses_settings import refuse
from landline.faces.openai.responses_socket import ResponsesSocket
from landline.faces.openai.responses_turn import Responses
from landline.faces.openai.responses_wire import CompactBody, ResponseBody
from landline.faces.openai.wire import ERROR_HEADERS, json_response
from landline.model.callers import Caller
from landline.model.errors import Gone, Unavailable
from landline.model.ids import fingerprint
from landline.ports.store import IdempotencyKey
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.limits import hold_stream
from landline.web.route import Entry, requires
from landline.web.sse import EventStream
from landline.web.strict_json import canonical
from landline.web.waiting import until_gone
from landline.web.websocket import Socket, socket_endpoint

__all__ = ["ResponsesRoutes"]

_CLOSING = b"retry: 1000\n: the server stops\n\n"
"""Said on drain; no event, since this wire has none for it: the client asks for what comes after the last it saw."""

_HOW_NOT_WHAT = frozenset({"stream", "stream_options"})


class ResponsesRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports
        self._responses = Responses(ports)
        self._records = self._responses.records

    @requires("runs:write", "runs:read")
    async def create(
        self, request: Request, body: ResponseBody, caller: CallerOf, key: IdempotencyParam = None
    ) -> Response:
        """Create a response: waited for, streamed, or in the background."""
        once = await _idempotency(request, key)
        if body.stream:
            await hold_stream(request, self._ports.door)
        record = await self._responses.create(caller, request, body, key=once)
        if body.stream:
            return self._stream(caller, record)
        if body.background:
            return json_response(await self._responses.response(caller, record))
        return await self._wait(request, caller, record)

    @requires("runs:read")
    async def get(
        self,
        response_id: IdPath,
        caller: CallerOf,
        stream: bool = False,
        starting_after: Annotated[int | None, Query(ge=0, lt=10**15)] = None,
        include_obfuscation: bool | None = None,
        include: IncludeParam = None,
    ) -> Response:
        """Return a response, or with `stream` its events after a number."""
        record = await self._records.get(caller, response_id)
        if not stream:
            if starting_after is not None:
                refuse("starting_after", "only a stream begins after an event", code="invalid_request")
            return json_response(await self._responses.response(caller, record))
        return await self._resumed(caller, record, starting_after)

    @requires("runs:write")
    async def cancel(self, response_id: IdPath, caller: CallerOf) -> Response:
        """Stop a response; a second cancel gives the same. One that has ended stays as it is."""
        record = await self._records.get(caller, response_id)
        await self._responses.cancel(caller, record)
        return json_response(await self._responses.response(caller, record))

    @requires("runs:write", "threads:write")
    async def delete(self, response_id: IdPath, caller: CallerOf) -> Response:
        """Remove a response; the last one of a thread that was made for it takes the thread along."""
        record = await self._records.get(caller, response_id)
        await self._responses.delete(caller, record)
        return json_response({"id": record.id, "object": "response", "deleted": True})

    @requires("runs:read")
    async def input_items(
        self,
        response_id: IdPath,
        caller: CallerOf,
        after: AfterParam = None,
        limit: LimitParam = 20,
        order: OrderParam = "desc",
        include: IncludeParam = None,
    ) -> Response:
        """Return a page of the items that the request brought."""
        record = await self._records.get(caller, response_id)
        return json_response(page_of(record.input, after=after, limit=limit, order=order))

    @requires("runs:write", "runs:read", "threads:read")
    async def compact(self, body: CompactBody, caller: CallerOf) -> Response:
        """Pack a window of items into one item."""
        return json_response(await compact(self._ports, self._records, caller, body))

    # below

    def _stream(self, caller: Caller, record: Record, *, starting_after: int | None = None) -> EventStream:
        last = [-1 if starting_after is None else starting_after]

        async def pieces() -> AsyncIterator[bytes]:
            frames = self._responses.follow(caller, record, starting_after=starting_after)
            async with aclosing(cast("Any", frames)) as batches:
                async for batch in batches:
                    last[0] = batch[-1]["sequence_number"]
                    yield sse(batch)
            yield DONE
            await self._responses.forget(caller, record)

        def failed(error: Exception, scope: Scope) -> bytes:
            return sse([_error_event(error, scope, last[0] + 1)])

        async def gone() -> None:
            await self._responses.abandon(caller, record)

        return EventStream(
            pieces(),
            door=self._ports.door,
            on_gone=None if record.store else gone,
            error_frame=failed,
            closing=_CLOSING,
        )

    async def _resumed(self, caller: Caller, record: Record, starting_after: int | None) -> Response:
        """Look before the stream begins: a cursor that cannot be served is a status, not a frame."""
        try:
            await self._responses.check_cursor(caller, record, starting_after)
        except Gone as error:
            refuse("starting_after", error.detail, code=error.code)
        return self._stream(caller, record, starting_after=starting_after)

    async def _wait(self, request: Request, caller: Caller, record: Record) -> Response:
        ends = self._responses.to_the_end(caller, record)
        match await until_gone(ends, request=request, door=self._ports.door):
            case "gone":
                if not record.store:
                    await self._responses.abandon(caller, record)
                return Response(status_code=499)  # nobody reads it
            case "drained":
                # Accepted and durable. One that is stored is told as it stands, to be read again after the restart.
                if not record.store:
                    await self._responses.abandon(caller, record)
                    raise Unavailable("The server is stopping; try again in a moment.", code="draining")
                told = await self._responses.response(caller, record)
                return json_response(told, headers={"retry-after": "2"})
            case "done":
                told = await self._responses.response(caller, record)
                await self._responses.forget(caller, record)
                return json_response(told, headers=ERROR_HEADERS if told["status"] == "failed" else None)

    def add_socket(self, router: APIRouter) -> None:
        """Add the endpoint of the WebSocket transport."""
        router.add_websocket_route("/v1/responses", self._socket(), name="openai_responses_socket")

    def _socket(self) -> Callable[[WebSocket], Awaitable[None]]:
        @requires("runs:write", "runs:read")
        async def endpoint(websocket: WebSocket) -> None:
            async def serve(socket: Socket) -> None:
                await ResponsesSocket(socket, self._responses, websocket.scope).serve()

            await socket_endpoint(self._ports.door, ("runs:write", "runs:read"), serve)(websocket)

        return endpoint

    def routes(self) -> list[Entry]:
        """Return the table."""
        one = "/v1/responses/{response_id}"
        return [
            Entry(method="POST", path="/v1/responses", endpoint=self.create, name="openai_create_response",
                  summary="Create a response"),
            Entry(method="POST", path="/v1/responses/compact", endpoint=self.compact, name="openai_compact",
                  summary="Compact a window of items"),
            Entry(method="GET", path=one, endpoint=self.get, name="openai_get_response", summary="Get a response"),
            Entry(method="DELETE", path=one, endpoint=self.delete, name="openai_delete_response",
                  summary="Delete a response"),
            Entry(method="POST", path=f"{one}/cancel", endpoint=self.cancel, name="openai_cancel_response",
                  summary="Cancel a response"),
            Entry(method="GET", path=f"{one}/input_items", endpoint=self.input_items, name="openai_list_input_items",
                  summary="List the input items of a response"),
        ]  # fmt: skip


def _error_event(error: Exception, scope: Scope, number: int) -> dict[str, Any]:
    """Return the last event of a stream that failed: in the words of Open Responses, and beside them in OpenAI's own."""
    told = tell_in_stream(error, scope)["error"]
    beside = {name: told[name] for name in ("code", "message", "param")}
    return {"type": "error", "sequence_number": number, "error": told, **beside}


async def _idempotency(request: Request, key: str | None) -> IdempotencyKey | None:
    if key is None:
        return None
    body: dict[str, Any] = await request.json()
    what = {name: value for name, value in body.items() if name not in _HOW_NOT_WHAT}
    return IdempotencyKey(key=key, route="POST /v1/responses", body_hash=fingerprint(canonical(what)))
