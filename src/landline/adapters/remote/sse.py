"""Server-sent events as another server sends them: bounded, and never more than the frame that is read in memory."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from landline.adapters.remote.failures import failed

__all__ = ["Frame", "frames"]

MAX_FRAME = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """One event: its name, its data."""

    event: str
    data: str


async def frames(pieces: AsyncIterator[bytes], *, model: bool = False) -> AsyncIterator[Frame]:
    """Yield the whole frames of a body; one that the end cuts is not yielded.

    Raises:
        AgentFailed: A frame is too long, or is not UTF-8.
    """
    event, data, size = "", list[str](), 0
    async for line in _lines(pieces, model=model):
        if not line:
            if data:
                yield Frame(event or "message", "\n".join(data))
            event, data, size = "", [], 0
            continue
        size += len(line)
        if size > MAX_FRAME:
            raise failed("invalid_response", model=model)
        try:
            name, _, value = line.decode().partition(":")
        except UnicodeDecodeError:
            raise failed("invalid_response", model=model) from None
        value = value.removeprefix(" ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)


async def _lines(pieces: AsyncIterator[bytes], *, model: bool) -> AsyncIterator[bytes]:
    """Yield lines without their end, whichever of the three it is."""
    rest = b""
    async for piece in pieces:
        rest += piece
        # A last \r may be half of \r\n: it waits for the next piece.
        whole, held = (rest[:-1], rest[-1:]) if rest.endswith(b"\r") else (rest, b"")
        *lines, rest = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest += held
        for line in lines:
            yield line
        if len(rest) > MAX_FRAME:
            raise failed("invalid_response", model=model)
