"""Tokens for clients that cannot send a header: an EventSource, a browser's WebSocket (TRU-7)."""

from typing import Final, Protocol

from landline.model.callers import Caller

__all__ = ["STREAM_TOKEN_S", "STREAM_TOKEN_SCOPES", "StreamTokens"]

STREAM_TOKEN_S: Final = 60
"""How long one may be used to open something; what is open stays so while the caller's credential holds."""
STREAM_TOKEN_SCOPES: Final = frozenset({"threads:read", "runs:read", "runs:write", "approvals:answer"})
"""The most that one carries of its caller's scopes: what a page does on one thread."""


class StreamTokens(Protocol):
    """Signed here, and good for one caller and one thread."""

    async def sign(self, caller: Caller, thread_id: str) -> str:
        """Return a token for `caller` on that thread, which the caller was seen to own."""
        ...

    async def open(self, token: str) -> tuple[Caller, str]:
        """Return whose token it is, and of which thread.

        Raises:
            Unauthenticated: It does not hold, or the credential it came from does not any more.
        """
        ...
