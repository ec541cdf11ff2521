"""The AI SDK face as a router: a chat's turns at `/ai/{agent}`, its stream to resume, and the way to stop it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.ai_sdk import decode
from landline.faces.ai_sdk.chats import Chats, said_as
from landline.faces.ai_sdk.chunks import run_id_of
from landline.faces.ai_sdk.decode import Again, Given, Replied, Said
from landline.faces.ai_sdk.errors import tell
from landline.faces.ai_sdk.turn import asks_again, past_of, stream
from landline.faces.ai_sdk.wire import ChatBody
from landline.model.callers import Caller
from landline.model.errors import Busy, Conflict, Invalid, NotFound, Unsupported
from landline.model.messages import Part, TextPart
from landline.model.runs import Answer
from landline.model.threads import Thread
from landline.ports.runs import StartRun
from landline.ports.store import IdempotencyKey
from landline.web.caller import CallerOf, with_context
from landline.web.face import FacePorts
from landline.web.inline_files import keep_file, part_of
from landline.web.route import (
    Entry,
    LandlineRoute,
    add_routes,
    assert_declared,
    requires,
    streams,
    takes_uploads,
)

__all__ = ["face"]

_Agent = Annotated[str, Path(min_length=1, max_length=128, examples=["notes"])]
_ChatId = Annotated[str, Path(min_length=1, max_length=256, examples=["chat-1"])]
_MessageId = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=64,
        description="The id of an assistant message of the chat: its stream from the beginning, also when it has ended.",
    ),
]


def face(ports: FacePorts) -> APIRouter:
    """Return the AI SDK face: the UI message stream of `useChat` under `/ai/{agent}`."""
    router = APIRouter(route_class=LandlineRoute.bound(ports.door, tell=tell))
    add_routes(router, ChatRoutes(ports).routes(), tag="ai-sdk")
    assert_declared(router)
    return router


class ChatRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports
        self._chats = Chats(ports)

    @requires("runs:write")
    @takes_uploads
    @streams
    async def chat(self, request: Request, agent: _Agent, body: ChatBody, caller: CallerOf) -> Response:
        """Take the user's new message, an edit, a second answer, or what the client answered to the agent."""
        self._ports.agents.get(caller, agent)
        wanted = decode.turn(body)
        if isinstance(wanted, Replied):
            return await self._reply(caller, body.id, wanted)
        thread = await self._chats.open(caller, body.id, agent=agent)
        start = StartRun(
            input=None,
            thread_id=thread.id,
            agent=agent,
            settings=body.settings.model_dump(exclude_none=True) if body.settings else {},
            context=body.context,
            has_context=body.context is not None,
            carried=decode.carried(body),
        )
        if isinstance(wanted, Again):
            return await self._again(request, caller, thread, start, wanted)
        return await self._say(request, caller, thread, start, wanted)

    @requires("runs:read")
    async def resume(
        self, agent: _Agent, chat_id: _ChatId, caller: CallerOf, message_id: _MessageId = None
    ) -> Response:
        """Return the chat's active run as a stream from its beginning; 204 when none is active."""
        self._ports.agents.get(caller, agent)
        thread = await self._chats.find(caller, chat_id)
        if message_id is not None:
            return await self._told_again(caller, thread, message_id)
        run = None if thread is None else await self._chats.active(caller, thread.id)
        if run is None:
            return Response(status_code=204)
        past = await past_of(self._ports, caller, run.id)
        return stream(self._ports, caller, run.id, past=past, after=past.begins[-1])

    @requires("runs:write")
    async def stop(self, agent: _Agent, chat_id: _ChatId, caller: CallerOf) -> Response:
        """Cancel the chat's active run, keeping the partial answer; nothing happens when none is active."""
        self._ports.agents.get(caller, agent)
        thread = await self._chats.find(caller, chat_id)
        run = None if thread is None else await self._chats.active(caller, thread.id)
        if run is not None:
            await self._ports.runs.cancel(caller, run.id)
        return Response(status_code=204)

    # --- turns

    async def _say(
        self, request: Request, caller: Caller, thread: Thread, start: StartRun, said: Said
    ) -> Response:
        parent, key = None, decode.repeat_key(said, thread_id=thread.id)
        if said.edits:
            before = await self._chats.message_of(caller, thread.id, said.message_id)
            if before is not None:
                # An edit is a sibling of what it replaces; "" is the root.
                parent, key = before.parent_id or "", None
        given = await self._parts(caller, said.parts)
        try:
            return await self._start(request, caller, start, given, parent, said.message_id, key)
        except Busy as busy:
            if parent is not None:
                raise
            return await self._answer_in_words(caller, busy, said)

    async def _again(
        self, request: Request, caller: Caller, thread: Thread, start: StartRun, again: Again
    ) -> Response:
        before = await self._chats.asked_by(caller, thread.id, again)
        if before is not None:
            return await self._start(request, caller, start, None, before.id, "", None)
        if again.said is None:
            raise Invalid("The chat has no message to answer again.", code="unknown_message")
        # The request that should have brought the message never came, or was refused.
        return await self._say(request, caller, thread, start, again.said)

    async def _start(  # noqa: PLR0913 - what differs between the ways to begin
        self,
        request: Request,
        caller: Caller,
        start: StartRun,
        given: Sequence[Part] | None,
        parent_id: str | None,
        message_id: str,
        key: IdempotencyKey | None,
    ) -> Response:
        metadata = {} if given is None else said_as(message_id)
        wanted = replace(start, input=given, parent_id=parent_id, metadata=metadata, idempotency=key)
        wanted = await with_context(self._ports, caller, request, wanted)
        started = await self._ports.runs.start(caller, wanted)
        run_id = started.run.id
        past = await past_of(self._ports, caller, run_id) if started.replayed else None
        return stream(self._ports, caller, run_id, past=past, after=past.begins[-1] if past else 0)

    async def _reply(self, caller: Caller, chat_id: str, replied: Replied) -> Response:
        thread = await self._chats.find(caller, chat_id)
        run = None if thread is None else await self._chats.waiting(caller, thread.id)
        if run is None:
            raise Conflict("No run of this chat waits for an answer.", code="not_waiting")
        past = await past_of(self._ports, caller, run.id)
        given = decode.answers(replied, run.questions, asked=past.turns.asked, words=past.turns.words)
        return await self._go_on(caller, run.id, given, past.tail)

    async def _answer_in_words(self, caller: Caller, busy: Busy, said: Said) -> Response:
        """Answer the one open question of the run that is in the way, if words can; else it stays in the way."""
        run = await self._ports.runs.get(caller, busy.active_run_id)
        if run.status != "waiting" or len(run.questions) != 1:
            raise busy
        (question,) = run.questions
        past = await past_of(self._ports, caller, run.id)
        if question.question_id not in past.turns.words:
            raise busy
        if not said.text or any(not isinstance(part, str) for part in said.parts):
            raise Unsupported(
                "The agent waits for an answer in words; a file is none.", code="answer_mismatch"
            )
        given = [Answer(question_id=question.question_id, value=said.text)]
        return await self._go_on(caller, run.id, given, past.tail)

    async def _go_on(self, caller: Caller, run_id: str, given: Sequence[Answer], tail: int) -> Response:
        answered = await self._ports.runs.answer(caller, run_id, given)
        run = answered.run or await self._ports.runs.get(caller, run_id)
        past = await past_of(self._ports, caller, run_id)
        if run.status == "waiting" and run.questions:
            return await asks_again(self._ports, caller, run, past=past)
        mine = [answer.question_id for answer in given]
        return stream(self._ports, caller, run_id, past=past, after=tail, given=mine)

    async def _told_again(self, caller: Caller, thread: Thread | None, message_id: str) -> Response:
        run_id, number = run_id_of(message_id)
        run = await self._ports.runs.get(caller, run_id)
        past = await past_of(self._ports, caller, run_id)
        if thread is None or run.thread_id != thread.id or not 0 < number <= len(past.begins):
            raise NotFound("The chat has no such message.")
        return stream(self._ports, caller, run_id, past=past, after=past.begins[number - 1])

    async def _parts(self, caller: Caller, given: Sequence[Given]) -> list[Part]:
        found: list[Part] = []
        for part in given:
            if isinstance(part, str):
                found.append(TextPart(text=part))
                continue
            found.append(part_of(await keep_file(self._ports.files, caller, part.name, part.data)))
        return found

    def routes(self) -> list[Entry]:
        """Return the table."""
        streamed: dict[int | str, Any] = {
            200: {
                "description": "A UI message stream (v1): `data:` frames with one chunk each, then `[DONE]`.",
                "content": {
                    "text/event-stream": {
                        "schema": {"type": "string"},
                        "example": 'data: {"type":"start","messageId":"0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"}\n\n',
                    }
                },
            }
        }
        idle = {204: {"description": "No run of the chat is active."}}
        one = "/ai/{agent}/{chat_id:path}"  # clients make the ids up, and a slash may be in one
        return [
            Entry(method="POST", path="/ai/{agent}", endpoint=self.chat, name="ai_sdk_chat",
                  summary="Take a turn of a chat", docs={"responses": streamed}),
            Entry(method="GET", path=f"{one}/stream", endpoint=self.resume, name="ai_sdk_resume",
                  summary="Resume a chat's stream", docs={"responses": {**streamed, **idle}}),
            Entry(method="POST", path=f"{one}/stop", endpoint=self.stop, name="ai_sdk_stop", status=204,
                  summary="Stop a chat's active run", docs={"responses": idle}),
        ]  # fmt: skip
