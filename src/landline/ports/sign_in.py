"""Signing in without a key: with a password, once, and then with tokens that end by themselves (TRU-3)."""

from dataclasses import dataclass
from typing import Protocol

from landline.model.errors import RateLimited

__all__ = ["SignIn", "SignedIn", "TooManySignIns"]


class TooManySignIns(RateLimited):
    """The name or the address has failed too often; says nothing of whether there is such a user."""

    code = "too_many_sign_ins"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """What a client gets. The access token is sent with requests, the refresh token once, for the next pair."""

    access_token: str
    refresh_token: str
    expires_in_s: int
    tenant: str
    user: str


class SignIn(Protocol):
    """Signing in, staying so, and ending it."""

    async def sign_in(
        self, name: str, password: str, *, tenant: str | None = None, address: str | None = None
    ) -> SignedIn:
        """Check a password and return tokens. `tenant` None is the owner's default, `address` the client's as limits
        count it, None where it has none.

        Raises:
            Unauthenticated: In the same words, after the same work, for no such user and a wrong password.
            TooManySignIns: Too many failed, for this name or from this address.
        """
        ...

    async def refresh(self, refresh_token: str) -> SignedIn:
        """Return new tokens for a refresh token, which holds no more.

        Raises:
            Unauthenticated: It does not hold. If it did once, somebody has a copy: all that came of the same sign-in ends.
        """
        ...

    async def revoke(self, token: str) -> None:
        """End the sign-in that an access or refresh token came of; says nothing of whether there was one (RFC 7009)."""
        ...
