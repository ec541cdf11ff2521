"""Tokens that this server signs for itself: each kind for one use, and no kind for another's (RFC 8725, 3.11)."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

import jwt

from landline.gates.auth.compact import KID, BadToken, read_compact
from landline.gates.auth.jwt import OneKey, checked_times, verify
from landline.ports.clock import Clock

__all__ = ["ACCESS", "STREAM", "Signer"]

ISSUER: Final = "landline"
ACCESS: Final = "at+jwt"
STREAM: Final = "stream+jwt"
_ALGORITHM: Final = "HS256"


class Signer:
    """Signs and reads. The secret is asked for when the first token is."""

    def __init__(self, secret: Callable[[], str], clock: Clock) -> None:
        self._secret, self._clock = secret, clock

    @cached_property
    def _key(self) -> str:
        return self._secret()

    @cached_property
    def _source(self) -> OneKey:
        return OneKey(self._key, [_ALGORITHM])

    def sign(self, kind: str, claims: Mapping[str, Any], *, lives_s: float) -> str:
        """Return a token of `kind` that holds for `lives_s` seconds."""
        now = self._clock.now().timestamp()
        whole = {**claims, "iss": ISSUER, "iat": now, "exp": now + lives_s}
        return jwt.encode(whole, self._key, algorithm=_ALGORITHM, headers={"kid": KID, "typ": kind})

    async def read(self, kind: str, token: str) -> dict[str, Any]:
        """Return the claims of a token of `kind`. Raises BadToken."""
        compact = read_compact(token)
        if (compact.algorithm, compact.kid, compact.kind) != (_ALGORITHM, KID, kind):
            raise BadToken("not one of ours, or made for something else")
        claims = verify(compact, await self._source.key(_ALGORITHM, KID))
        checked_times(claims, now=self._clock.now().timestamp(), leeway_s=0)
        if claims.get("iss") != ISSUER:
            raise BadToken("another issuer")
        return claims
