"""Chat completions: one request is one run, or the results that a run waits for.

Who leaves a stateless request before its end stops the run: the wire has no other way to stop one, and no way back to it.
A run on a thread, or under an Idempotency-Key, goes on, as there is one.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from landline.faces.openai import chat_calls, chat_decode, chat_options
from landline.faces.openai.chat_encode import Completion, Shape, whole
from landline.faces.openai.chat_wire import ChatBody
from landline.faces.openai.errors import tell
from landline.faces.openai.faults import fault
from landline.faces.openai.inputs import Inputs
from landline.faces.openai.models import agent_of
from landline.faces.openai.params import RUN_HEADER, THREAD_HEADER, IdempotencyParam, ThreadParam
from landline.faces.openai.wire import DONE, ERROR_HEADERS, ERRORS, data_frame, error_frame, json_response
from landline.model.callers import Caller
from landline.model.errors import Draining, Invalid, LandlineError, NotFound, Unsupported
from landline.model.events import Stamped
from landline.ports.routing import AUTO
from landline.ports.runs import Started, StartRun
from landline.web.caller import CallerOf, with_context
from landline.web.face import FacePorts
from landline.web.limits import hold_stream
from landline.web.named_threads import thread_named
from landline.web.problems import request_id, too_large
from landline.web.route import Entry, requires, takes_uploads
from landline.web.sse import EventStream
from landline.web.waiting import until_gone

__all__ = ["ChatRoutes"]


class ChatRoutes:
    """The handler, and the table that says where it is."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports

    @requires("runs:write")
    @takes_uploads
    async def create(
        self,
        request: Request,
        body: ChatBody,
        caller: CallerOf,
        key: IdempotencyParam = None,
        thread: ThreadParam = None,
    ) -> Response:
        """Answer with a chat completion, whole or as a stream; `model` names the agent."""
        chat_options.check(body)
        want = chat_options.wanted(body)
        if (
            len(await request.body()) - chat_decode.data_chars(body.messages)
            > self._ports.door.max_body_bytes
        ):
            raise too_large(self._ports.door.max_body_bytes)
        name = _thread_of(body, thread)
        if body.stream:
            await hold_stream(request, self._ports.door)
        results = chat_decode.answered(body.messages)
        resumed = await chat_calls.resume(self._ports.runs, caller, model=body.model, results=results)
        after = 0
        if resumed is not None:
            started, after = Started(run=resumed.run), resumed.after
        else:
            started = await self._start(request, body, caller, want, key=key, thread=name)
        shape = Shape(
            model=body.model,
            call_id=chat_calls.call_id,
            after=after,
            structured=want.schema is not None,
            call=want.call,
            call_finish=want.call_finish,
            include_usage=bool(body.stream_options and body.stream_options.include_usage),
        )
        headers = {RUN_HEADER: started.run.id, THREAD_HEADER: started.run.thread_id}
        if started.replayed:
            headers["idempotency-replayed"] = "true"
        stops = key is None and name is None
        if body.stream:
            return self._stream(request, caller, started.run.id, shape, headers=headers, stops=stops)
        return await self._whole(request, caller, started.run.id, shape, headers=headers, stops=stops)

    async def _start(
        self,
        request: Request,
        body: ChatBody,
        caller: Caller,
        want: chat_options.Wanted,
        *,
        key: str | None,
        thread: str | None,
    ) -> Started:
        # The router chooses among agents that are not known yet.
        info = None if body.model == AUTO else agent_of(self._ports.agents, caller, body.model)
        settings = chat_options.settings(body, info)
        inputs = Inputs(self._ports.files, caller)
        decode = chat_decode.stateless if thread is None else chat_decode.on_thread
        history, given = await decode(body.messages, inputs)
        wanted = StartRun(
            input=given,
            agent=body.model,
            thread_id=None if thread is None else await self._thread(caller, thread, body.model),
            settings=settings,
            metadata=dict(body.metadata or {}),
            idempotency=chat_options.idempotency(key, thread=thread, body=await request.json()),
            carried=chat_options.carried(want, history),
        )
        wanted = await with_context(self._ports, caller, request, wanted)
        try:
            return await self._ports.runs.start(caller, wanted)
        except (Invalid, Unsupported) as error:
            raise chat_options.named(error, want) from None

    async def _thread(self, caller: Caller, name: str, agent: str) -> str:
        """Return the caller's thread of this id, or else the one that the caller calls by this name."""
        try:
            return (await self._ports.threads.get(caller, name)).id
        except NotFound:
            if agent == AUTO:
                raise fault(("model",), "the first request of a thread names its agent") from None
            return (await thread_named(self._ports, caller, face="openai", name=name, agent=agent)).id

    def _stream(
        self,
        request: Request,
        caller: Caller,
        run_id: str,
        shape: Shape,
        *,
        headers: Mapping[str, str],
        stops: bool,
    ) -> EventStream:
        completion = Completion(shape)

        async def cancel() -> None:
            if (
                not completion.finished
            ):  # who leaves with the whole answer, as with a call to carry out, may return
                await self._ports.runs.cancel(caller, run_id)

        return EventStream(
            _frames(self._ports.runs.follow(caller, run_id, after=shape.after), completion),
            door=self._ports.door,
            on_gone=cancel if stops else None,
            headers=headers,
            error_frame=error_frame,
            closing=error_frame(Draining(), request.scope),
        )

    async def _whole(
        self,
        request: Request,
        caller: Caller,
        run_id: str,
        shape: Shape,
        *,
        headers: Mapping[str, str],
        stops: bool,
    ) -> Response:
        events: list[Stamped] = []
        runs = self._ports.runs

        async def read() -> None:
            told = runs.follow(caller, run_id, after=shape.after, at_once=False)
            async with _closing(told) as batches:
                async for batch in batches:
                    events.extend(batch)

        match await until_gone(read(), request=request, door=self._ports.door):
            case "gone":
                if stops:
                    await runs.cancel(caller, run_id)
                return Response(status_code=499)  # nobody reads it
            case "drained":
                return _failed(Draining(), request, headers)
            case "done":
                try:
                    return json_response(whole(shape, events), headers=headers)
                except LandlineError as error:
                    return _failed(error, request, {**headers, **ERROR_HEADERS})

    def routes(self) -> list[Entry]:
        """Return the table."""
        answered: dict[int | str, Any] = {
            200: {
                "description": "The completion; with `stream`, chunks as server-sent events.",
                "content": {"text/event-stream": {}, "application/json": {}},
            },
            **ERRORS,
        }
        return [
            Entry(method="POST", path="/v1/chat/completions", endpoint=self.create, name="openai_chat_completion",
                  summary="Answer with a chat completion", docs={"responses": answered}),
        ]  # fmt: skip


