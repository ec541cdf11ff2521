"""API keys. A key is shown once; kept are its prefix, to find it, and the SHA-256 of it, to prove it.

The hash needs no salt or stretching: a key is 160 random bits, not a password.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from landline.model.callers import ALL_SCOPES, KNOWN_SCOPES, LOCAL, SYSTEM, Caller
from landline.model.errors import Invalid, Unauthenticated
from landline.model.ids import new_id
from landline.model.times import iso
from landline.ports.clock import Clock
from landline.ports.keys import KeyRow, NewKey
from landline.ports.store import Store

__all__ = ["KeyAuthenticator", "OpenAuthenticator", "make_key"]

PREFIX = "ll_"
FIND_CHARS = len(PREFIX) + 8
CACHED_S = 2.0
"""How long a checked key is believed: a revoked key must stop working within 5 s everywhere (TRU-1)."""
CACHED_KEYS = 10_000
MAX_KEY_CHARS = 200


def make_key(
    *,
    tenant: str,
    user: str,
    at: str,
    scopes: Sequence[str] | None = None,
    name: str | None = None,
    expires_at: str | None = None,
) -> tuple[str, NewKey]:
    """Return a fresh key, which is never stored, and the row that is.

    Args:
        scopes: What the key may do; every scope without it.
        at: ISO time.
        expires_at: ISO time.

    Raises:
        Invalid: An unknown scope, or an empty user or tenant.
    """
    unknown = sorted(set(scopes or ()) - KNOWN_SCOPES)
    if unknown:
        known = ", ".join(sorted(KNOWN_SCOPES))
        raise Invalid(f"There is no scope {unknown[0]!r}; there are: {known}.", code="unknown_scope")
    if not tenant.strip() or not user.strip():
        raise Invalid("A key belongs to a user in a tenant; neither may be empty.", code="key_owner_missing")
    secret = PREFIX + secrets.token_hex(20)
    row = NewKey(
        id=new_id(),
        prefix=secret[:FIND_CHARS],
        hash=_hash(secret),
        tenant=tenant,
        user=user,
        scopes=sorted(ALL_SCOPES if scopes is None else set(scopes)),
        name=name,
        at=at,
        expires_at=expires_at,
    )
    return secret, row


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class KeyAuthenticator:
    """Checks API keys against the store, remembering good ones for a moment."""

    open = False

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._known: dict[str, tuple[float, Caller]] = {}

    async def authenticate(self, credential: str | None) -> Caller:
        """Return whose key this is. Raises Unauthenticated, in the same words for every wrong key."""
        if credential is None:
            raise Unauthenticated("Send an API key in `X-API-Key` or as a bearer token.")
        if not credential.startswith(PREFIX) or len(credential) > MAX_KEY_CHARS or not credential.isascii():
            raise Unauthenticated("The API key does not hold.")
        digest, now = _hash(credential), self._clock.steady()
        known = self._known.get(digest)
        if known is not None and now - known[0] < CACHED_S:
            return known[1]
        caller = await self._look_up(credential[:FIND_CHARS], digest)
        if len(self._known) >= CACHED_KEYS:
            self._known.clear()
        self._known[digest] = (now, caller)
        return caller

    async def _look_up(self, prefix: str, digest: str) -> Caller:
        at = iso(self._clock.now())
        for row in await self._store.find_key(prefix):
            if hmac.compare_digest(row.hash, digest) and _holds(row, at):
                return Caller(tenant=row.tenant, user=row.user, scopes=frozenset(row.scopes), key_id=row.id)
        raise Unauthenticated("The API key does not hold.")


class OpenAuthenticator:
    """A fresh install on loopback: everybody who reaches it is the one local user.

    A key of ours is honoured or refused all the same, never taken for somebody else's. With `until_a_key` it stops
    being open once the first key was made (TRU-6).
    """

    def __init__(self, store: Store, clock: Clock, *, until_a_key: bool = False) -> None:
        self._keys = KeyAuthenticator(store, clock)
        self._store, self._clock = store, clock
        self._until_a_key, self._looked = until_a_key, float("-inf")
        self.open = True

    async def authenticate(self, credential: str | None) -> Caller:
        """Return the local user, or whose key it is. Many clients must send some key; one that is not ours is ignored."""
        ours = credential is not None and credential.startswith(PREFIX)
        return LOCAL if not ours and await self._still_open() else await self._keys.authenticate(credential)

    async def _still_open(self) -> bool:
        if self.open and self._until_a_key and self._clock.steady() - self._looked >= CACHED_S:
            self._looked = self._clock.steady()
            self.open = not await self._store.list_keys(SYSTEM)
        return self.open


def _holds(row: KeyRow, at: str) -> bool:
    return row.revoked_at is None and (row.expires_at is None or at < row.expires_at)
