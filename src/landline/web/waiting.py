"""Waiting for work on behalf of a client who may leave, on a server that may stop."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.requests import Request
from starlette.types import Receive

from landline.model.times import iso
from landline.web.door import Door
from landline.web.leases import revoked

__all__ = ["Ending", "disconnected", "now", "until_gone"]

Ending = Literal["done", "gone", "drained"]


async def until_gone(work: Coroutine[Any, Any, None], *, request: Request, door: Door) -> Ending:
    """Run `work` and say how it ended: by itself, because the client left, or because the server drains.

    In the last two cases it was cancelled and has come to its end. What `work` raises is raised.

    Raises:
        Unauthenticated: The credential of the request stopped holding meanwhile; `work` has come to its end.
    """
    drain = door.drain
    task = asyncio.create_task(work)
    gone = asyncio.create_task(disconnected(request.receive))
    unwatch = drain.watch(task.cancel)
    lease = door.leases.hold(request.scope.get("state", {}).get("caller"), task.cancel)
    try:
        await asyncio.wait({task, gone}, return_when="FIRST_COMPLETED")
        left = gone.done() and not task.done()
    finally:
        lease.release()
        unwatch()
        task.cancel()
        gone.cancel()
        await asyncio.wait({task, gone})
    if not task.cancelled():
        task.result()
        return "done"
    if lease.ended:
        raise revoked()
    return "gone" if left and not drain.started else "drained"


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone away; what it still sends is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass


def now() -> str:
    """Return the time of a request, for records."""
    return iso(datetime.now(UTC))
