"""Threads and their messages over REST (THR-1, THR-5, THR-6)."""

from typing import Annotated, Any, Literal

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.native import decode, documents, encode
from landline.faces.native.params import IdempotencyParam, IdParam
from landline.faces.native.turn import PREFIX, location
from landline.faces.native.wire import CreateThreadBody, ForkBody, PatchThreadBody
from landline.model.errors import Invalid
from landline.ports.store import MessageQuery, ThreadQuery
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.paging import DEFAULT_LIMIT, CursorParam, LimitParam
from landline.web.route import Entry, StrictRequest, lists, requires
from landline.web.waiting import now

__all__ = ["ThreadRoutes"]

_METADATA_PREFIX = "metadata."
_MOST_FILTERS = 16


class ThreadRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._threads = ports.threads

    @requires("threads:write")
    async def create(
        self, request: Request, body: CreateThreadBody, caller: CallerOf, key: IdempotencyParam = None
    ) -> Response:
        """Make a thread for an agent."""
        thread, replayed = await self._threads.create(
            caller,
            agent=body.agent,
            title=body.title,
            metadata=body.metadata,
            idempotency=decode.idempotency(key, route="POST /threads", body=await request.json()),
        )
        return _created(request, thread, replayed)

    @requires("threads:read")
    @lists(_METADATA_PREFIX)
    async def find(  # noqa: PLR0913 - one argument is one query parameter
        self,
        request: Request,
        caller: CallerOf,
        limit: LimitParam = DEFAULT_LIMIT,
        cursor: CursorParam = None,
        agent: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
        archived: bool | None = None,
        q: Annotated[
            str | None, Query(min_length=1, max_length=500, description="Full text over messages.")
        ] = None,
    ) -> Response:
        """Return a page of the caller's threads, newest change first."""
        query = ThreadQuery(
            limit=limit,
            cursor=cursor,
            agent=agent,
            archived=archived,
            q=q,
            metadata=_metadata_filter(request),
        )
        return encode.json_response(encode.page(await self._threads.list(caller, query)))

    @requires("threads:read")
    async def get(
        self,
        thread_id: IdParam,
        caller: CallerOf,
        messages: Annotated[
            int, Query(ge=0, le=200, description="How many messages to bring; 0 for none.")
        ] = DEFAULT_LIMIT,
    ) -> Response:
        """Return a thread with the first page of its messages."""
        thread = await self._threads.get(caller, thread_id)
        found = None
        if messages:
            found = await self._threads.messages(caller, MessageQuery(thread_id=thread_id, limit=messages))
        return encode.json_response(encode.thread_with_messages(thread, found))

    @requires("threads:write")
    async def change(self, thread_id: IdParam, body: PatchThreadBody, caller: CallerOf) -> Response:
        """Change a thread's title, metadata, marks or chosen branch."""
        return encode.json_response(
            await self._threads.update(caller, thread_id, decode.patch(body, at=now()))
        )

    @requires("threads:write")
    async def delete(self, thread_id: IdParam, caller: CallerOf) -> Response:
        """Delete a thread and everything under it."""
        await self._threads.delete(caller, thread_id)
        return Response(status_code=204)

    @requires("threads:read")
    @lists()
    async def messages(
        self,
        thread_id: IdParam,
        caller: CallerOf,
        limit: LimitParam = DEFAULT_LIMIT,
        cursor: CursorParam = None,
        branch: Literal["head", "all"] = "head",
    ) -> Response:
        """Return a page of a thread's messages, oldest first."""
        query = MessageQuery(thread_id=thread_id, limit=limit, cursor=cursor, branch=branch)
        return encode.json_response(encode.message_page(await self._threads.messages(caller, query)))

    @requires("threads:write")
    async def fork(
        self,
        request: Request,
        thread_id: IdParam,
        caller: CallerOf,
        body: ForkBody | None = None,
        key: IdempotencyParam = None,
    ) -> Response:
        """Make a thread that shares this one's messages up to a point."""
        assert isinstance(request, StrictRequest)
        sent = await request.json() if body else None
        thread, replayed = await self._threads.fork(
            caller,
            thread_id,
            message_id=body.message_id if body else None,
            idempotency=decode.idempotency(key, route=f"POST /threads/{thread_id}/fork", body=sent),
        )
        return _created(request, thread, replayed)

    def routes(self) -> list[Entry]:
        """Return the table."""
        thread = documents.answer("Thread", documents.THREAD, "The thread.")
        made = {
            201: {
                **thread,
                "description": "The thread; Location names it.",
                "headers": {"Location": {"schema": {"type": "string"}}},
            }
        }
        return [
            Entry(method="POST", path=f"{PREFIX}/threads", endpoint=self.create, name="create_thread", status=201,
                  summary="Make a thread", docs={"responses": {**made, **documents.problems(404, 409, 415, 507)}}),
            Entry(method="GET", path=f"{PREFIX}/threads", endpoint=self.find, name="list_threads", summary="List threads",
                  docs={"responses": {200: documents.answer("ThreadPage", documents.page_of(documents.THREAD), "A page."),
                                      **documents.problems()}, "openapi_extra": _METADATA_DOC}),
            Entry(method="GET", path=f"{PREFIX}/threads/{{thread_id}}", endpoint=self.get, name="get_thread",
                  summary="Get a thread with its messages",
                  docs={"responses": {200: documents.answer("ThreadWithMessages",
                                                            {**documents.THREAD, "messages": {"items": [documents.MESSAGE]}},
                                                            "The thread and the first page of its messages."),
                                      **documents.problems(404)}}),
            Entry(method="PATCH", path=f"{PREFIX}/threads/{{thread_id}}", endpoint=self.change, name="change_thread",
                  summary="Change a thread", docs={"responses": {200: thread, **documents.problems(404, 409, 415, 507)}}),
            Entry(method="DELETE", path=f"{PREFIX}/threads/{{thread_id}}", endpoint=self.delete, name="delete_thread",
                  summary="Delete a thread", status=204,
                  docs={"responses": {204: {"description": "It is gone."}, **documents.problems(404, 409, 507)}}),
            Entry(method="GET", path=f"{PREFIX}/threads/{{thread_id}}/messages", endpoint=self.messages,
                  name="list_messages", summary="List a thread's messages",
                  docs={"responses": {200: documents.answer("MessagePage", documents.page_of(documents.MESSAGE), "A page."),
                                      **documents.problems(404)}}),
            Entry(method="POST", path=f"{PREFIX}/threads/{{thread_id}}/fork", endpoint=self.fork, name="fork_thread",
                  summary="Fork a thread", status=201,
                  docs={"responses": {**made, **documents.problems(404, 409, 415, 507)}}),
        ]  # fmt: skip


_METADATA_DOC: dict[str, Any] = {
    "parameters": [
        {
            "name": "metadata.key",
            "in": "query",
            "required": False,
            "schema": {"type": "string"},
            "description": "Only threads whose metadata has this value under `key`; put any key after the dot.",
            "example": "value",
        }
    ]
}


def _created(request: Request, thread: Any, replayed: bool) -> Response:
    headers = {"location": location(request, f"/threads/{thread.id}")}
    if replayed:
        headers["idempotency-replayed"] = "true"
    return encode.json_response(thread, status=201, headers=headers)


def _metadata_filter(request: Request) -> dict[str, str]:
    found = {
        name.removeprefix(_METADATA_PREFIX): value
        for name, value in request.query_params.items()
        if name.startswith(_METADATA_PREFIX) and name != _METADATA_PREFIX
    }
    if len(found) > _MOST_FILTERS:
        raise Invalid(f"At most {_MOST_FILTERS} metadata filters go together.", code="invalid_request")
    return found
