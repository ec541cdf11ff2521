"""Signing in to this server's own pages through somebody else's (OpenID Connect), kept in a cookie (TRU-3)."""

from dataclasses import dataclass
from typing import Final, Protocol

from landline.model.callers import Caller

__all__ = ["LOGIN_S", "PAGE_S", "Begun", "PageSignIn"]

LOGIN_S: Final = 600
"""How long somebody may take to sign in at the provider."""
PAGE_S: Final = 12 * 3600
"""How long a page stays signed in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """Where the browser goes, and what it keeps meanwhile: signed, and of no use to any other browser."""

    url: str
    kept: str


class PageSignIn(Protocol):
    """The authorization code flow with PKCE, state and nonce (RFC 9700, 2.1)."""

    async def begin(self, callback: str) -> Begun:
        """Begin a sign-in whose answer comes back to `callback`. Raises Unavailable."""
        ...

    async def finish(self, kept: str, *, state: str, code: str) -> str:
        """Return the cookie of whoever signed in.

        Raises:
            Unauthenticated: The answer is not to the question that this browser asked, or the provider vouches for nobody.
            Unavailable: The provider cannot be reached.
        """
        ...

    async def caller(self, cookie: str) -> Caller:
        """Return who a cookie signs in. Raises Unauthenticated."""
        ...

    async def end(self, cookie: str, *, back: str) -> str | None:
        """Sign out here; a cookie that does not hold is none.

        Returns where the browser goes to be signed out at the provider too, which sends it `back`; None where the provider
        knows no such thing or cannot be reached.
        """
        ...

    async def holds(self, caller: Caller) -> bool:
        """Tell whether the cookie that made `caller` still signs in."""
        ...
