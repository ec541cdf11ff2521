"""One turn over HTTP: what `wait`, `stream` and `background` answer once the run is accepted.

The request only appended to the log; from here on it only follows it (RUN-2). So whoever leaves changes nothing, unless
the run was started with `on_disconnect: cancel`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Literal, cast

from starlette.requests import Request
from starlette.responses import Response

from landline.faces.native.encode import json_response
from landline.model.callers import Caller
from landline.model.events import Stamped
from landline.model.runs import OnDisconnect
from landline.ports.runs import Started
from landline.web.face import FacePorts
from landline.web.sse import EventStream, frames
from landline.web.waiting import until_gone

__all__ = ["PREFIX", "follow_stream", "location", "respond_to_start", "to_the_end"]

PREFIX = "/api/v1"


def location(request: Request, path: str) -> str:
    """Return where `path` lives, below whatever the routes were mounted under; never from the Host header."""
    before, _, _ = str(request.scope["path"]).partition(PREFIX + "/")
    return f"{before}{PREFIX}{path}"


async def respond_to_start(
    ports: FacePorts,
    request: Request,
    caller: Caller,
    started: Started,
    *,
    mode: Literal["wait", "stream", "background"],
    on_disconnect: OnDisconnect,
) -> Response:
    """Answer an accepted run in the way the client asked for."""
    run = started.run
    headers = {"location": location(request, f"/runs/{run.id}")}
    if started.replayed:
        headers["idempotency-replayed"] = "true"
    if mode == "background":
        return json_response(run, status=202, headers=headers)
    cancels = on_disconnect == "cancel"
    if mode == "stream":
        return follow_stream(ports, caller, run.id, after=0, headers=headers, cancels=cancels)
    return await _wait(ports, request, caller, run.id, headers=headers, cancels=cancels)


def follow_stream(
    ports: FacePorts,
    caller: Caller,
    run_id: str,
    *,
    after: int,
    headers: dict[str, str] | None = None,
    cancels: bool = False,
) -> EventStream:
    """Return the run's events after a cursor, as SSE."""

    async def cancel() -> None:
        await ports.runs.cancel(caller, run_id)

    pieces = _pieces(ports.runs.follow(caller, run_id, after=after))
    return EventStream(pieces, door=ports.door, on_gone=cancel if cancels else None, headers=headers)


async def _pieces(batches: AsyncIterator[Sequence[Stamped]]) -> AsyncIterator[bytes]:
    async with aclosing(cast("AsyncGenerator[Sequence[Stamped], None]", batches)) as source:
        async for batch in source:
            yield frames(batch)


async def _wait(
    ports: FacePorts,
    request: Request,
    caller: Caller,
    run_id: str,
    *,
    headers: dict[str, str],
    cancels: bool,
) -> Response:
    follows = to_the_end(ports, caller, run_id)
    match await until_gone(follows, request=request, door=ports.door):
        case "gone":
            if cancels:
                await ports.runs.cancel(caller, run_id)
            return Response(status_code=499)  # Nobody reads it.
        case "drained":
            # Accepted and durable: the run goes on after the restart, and Location is where to find it.
            run = await ports.runs.get(caller, run_id)
            return json_response(run, status=202, headers={**headers, "retry-after": "2"})
        case "done":
            return json_response(await ports.runs.get(caller, run_id), headers=headers)


async def to_the_end(ports: FacePorts, caller: Caller, run_id: str) -> None:
    """Return when the run has ended or waits for a human."""
    async for _ in ports.runs.follow(caller, run_id, at_once=False):
        pass
