"""The lesson's chat (FACE-2): `/chat`, `/chat/stream`, sessions, which are threads, and `/health`."""

from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.tutorials import decode
from landline.faces.tutorials.documents import answer, problems, stream
from landline.faces.tutorials.frames import Deltas, Lesson, TextFrames
from landline.faces.tutorials.turn import agent_named, answered, json_response, owned, started, streamed
from landline.faces.tutorials.wire import ChatBody, SessionBody
from landline.model.callers import Caller
from landline.model.errors import Busy
from landline.ports.routing import AUTO
from landline.ports.runs import StartRun
from landline.ports.store import MessageQuery, RunQuery
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.health import Health
from landline.web.paging import MAX_LIMIT, CursorParam, LimitParam
from landline.web.route import Entry, public, requires, streams, uncounted

__all__ = ["HealthRoute", "LessonRoutes"]

SESSION: Final = "Session"
_MOST_CANCELS: Final = 100

SessionId = Annotated[str, Path(max_length=64)]
StyleParam = Annotated[
    Literal["events", "delta"],
    Query(description="`events`: session, token, done. `delta`: frames {delta}, then {done, final}."),
]


class LessonRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports

    @requires("runs:write", "runs:read")
    async def chat(self, request: Request, body: ChatBody, caller: CallerOf) -> Response:
        """Answer one message; without `session_id` it opens a session."""
        run = await started(self._ports, request, caller, await self._wanted(caller, body))
        run, end = await answered(self._ports, request, caller, run)
        return json_response(
            {
                "response": end.text,
                "session_id": run.thread_id,
                "tokens_used": end.tokens,
                "model": run.model or run.agent,
            }
        )

    @requires("runs:write", "runs:read")
    @streams
    async def chat_stream(
        self, request: Request, body: ChatBody, caller: CallerOf, style: StyleParam = "events"
    ) -> Response:
        """Stream the answer to one message."""
        run = await started(self._ports, request, caller, await self._wanted(caller, body))
        frames = TextFrames(Deltas() if style == "delta" else Lesson())
        return streamed(self._ports, caller, run.id, frames)

    @requires("threads:write")
    async def open_session(self, caller: CallerOf, body: SessionBody | None = None) -> Response:
        """Open a session."""
        info = agent_named(self._ports, caller, body.agent if body else None)
        thread, _ = await self._ports.threads.create(caller, agent=info.name)
        return json_response({"session_id": thread.id}, status=201)

    @requires("threads:read", "runs:read")
    async def get_session(
        self,
        session_id: SessionId,
        caller: CallerOf,
        limit: LimitParam = MAX_LIMIT,
        cursor: CursorParam = None,
    ) -> Response:
        """Return a session's counts, and its messages, oldest first; `next_cursor` is there when they go on."""
        thread = await owned(self._ports, caller, session_id, what=SESSION)
        page = await self._ports.threads.messages(
            caller, MessageQuery(thread_id=thread.id, limit=limit, cursor=cursor)
        )
        told: dict[str, Any] = {
            "session_id": thread.id,
            "message_count": thread.message_count,
            "tokens_used": await self._tokens(caller, thread.id),
            "messages": [
                {"role": message.role, "content": message.content, "created_at": message.created_at}
                for message in page.items
            ],
        }
        if page.next_cursor is not None:
            told["next_cursor"] = page.next_cursor
        return json_response(told)

    @requires("threads:write", "runs:write")
    async def delete_session(self, session_id: SessionId, caller: CallerOf) -> Response:
        """Stop what runs on a session, and delete it."""
        thread = await owned(self._ports, caller, session_id, what=SESSION)
        for _ in range(_MOST_CANCELS):
            try:
                await self._ports.threads.delete(caller, thread.id)
                break
            except Busy as busy:  # another may wait behind it
                await self._ports.runs.cancel(caller, busy.active_run_id)
        else:
            await self._ports.threads.delete(caller, thread.id)
        return Response(status_code=204)

    async def _wanted(self, caller: Caller, body: ChatBody) -> StartRun:
        thread_id = None
        name = body.agent
        if body.session_id is not None:
            thread = await owned(self._ports, caller, body.session_id, what=SESSION)
            thread_id, name = thread.id, name or thread.agent
        info = None if name == AUTO else agent_named(self._ports, caller, name)
        return decode.message(
            body.message,
            agent=AUTO if info is None else info.name,
            thread_id=thread_id,
            settings=decode.settings(body.temperature, info),
        )

    async def _tokens(self, caller: Caller, thread_id: str) -> int:
        total, cursor = 0, None
        while True:
            page = await self._ports.runs.history(
                caller, RunQuery(thread_id=thread_id, limit=MAX_LIMIT, cursor=cursor)
            )
            total += sum(run.usage.total_tokens for run in page.items)
            cursor = page.next_cursor
            if cursor is None:
                return total

    def routes(self) -> list[Entry]:
        """Return the table."""
        id_ = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"
        said = {
            "response": "Retrieval, then an answer.",
            "session_id": id_,
            "tokens_used": 16,
            "model": "scripted",
        }
        frames = f"event: session\ndata: {id_}\n\nevent: token\ndata: Retrieval\n\nevent: done\ndata: 16\n\n"
        detail = {"session_id": id_, "message_count": 2, "tokens_used": 16, "messages": [
            {"role": "user", "content": "What is RAG?", "created_at": "2026-11-21T08:00:00.123Z"}]}  # fmt: skip
        turn = problems(404, 408, 409, 415, 502, 504)
        return [
            Entry(method="POST", path="/chat", endpoint=self.chat, name="lesson_chat", summary="Chat",
                  docs={"responses": {200: answer(said, "The answer."), **turn}}),
            Entry(method="POST", path="/chat/stream", endpoint=self.chat_stream, name="lesson_chat_stream",
                  summary="Chat, streamed", docs={"responses": {200: stream(frames), **problems(404, 409, 415)}}),
            Entry(method="POST", path="/sessions", endpoint=self.open_session, name="lesson_open_session", status=201,
                  summary="Open a session",
                  docs={"responses": {201: answer({"session_id": id_}, "It is open."), **problems(404, 415)}}),
            Entry(method="GET", path="/sessions/{session_id}", endpoint=self.get_session, name="lesson_get_session",
                  summary="Get a session", docs={"responses": {200: answer(detail, "The session."), **problems(404)}}),
            Entry(method="DELETE", path="/sessions/{session_id}", endpoint=self.delete_session, status=204,
                  name="lesson_delete_session", summary="Delete a session",
                  docs={"responses": {204: {"description": "It is gone."}, **problems(404, 409)}}),
        ]  # fmt: skip


class HealthRoute:
    """`/health` in the lesson's shape; the native face has the same route, and whichever comes first answers alike."""

    def __init__(self, health: Health) -> None:
        self._health = health

    @public
    @uncounted
    async def health(self) -> Response:
        """Say how the server is."""
        active = self._health.sessions_active()
        return json_response(
            {"status": "healthy", "sessions_active": active, "version": self._health.version}
        )

    def routes(self) -> list[Entry]:
        """Return the table."""
        said = {"status": "healthy", "sessions_active": 0, "version": "0.1.0"}
        return [
            Entry(method="GET", path="/health", endpoint=self.health, name="lesson_health", summary="How is the server",
                  docs={"responses": {200: answer(said, "How it is.")}}),
        ]  # fmt: skip
