"""The older wire's streams end when the edge says so.

The protocol's package streams with a response class that finds the server through its signal handler and ends every
stream at the first signal, before running runs have had their grace time. Under our door, where `Exchange` ends streams,
it waits instead; streams of anybody else's server in this process keep their way.
"""

import asyncio
from contextvars import ContextVar
from typing import Final

from mcp.server import streamable_http
from sse_starlette import EventSourceResponse

__all__ = ["UNDER_DOOR", "keep_to_the_door"]

UNDER_DOOR: Final[ContextVar[bool]] = ContextVar("landline_mcp_under_door", default=False)
"""Set while an exchange is served behind our door."""


class _Streams(EventSourceResponse):
    @staticmethod
    async def _listen_for_exit_signal() -> None:
        if UNDER_DOOR.get():
            await asyncio.Event().wait()
        await EventSourceResponse._listen_for_exit_signal()


def keep_to_the_door() -> None:
    """Have the protocol's transport use these streams; a second call changes nothing."""
    streamable_http.EventSourceResponse = _Streams  # pyright: ignore[reportPrivateImportUsage] - it offers no other way
