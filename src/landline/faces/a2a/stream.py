"""A task's frames as server-sent events, on both wires."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
from starlette.types import Scope

from landline.faces.a2a.encode import Frame
from landline.faces.a2a.tasks import TaskRef, Tasks
from landline.model.callers import Caller
from landline.web.sse import EventStream

__all__ = ["stream"]

_CLOSING: Final = b": the server is stopping; subscribe again\n\n"
"""A comment: clients of this protocol take every event for one of the task's."""

_encode: Final = msgspec.json.Encoder().encode


def stream(
    tasks: Tasks,
    caller: Caller,
    task: TaskRef,
    *,
    wrap: Callable[[Frame], Any],
    error_frame: Callable[[Exception, Scope], bytes],
) -> EventStream:
    """Return the stream of a task; `wrap` puts a frame into its wire's envelope."""

    async def pieces() -> AsyncIterator[bytes]:
        async for frames in tasks.frames(caller, task):
            yield b"".join([b"data: %s\n\n" % _encode(wrap(frame)) for frame in frames])

    return EventStream(pieces(), door=tasks.ports.door, error_frame=error_frame, closing=_CLOSING)
