"""One way in for every kind of credential: keys of ours, tokens of ours, and tokens of the owner's issuer."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar

from landline.gates.auth.compact import KID, BadToken, looks_like_token, read_compact
from landline.gates.auth.keys import PREFIX
from landline.model.callers import Caller
from landline.model.errors import Unauthenticated
from landline.ports.authenticator import LiveAuthenticator
from landline.ports.page_sign_in import Begun, PageSignIn
from landline.ports.sign_in import SignedIn, SignIn
from landline.ports.stream_tokens import StreamTokens

__all__ = [
    "KeysAndTokens",
    "LatePages",
    "LateSignIn",
    "LateStreamTokens",
    "LiveTokens",
    "TokenAuthenticator",
    "Tokens",
    "TokensAndSignIn",
]


_Made = TypeVar("_Made")


class TokenAuthenticator(Protocol):
    """Turns a signed token into a caller."""

    async def authenticate(self, token: str) -> Caller:
        """Return who the token says its bearer is. Raises Unauthenticated, Unavailable."""
        ...


class LiveTokens(TokenAuthenticator, Protocol):
    """One that can tell later whether a caller's token still holds."""

    async def holds(self, caller: Caller) -> bool:
        """Tell whether what made `caller` still holds."""
        ...


class TokensAndSignIn(SignIn, LiveTokens, Protocol):
    """Who gives tokens out knows them."""


class _Late(Generic[_Made]):
    """Something that is made when it is first wanted: what reads signatures takes 9 MB and a tenth of a second."""

    def __init__(self, make: Callable[[], _Made]) -> None:
        self._make = make
        self._making = asyncio.Lock()
        self._made: _Made | None = None

    async def _there(self) -> _Made:
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
            return self._made


class LateStreamTokens(_Late[StreamTokens]):
    """Stream tokens, made late."""

    async def sign(self, caller: Caller, thread_id: str) -> str:
        """Return a token; see the port."""
        return await (await self._there()).sign(caller, thread_id)

    async def open(self, token: str) -> tuple[Caller, str]:
        """Return whose token it is, and of which thread; see the port."""
        return await (await self._there()).open(token)


class LatePages(_Late[PageSignIn]):
    """Sign-ins of pages, made late."""

    async def begin(self, callback: str) -> Begun:
        """Begin a sign-in; see the port."""
        return await (await self._there()).begin(callback)

    async def finish(self, kept: str, *, state: str, code: str) -> str:
        """Finish it; see the port."""
        return await (await self._there()).finish(kept, state=state, code=code)

    async def caller(self, cookie: str) -> Caller:
        """Return who a cookie signs in; see the port."""
        return await (await self._there()).caller(cookie)

    async def end(self, cookie: str, *, back: str) -> str | None:
        """Sign out; see the port."""
        return await (await self._there()).end(cookie, back=back)

    async def holds(self, caller: Caller) -> bool:
        """Tell whether the cookie that made `caller` still signs in."""
        return await (await self._there()).holds(caller)


class LateSignIn(_Late[TokensAndSignIn]):
    """A sign-in, made late."""

    async def sign_in(
        self, name: str, password: str, *, tenant: str | None = None, address: str | None = None
    ) -> SignedIn:
        """Check a password; see the port."""
        return await (await self._there()).sign_in(name, password, tenant=tenant, address=address)

    async def refresh(self, refresh_token: str) -> SignedIn:
        """Return new tokens; see the port."""
        return await (await self._there()).refresh(refresh_token)

    async def revoke(self, token: str) -> None:
        """End a sign-in; see the port."""
        await (await self._there()).revoke(token)

    async def authenticate(self, token: str) -> Caller:
        """Return whose access token this is."""
        return await (await self._there()).authenticate(token)

    async def holds(self, caller: Caller) -> bool:
        """Tell whether the sign-in of `caller` still stands."""
        return await (await self._there()).holds(caller)


class Tokens:
    """Tokens of ours by the name of our key, all others as `foreign` takes them, which may be nobody."""

    def __init__(self, own: LiveTokens | None, foreign: LiveTokens | None) -> None:
        self._own, self._foreign = own, foreign

    async def authenticate(self, token: str) -> Caller:
        """Return who this is."""
        try:
            ours = self._own is not None and read_compact(token).kid == KID
        except BadToken:
            raise Unauthenticated("The credential does not hold.") from None
        reads = self._own if ours else self._foreign
        if reads is None:
            raise Unauthenticated("The credential does not hold.")
        return await reads.authenticate(token)

    async def holds(self, caller: Caller) -> bool:
        """Tell whether the token that made `caller` still holds."""
        reads = self._foreign if (caller.credential or "").startswith("jwt:") else self._own
        return reads is not None and await reads.holds(caller)


class KeysAndTokens:
    """Keys as `keys` takes them, and tokens; which of both a credential is, its form says.

    A token is honoured or refused also where everybody else is the local user: it names somebody.
    """

    def __init__(
        self, keys: LiveAuthenticator, tokens: LiveTokens, *, pages: PageSignIn | None = None
    ) -> None:
        """Cookies of `pages` are not taken here; whether they still hold is told all the same."""
        self._keys, self._tokens, self._pages = keys, tokens, pages

    @property
    def open(self) -> bool:
        """Whether a request without a credential is a local user."""
        return self._keys.open

    async def authenticate(self, credential: str | None) -> Caller:
        """Return who this is."""
        if credential is not None and self._is_token(credential):
            return await self._tokens.authenticate(credential)
        return await self._keys.authenticate(credential)

    async def holds(self, caller: Caller) -> bool:
        """Tell whether the credential that made `caller` is still good."""
        if self._pages is not None and (caller.credential or "").startswith("page:"):
            return await self._pages.holds(caller)
        of_token = (caller.credential or "").startswith(("jwt:", "sign-in:"))
        return await (self._tokens.holds(caller) if of_token else self._keys.holds(caller))

    async def act_for(self, caller: Caller, user: str) -> Caller:
        """Return `caller` as `user`; as for keys."""
        return await self._keys.act_for(caller, user)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Do what keys need done beside requests."""
        return self._keys.running()

    def _is_token(self, credential: str) -> bool:
        """An open server ignores what many clients must send as a key; what has the form of a token is no such thing."""
        ours = credential.startswith(PREFIX)
        return not ours and (looks_like_token(credential) or not self.open)
