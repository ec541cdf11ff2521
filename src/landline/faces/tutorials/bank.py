"""The bank's queries on owned threads (FACE-3); threads themselves are made and read over the native routes."""

from typing import Annotated, Any, Final

from fastapi import Header
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.tutorials import decode
from landline.faces.tutorials.documents import answer, problems, stream
from landline.faces.tutorials.encode import as_text
from landline.faces.tutorials.frames import QueryFrames
from landline.faces.tutorials.turn import answered, json_response, owned, started, streamed
from landline.faces.tutorials.wire import QueryBody
from landline.model.callers import Caller
from landline.model.runs import Run
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.route import Entry, requires, streams

__all__ = ["BankRoutes"]

PREFIX: Final = "/api/v1/agent"

# What it means is the door's to say (TRU-4); here it stands for the document.
UserId = Annotated[
    str | None,
    Header(
        alias="X-User-ID",
        max_length=256,
        description="The user whose key this is; another one only with a key that may delegate.",
    ),
]


class BankRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports

    @requires("runs:write", "runs:read")
    async def query(
        self, request: Request, body: QueryBody, caller: CallerOf, _user_id: UserId = None
    ) -> Response:
        """Answer a query on a thread; a structured answer is a JSON string."""
        run = await self._started(request, body, caller)
        run, _ = await answered(self._ports, request, caller, run)
        return json_response(
            {"thread_id": run.thread_id, "message_id": run.message_id, "response": as_text(run.output)}
        )

    @requires("runs:write", "runs:read")
    @streams
    async def stream(
        self, request: Request, body: QueryBody, caller: CallerOf, _user_id: UserId = None
    ) -> Response:
        """Stream the answer to a query; each token of a structured answer is its whole JSON so far."""
        run = await self._started(request, body, caller)
        return streamed(self._ports, caller, run.id, QueryFrames())

    async def _started(self, request: Request, body: QueryBody, caller: Caller) -> Run:
        thread = await owned(self._ports, caller, body.thread_id, what="Thread")
        return await started(self._ports, request, caller, decode.message(body.query, thread_id=thread.id))

    def routes(self) -> list[Entry]:
        """Return the table."""
        id_ = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"
        said: dict[str, Any] = {
            "thread_id": id_,
            "message_id": id_,
            "response": '{"support_advice":"Block it."}',
        }
        frames = 'event: done\ndata: {"event":"done"}\n\n'
        return [
            Entry(method="POST", path=f"{PREFIX}/query", endpoint=self.query, name="bank_query",
                  summary="Ask the agent of a thread",
                  docs={"responses": {200: answer(said, "The answer."), **problems(404, 408, 409, 415, 502, 504)}}),
            Entry(method="POST", path=f"{PREFIX}/stream", endpoint=self.stream, name="bank_stream",
                  summary="Ask the agent of a thread, streamed",
                  docs={"responses": {200: stream(frames), **problems(404, 409, 415)}}),
        ]  # fmt: skip