async def _frames(batches: AsyncIterator[Sequence[Stamped]], completion: Completion) -> AsyncIterator[bytes]:
    async with _closing(batches) as source:
        async for batch in source:
            chunks: list[bytes] = []
            try:
                for stamped in batch:
                    chunks += map(data_frame, completion.take(stamped))
            except LandlineError:
                # What came before it in the same batch was said.
                if chunks:
                    yield b"".join(chunks)
                raise
            if completion.finished:
                chunks.append(DONE)
            if chunks:
                yield b"".join(chunks)
            if completion.finished:
                return
    completion.end()


def _closing(
    batches: AsyncIterator[Sequence[Stamped]],
) -> aclosing[AsyncGenerator[Sequence[Stamped], None]]:
    return aclosing(cast("AsyncGenerator[Sequence[Stamped], None]", batches))


def _failed(error: LandlineError, request: Request, headers: Mapping[str, str]) -> Response:
    """Tell an error of a run that was accepted, with where to find it."""
    response = tell(error, request)
    response.headers.update(headers)
    response.headers["x-request-id"] = request_id(request.scope)
    return response


def _thread_of(body: ChatBody, header: str | None) -> str | None:
    """Return the thread that the request names, in its header or in its metadata."""
    named = (body.metadata or {}).get("thread_id")
    if named is not None and header is not None and named != header:
        raise fault(("metadata", "thread_id"), "the header X-Landline-Thread names another thread")
    found = header if header is not None else named
    if found is not None and not found.isprintable():
        raise fault(("metadata", "thread_id"), "a thread's name has no control characters")
    return found
