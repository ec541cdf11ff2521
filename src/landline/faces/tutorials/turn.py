"""One turn over HTTP: start a run, then wait for its end or stream it. Whoever leaves changes nothing: the run goes on."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from landline.faces.tutorials.encode import End, TextTurn
from landline.faces.tutorials.errors import Failure, Gone, RunEnded, not_found, of_error
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import Draining, Invalid, NotFound
from landline.model.events import Stamped
from landline.model.runs import Run
from landline.model.threads import Thread
from landline.ports.runs import StartRun
from landline.web.caller import with_context
from landline.web.face import FacePorts
from landline.web.route import LandlineRoute
from landline.web.sse import EventStream
from landline.web.waiting import until_gone

__all__ = [
    "CurlRoute",
    "Frames",
    "agent_named",
    "answered",
    "checked",
    "json_response",
    "owned",
    "started",
    "streamed",
]

_encode: Final = msgspec.json.Encoder().encode
_FORM: Final = "application/x-www-form-urlencoded"
_CREDENTIALS: Final = frozenset({b"x-api-key", b"authorization"})


class Frames(Protocol):
    """Turns events into the frames of one wire; `over` once the last was said."""

    @property
    def over(self) -> bool:
        """Whether the last frame was said."""
        ...

    def take(self, batch: Iterable[Stamped]) -> list[bytes]:
        """Return the frames of these events."""
        ...

    def close(self) -> list[bytes]:
        """Return what is said when no event comes any more."""
        ...

    def failed(self, failure: Failure) -> bytes:
        """Return the last frame of a stream that broke."""
        ...


class CurlRoute(LandlineRoute):
    """Takes JSON also under the content type that curl sends by itself, or under none, if a credential's header is there.

    A page of another origin can send such a body with the user's network position, but no such header without being
    asked for leave first (CSRF, clarification 25).
    """

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Name the body what it is, then go the way of every route."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            return await handle(_as_json(request))

        return handled


def _as_json(request: Request) -> Request:
    headers = cast("list[tuple[bytes, bytes]]", request.scope["headers"])
    kind = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    bodiless = (
        request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers
    )
    if kind != _FORM or bodiless or not any(name in _CREDENTIALS for name, _ in headers):
        return request
    named = [pair for pair in headers if pair[0] != b"content-type"]
    scope = {**request.scope, "headers": [*named, (b"content-type", b"application/json")]}
    return Request(scope, request.receive)


def json_response(value: object, *, status: int = 200) -> Response:
    """Return `value` as JSON."""
    return Response(_encode(value), status, media_type="application/json")


async def owned(ports: FacePorts, caller: Caller, thread_id: str, *, what: str) -> Thread:
    """Return the caller's thread. Raises NotFound in the tutorials' words: `Session not found`."""
    try:
        return await ports.threads.get(caller, thread_id)
    except NotFound:
        raise not_found(what, code=f"{what.lower()}_not_found") from None


def agent_named(ports: FacePorts, caller: Caller, name: str | None) -> AgentInfo:
    """Return the agent of this name, or the only one that there is.

    Raises:
        NotFound: There is no such agent.
        Invalid: There are several, and none is named.
    """
    if name is not None:
        return ports.agents.get(caller, name)
    usable = [info for info in ports.agents.list(caller) if info.error is None]
    if len(usable) != 1:
        known = ", ".join(info.name for info in usable[:20]) or "none"
        raise Invalid(f"Name the `agent`: this server has {known}.", code="agent_missing")
    return usable[0]


async def started(ports: FacePorts, request: Request, caller: Caller, wanted: StartRun) -> Run:
    """Accept a run, with the host's context where there is one."""
    return (await ports.runs.start(caller, await with_context(ports, caller, request, wanted))).run


async def answered(ports: FacePorts, request: Request, caller: Caller, run: Run) -> tuple[Run, End]:
    """Return a run that was accepted, once it has its answer.

    Raises:
        RunEnded: It has none.
        Gone: The client left.
        Draining: The server stops; the run goes on after it.
    """
    turn = TextTurn(whole=True)

    async def follow() -> None:
        async for batch in ports.runs.follow(caller, run.id, at_once=False):
            for stamped in batch:
                turn.take(stamped)
        turn.close()

    match await until_gone(follow(), request=request, door=ports.door):
        case "gone":
            raise Gone
        case "drained":
            raise Draining
        case "done":
            pass
    return await ports.runs.get(caller, run.id), checked(turn.end)


def checked(end: End | None) -> End:
    """Return the end of a turn that has an answer. Raises RunEnded for one that has none."""
    if end is None:
        raise RuntimeError("a log ended without an end")
    if end.failure is not None:
        raise RunEnded(end.failure)
    return end


def streamed(
    ports: FacePorts, caller: Caller, run_id: str, frames: Frames, *, headers: dict[str, str] | None = None
) -> EventStream:
    """Return a run as a stream of this wire's frames."""

    def broke(error: Exception, scope: Scope) -> bytes:
        return frames.failed(of_error(error, scope)[0])

    pieces = _pieces(ports.runs.follow(caller, run_id), frames)
    return EventStream(pieces, door=ports.door, headers=headers, error_frame=broke)


async def _pieces(batches: AsyncIterator[Sequence[Stamped]], frames: Frames) -> AsyncIterator[bytes]:
    async with aclosing(cast("AsyncGenerator[Sequence[Stamped], None]", batches)) as source:
        async for batch in source:
            if said := frames.take(batch):
                yield b"".join(said)
            if frames.over:
                return
    if said := frames.close():
        yield b"".join(said)
