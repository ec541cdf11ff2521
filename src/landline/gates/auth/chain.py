"""One way in for every kind of credential: keys of ours, and tokens where the owner takes them."""

from typing import Protocol

from landline.gates.auth.compact import looks_like_token
from landline.gates.auth.keys import PREFIX
from landline.model.callers import Caller
from landline.ports.authenticator import Authenticator

__all__ = ["KeysAndTokens", "TokenAuthenticator"]


class TokenAuthenticator(Protocol):
    """Turns a signed token into a caller."""

    async def authenticate(self, token: str) -> Caller:
        """Return who the token says its bearer is. Raises Unauthenticated, Unavailable."""
        ...


class KeysAndTokens:
    """Keys as `keys` takes them, and tokens; which of both a credential is, its form says.

    A token is honoured or refused also where everybody else is the local user: it names somebody.
    """

    def __init__(self, keys: Authenticator, tokens: TokenAuthenticator, *, prefix: str = PREFIX) -> None:
        self._keys, self._tokens, self._prefix = keys, tokens, prefix

    @property
    def open(self) -> bool:
        """Whether a request without a credential is a local user."""
        return self._keys.open

    async def authenticate(self, credential: str | None) -> Caller:
        """Return who this is."""
        if credential is None or credential.startswith(self._prefix):
            return await self._keys.authenticate(credential)
        # An open server ignores what many clients must send as a key; what has the form of a token is no such thing.
        if self.open and not looks_like_token(credential):
            return await self._keys.authenticate(credential)
        return await self._tokens.authenticate(credential)
