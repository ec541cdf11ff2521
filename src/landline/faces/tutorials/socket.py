"""The patterns' socket (FACE-5): `/ws/{client_id}`, one message after the other, on a thread of the caller's own.

The client's id is a name within its caller: whoever else takes the same id has another thread. The thread stays when the
socket goes, so that a client which comes back goes on.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec
from pydantic import ValidationError
from starlette.requests import Request

from landline.faces.tutorials import decode
from landline.faces.tutorials.errors import of_error
from landline.faces.tutorials.frames import SocketMessages, TextFrames
from landline.faces.tutorials.turn import agent_named
from landline.faces.tutorials.wire import SocketBody
from landline.model.callers import Caller
from landline.model.errors import Conflict, Invalid, LandlineError
from landline.web import strict_json
from landline.web.caller import with_context
from landline.web.face import FacePorts
from landline.web.faults import faults_of
from landline.web.named_threads import find_thread, thread_named
from landline.web.websocket import Socket

__all__ = ["SCOPES", "ClientSocket"]

SCOPES: Final = ("runs:write", "runs:read", "threads:write", "threads:read")
_FACE: Final = "tutorials"


@dataclass(slots=True)
class _Turn:
    run_id: str | None = None
    stop: bool = False


class ClientSocket:
    """What one accepted socket holds: the turn that is going on, if one is."""

    def __init__(
        self, socket: Socket, ports: FacePorts, request: Request, *, client_id: str, agent: str | None
    ) -> None:
        self._socket, self._ports, self._request = socket, ports, request
        self._client_id, self._agent = client_id, agent
        self._now: _Turn | None = None

    @property
    def _caller(self) -> Caller:
        return self._socket.caller

    async def serve(self) -> None:
        """Serve until the client leaves; a run that is going on then goes on without it."""
        self._socket.refused = self._refused
        async with asyncio.TaskGroup() as tasks:
            while True:
                raw = await self._socket.receive()
                try:
                    await self._take(raw, tasks)
                except LandlineError as error:
                    await self._tell(error)

    async def _refused(self, error: LandlineError, _: bytes) -> None:
        await self._tell(error)

    async def _take(self, raw: bytes, tasks: asyncio.TaskGroup) -> None:
        body = _body(raw)
        if body.message is None:
            await self._cancel()
        elif self._now is not None:
            raise Conflict("One message at a time: wait for `complete`, or send the action `cancel`.")
        else:
            self._now = _Turn()
            tasks.create_task(self._turn(body.message, self._now))

    async def _cancel(self) -> None:
        if self._now is None:
            raise Conflict("There is nothing to cancel.", code="nothing_to_cancel")
        if self._now.run_id is None:
            self._now.stop = True  # accepted in this moment; stopped as soon as it has an id
        else:
            await self._ports.runs.cancel(self._caller, self._now.run_id)

    async def _turn(self, message: str, turn: _Turn) -> None:
        try:
            await self._run(message, turn)
        except LandlineError as error:
            self._over(turn)
            await self._tell(error)
        finally:
            self._over(turn)

    async def _run(self, message: str, turn: _Turn) -> None:
        wanted = decode.message(message, thread_id=await self._thread(), agent=self._agent)
        wanted = await with_context(self._ports, self._caller, self._request, wanted)
        run = (await self._ports.runs.start(self._caller, wanted)).run
        turn.run_id = run.id
        if turn.stop:
            await self._ports.runs.cancel(self._caller, run.id)
        frames = TextFrames(SocketMessages())
        async for batch in self._ports.runs.follow(self._caller, run.id):
            said = frames.take(batch)
            if frames.over:
                self._over(turn)
            await self._socket.send(*said)
        if said := frames.close():
            self._over(turn)
            await self._socket.send(*said)

    def _over(self, turn: _Turn) -> None:
        """Take the next message: before the client is told, or it could come too early."""
        if self._now is turn:
            self._now = None

    async def _thread(self) -> str:
        found = await find_thread(self._ports, self._caller, face=_FACE, name=self._client_id)
        if found is None:
            info = agent_named(self._ports, self._caller, self._agent)
            found = await thread_named(
                self._ports, self._caller, face=_FACE, name=self._client_id, agent=info.name
            )
        return found.id

    async def _tell(self, error: LandlineError) -> None:
        failure, _ = of_error(error, self._request.scope)
        await self._socket.send(msgspec.json.encode({"type": "error", **failure.body}))


def _body(raw: bytes) -> SocketBody:
    data = strict_json.parse(raw)
    try:
        return SocketBody.model_validate(data)
    except ValidationError as error:
        faults = faults_of(error.errors(), data)
        raise Invalid(
            "The message does not fit; see errors.", code="invalid_request", errors=faults
        ) from None
