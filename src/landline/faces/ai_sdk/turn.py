"""One run as a UI message stream: from its beginning, or from where an answer lets it go on.

The request only appended to the log; from here on it only follows it (RUN-2). A client that leaves changes nothing, as
the AI SDK wants it of streams that can be resumed: its `stop()` closes the connection and is no request to stop.
"""

from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing
from typing import Final, cast

from starlette.types import Scope

from landline.faces.ai_sdk.chunks import DONE, sse
from landline.faces.ai_sdk.encode import Encoder
from landline.faces.ai_sdk.errors import tell_in_stream
from landline.faces.ai_sdk.past import Past
from landline.model.callers import Caller
from landline.model.errors import NotFound
from landline.model.events import FileAdded, Stamped
from landline.model.runs import Run
from landline.web.face import FacePorts
from landline.web.sse import EventStream

__all__ = ["asks_again", "past_of", "stream"]

HEADERS: Final = {"x-vercel-ai-ui-message-stream": "v1"}
CLOSING: Final = (
    b"retry: 1000\n" + sse([{"type": "error", "errorText": "The server restarts; resume the stream."}]) + DONE
)
"""Said on drain: an error, because a stream that just ends would look like a whole answer."""


async def past_of(ports: FacePorts, caller: Caller, run_id: str) -> Past:
    """Return what a run's log holds now."""
    past = Past()
    async with _followed(ports, caller, run_id, live=False) as batches:
        async for batch in batches:
            for stamped in batch:
                past.take(stamped)
    return past


def stream(
    ports: FacePorts,
    caller: Caller,
    run_id: str,
    *,
    past: Past | None = None,
    after: int = 0,
    given: Collection[str] = (),
) -> EventStream:
    """Return a run as a stream: what comes after an event, of the UI message that is current there.

    Args:
        past: What the log held before, without which nothing of it may have been taken back.
        after: 0, the beginning of a UI message, or the wait that an answer ended.
        given: The questions that the client answered with this request.
    """
    files: dict[str, str] = {}
    encoder = Encoder(dropped=past.dropped if past else (), after=after, files=files, given=given)

    async def pieces() -> AsyncIterator[bytes]:
        async with _followed(ports, caller, run_id) as batches:
            async for batch in batches:
                await _fetch(ports, caller, batch, files)
                chunks = [chunk for stamped in batch for chunk in encoder.take(stamped)]
                if chunks:
                    yield sse(chunks)
                if encoder.ended:
                    break
        yield sse(encoder.end()) + DONE

    return _response(ports, pieces())


async def asks_again(ports: FacePorts, caller: Caller, run: Run, *, past: Past) -> EventStream:
    """Return a stream that only asks again for what is still open of a waiting run."""
    encoder = Encoder(dropped=past.dropped, after=past.tail)
    async with _followed(ports, caller, run.id, live=False) as batches:
        async for batch in batches:
            for stamped in batch:
                if stamped.seq <= past.tail:
                    encoder.take(stamped)

    async def pieces() -> AsyncIterator[bytes]:
        yield sse(encoder.again(run.id, run.thread_id, run.questions)) + DONE

    return _response(ports, pieces())


def _followed(
    ports: FacePorts, caller: Caller, run_id: str, *, live: bool = True
) -> "aclosing[AsyncGenerator[Sequence[Stamped], None]]":
    batches = ports.runs.follow(caller, run_id, live=live)
    return aclosing(cast("AsyncGenerator[Sequence[Stamped], None]", batches))


def _response(ports: FacePorts, pieces: AsyncIterator[bytes]) -> EventStream:
    return EventStream(pieces, door=ports.door, headers=HEADERS, error_frame=_error_frame, closing=CLOSING)


def _error_frame(error: Exception, scope: Scope) -> bytes:
    return sse([tell_in_stream(error, scope)]) + DONE


async def _fetch(ports: FacePorts, caller: Caller, batch: Sequence[Stamped], files: dict[str, str]) -> None:
    """Read the files that a batch tells of: the wire carries them whole, as data URLs."""
    for stamped in batch:
        event = stamped.event() if stamped.type == "file" else None
        if isinstance(event, FileAdded) and event.file_id not in files:
            try:
                info, data = await ports.files.read(caller, event.file_id)
            except NotFound:
                continue  # it was deleted; its name is still told
            files[event.file_id] = f"data:{info.media_type};base64,{b64encode(data).decode()}"
