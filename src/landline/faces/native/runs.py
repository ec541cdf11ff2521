"""Runs over REST and SSE (RUN-1..RUN-9): start, read, follow, cancel, answer."""

from functools import partial
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.native import decode, documents, encode
from landline.faces.native.params import AfterParam, IdempotencyParam, IdParam, LastEventId
from landline.faces.native.turn import PREFIX, follow_stream, respond_to_start
from landline.faces.native.wire import AnswersBody, StartBody, StartOnThreadBody
from landline.model.callers import Caller
from landline.model.errors import Gone
from landline.model.runs import TERMINAL, Status
from landline.model.times import iso, parse_iso
from landline.ports.store import RunQuery
from landline.web.caller import CallerOf, with_context
from landline.web.face import FacePorts
from landline.web.limits import hold_stream
from landline.web.paging import DEFAULT_LIMIT, CursorParam, LimitParam
from landline.web.route import Entry, lists, requires, takes_stream_tokens
from landline.web.stream_tokens import check_thread, only_thread

__all__ = ["RunRoutes"]


def _moment(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return iso(parse_iso(text))
    except ValueError:
        raise ValueError("this is no date and time") from None


_Moment = Annotated[
    str | None,
    Query(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$",
        json_schema_extra={"format": "date-time"},
        examples=["2026-11-21T08:00:00.000Z"],
    ),
    AfterValidator(_moment),
]


class RunRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports
        self._runs = ports.runs

    @requires("runs:write")
    async def start(
        self, request: Request, body: StartBody, caller: CallerOf, key: IdempotencyParam = None
    ) -> Response:
        """Start a run; without `thread_id` it makes its thread."""
        return await self._start(request, body, caller, thread_id=body.thread_id, key=key, route="POST /runs")

    @requires("runs:write")
    async def start_on_thread(
        self,
        request: Request,
        thread_id: IdParam,
        body: StartOnThreadBody,
        caller: CallerOf,
        key: IdempotencyParam = None,
    ) -> Response:
        """Start a run on a thread."""
        route = f"POST /threads/{thread_id}/runs"
        return await self._start(request, body, caller, thread_id=thread_id, key=key, route=route)

    @requires("runs:read")
    @lists()
    async def find(  # noqa: PLR0913 - one argument is one query parameter
        self,
        caller: CallerOf,
        limit: LimitParam = DEFAULT_LIMIT,
        cursor: CursorParam = None,
        thread_id: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
        agent: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
        status: Status | None = None,
        created_after: _Moment = None,
        created_before: _Moment = None,
    ) -> Response:
        """Return a page of the caller's runs, newest first."""
        query = RunQuery(
            limit=limit,
            cursor=cursor,
            thread_id=thread_id,
            agent=agent,
            status=status,
            after=created_after,
            before=created_before,
        )
        return encode.json_response(encode.page(await self._runs.history(caller, query)))

    @requires("runs:read")
    async def get(self, run_id: IdParam, caller: CallerOf) -> Response:
        """Return a run with its open questions."""
        return encode.json_response(await self._runs.get(caller, run_id))

    @takes_stream_tokens
    @requires("runs:read")
    async def events(
        self,
        request: Request,
        run_id: IdParam,
        caller: CallerOf,
        after: AfterParam = None,
        last_event_id: LastEventId = None,
        limit: LimitParam = DEFAULT_LIMIT,
    ) -> Response:
        """Follow a run's events after a cursor: SSE, or one JSON page when that is what is accepted.

        204 means that the run has ended and nothing comes after the cursor, so that an EventSource stops asking.
        """
        seen = decode.cursor(last_event_id, after)
        by_token = only_thread(request.scope) is not None
        if _wants_json(request) and not by_token:
            return await self._page(caller, run_id, seen, limit)
        run = await self._runs.get(caller, run_id)
        check_thread(request.scope, run.thread_id)
        if seen and not await self._anything_after(caller, run_id, seen, ended=run.status in TERMINAL):
            return Response(status_code=204)
        return follow_stream(self._ports, caller, run_id, after=seen)

    @requires("runs:write")
    async def cancel(self, run_id: IdParam, caller: CallerOf) -> Response:
        """Stop a run and keep the partial answer; a second cancel gives the same."""
        return encode.json_response(await self._runs.cancel(caller, run_id))

    @requires(("approvals:answer", "runs:write"))
    async def answer(self, run_id: IdParam, body: AnswersBody, caller: CallerOf) -> Response:
        """Answer open questions; the run goes on when none is left."""
        done = await self._runs.answer(caller, run_id, decode.answers(body))
        return encode.json_response(done.run if done.run is not None else {"questions": done.questions})

    async def _start(
        self,
        request: Request,
        body: StartOnThreadBody,
        caller: Caller,
        *,
        thread_id: str | None,
        key: str | None,
        route: str,
    ) -> Response:
        idempotency = decode.idempotency(key, route=route, body=await request.json()) if key else None
        title = body.title if isinstance(body, StartBody) else None
        wanted = decode.start(body, thread_id=thread_id, key=idempotency, title=title)
        if body.mode == "stream":
            await hold_stream(request, self._ports.door)
        wanted = await with_context(self._ports, caller, request, wanted)
        started = await self._runs.start(caller, wanted)
        return await respond_to_start(
            self._ports, request, caller, started, mode=body.mode, on_disconnect=body.on_disconnect
        )

    async def _page(self, caller: Caller, run_id: str, after: int, limit: int) -> Response:
        found: list[Any] = []
        async for batch in self._runs.follow(caller, run_id, after=after, live=False):
            found.extend(batch[: limit - len(found)])
            if len(found) == limit:
                break
        return encode.json_response(encode.event_page(found, after=after))

    async def _anything_after(self, caller: Caller, run_id: str, seen: int, *, ended: bool) -> bool:
        """Look before the stream begins: a cursor that cannot be served is a status, not a frame.

        A run that has ended in the store may not have told its last events yet: they are waited for, which takes a moment.
        """
        try:
            async for batch in self._runs.follow(caller, run_id, after=seen, live=ended):
                if batch:
                    return True
        except Gone:
            if not ended:
                raise
        return not ended

    def routes(self) -> list[Entry]:
        """Return the table."""
        run = documents.answer("Run", documents.RUN, "The run.")
        started: dict[int | str, Any] = {
            200: {
                **run,
                "description": "mode wait: the run, also when it failed or waits. mode stream: its events from the first.",
                "content": {**run["content"], **documents.event_stream("")["content"]},
            },
            202: {
                **run,
                "description": "mode background, or a wait that the server's stop cut short: accepted; Location names the run.",
                "headers": {"Location": {"schema": {"type": "string"}}},
            },
            **documents.problems(404, 409, 415, 429, 507),
        }
        followed: dict[int | str, dict[str, Any]] = {
            200: {
                "model": partial(documents.shape, "EventPage"),
                **documents.event_stream("The events after the cursor."),
            },
            204: {"description": "The run has ended and nothing comes after the cursor."},
            **documents.problems(404, 410),
        }
        followed[200]["content"] |= {
            "application/json": {"example": {"items": [documents.EVENT], "next_after": 4}}
        }
        answered = {
            **run,
            "description": "The run; another approver of the tenant gets the questions it answered only.",
        }
        runs = f"{PREFIX}/runs"
        return [
            Entry(method="POST", path=runs, endpoint=self.start, name="start_run", summary="Start a run",
                  docs={"responses": started}),
            Entry(method="POST", path=f"{PREFIX}/threads/{{thread_id}}/runs", endpoint=self.start_on_thread,
                  name="start_run_on_thread", summary="Start a run on a thread", docs={"responses": started}),
            Entry(method="GET", path=runs, endpoint=self.find, name="list_runs", summary="List runs",
                  docs={"responses": {200: documents.answer("RunPage", documents.page_of(documents.RUN), "A page."),
                                      **documents.problems()}}),
            Entry(method="GET", path=f"{runs}/{{run_id}}", endpoint=self.get, name="get_run", summary="Get a run",
                  docs={"responses": {200: run, **documents.problems(404)}}),
            Entry(method="GET", path=f"{runs}/{{run_id}}/events", endpoint=self.events, name="follow_run",
                  summary="Follow a run's events", docs={"responses": followed}),
            Entry(method="POST", path=f"{runs}/{{run_id}}/cancel", endpoint=self.cancel, name="cancel_run",
                  summary="Cancel a run", docs={"responses": {200: run, **documents.problems(404, 409, 507)}}),
            Entry(method="POST", path=f"{runs}/{{run_id}}/answers", endpoint=self.answer, name="answer_run",
                  summary="Answer a run's questions",
                  docs={"responses": {200: answered, **documents.problems(404, 409, 415, 507)}}),
        ]  # fmt: skip


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/event-stream" not in accept
