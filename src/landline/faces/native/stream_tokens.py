"""Tokens for an EventSource and a browser's WebSocket, which cannot send a header (TRU-7)."""

from starlette.responses import Response

from landline.faces.native import documents
from landline.faces.native.encode import json_response
from landline.faces.native.turn import PREFIX
from landline.faces.native.wire import Body, Id
from landline.ports.stream_tokens import STREAM_TOKEN_S, StreamTokens
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.route import Entry, requires

__all__ = ["StreamTokenRoutes"]


class StreamTokenBody(Body):
    """The thread whose runs shall be followed."""

    thread_id: Id


class StreamTokenRoutes:
    """The handler, and the table that says where it is."""

    def __init__(self, ports: FacePorts, tokens: StreamTokens) -> None:
        self._ports, self._tokens = ports, tokens

    @requires("runs:read")
    async def make(self, body: StreamTokenBody, caller: CallerOf) -> Response:
        """Return a token that opens streams of one thread of the caller's, and its socket, for a minute."""
        thread = await self._ports.threads.get(caller, body.thread_id)
        token = await self._tokens.sign(caller, thread.id)
        told = {"stream_token": token, "thread_id": thread.id, "expires_in": STREAM_TOKEN_S}
        return json_response(told, status=201, headers={"cache-control": "no-store"})

    def routes(self) -> list[Entry]:
        """Return the table."""
        id_ = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"
        example = {"stream_token": "eyJhbGciOiJIUzI1NiIs…", "thread_id": id_, "expires_in": STREAM_TOKEN_S}
        made = {"description": "The token.", "content": {"application/json": {"example": example}}}
        return [
            Entry(method="POST", path=f"{PREFIX}/stream-tokens", endpoint=self.make, name="make_stream_token", status=201,
                  summary="A token for an EventSource or a socket",
                  docs={"responses": {201: made, **documents.problems(404, 415)}}),
        ]  # fmt: skip
