"""API keys. A key is shown once; kept are its prefix, to find it, and the SHA-256 of it, to prove it.

The hash needs no salt or stretching: a key is 160 random bits, not a password.
"""

import hashlib
import hmac
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from landline.gates.auth.roles import scopes_of_roles, tier_of_roles
from landline.gates.auth.uses import Uses
from landline.model.callers import ALL_SCOPES, KNOWN_SCOPES, LOCAL, SYSTEM, Caller
from landline.model.errors import Forbidden, Invalid, NotFound, Unauthenticated
from landline.model.ids import new_id
from landline.model.times import iso
from landline.ports.clock import Clock
from landline.ports.keys import KeyRow, NewKey
from landline.ports.people import UserRow
from landline.ports.store import Store

__all__ = ["CREDENTIAL", "KeyAuthenticator", "OpenAuthenticator", "make_key"]

PREFIX: Final = "ll_"
FIND_CHARS: Final = len(PREFIX) + 8
CACHED_S: Final = 2.0
"""How long a checked key is believed: a revoked key must stop working within 5 s everywhere (TRU-1)."""
CACHED_KEYS: Final = 10_000
MAX_KEY_CHARS: Final = 200
CREDENTIAL: Final = "key:"
"""What `Caller.credential` begins with for a key; its id follows."""

_NO_ROLES: Final[Mapping[str, Sequence[str]]] = {}


def make_key(  # noqa: PLR0913 - what a key is made of; all by keyword
    *,
    tenant: str,
    user: str,
    at: str,
    scopes: Sequence[str] | None = None,
    name: str | None = None,
    expires_at: str | None = None,
    agents: Sequence[str] | None = None,
    tier: str = "free",
    limits: Mapping[str, str] | None = None,
    replaces: str | None = None,
) -> tuple[str, NewKey]:
    """Return a fresh key, which is never stored, and the row that is.

    Args:
        scopes: What the key may do; every scope of a user without it.
        at: ISO time.
        expires_at: ISO time.
        agents: The names of those it may use; every one without it.
        replaces: The id of the key that this one follows.

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
        agents=None if agents is None else sorted(set(agents)),
        tier=tier,
        limits=limits,
        replaces=replaces,
    )
    return secret, row


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class KeyAuthenticator:
    """Checks API keys against the store, remembering good ones for a moment.

    A key may never do more than its user: where the user is known by name in its tenant, the scopes of its roles bound
    those of the key. `roles` are the owner's own.
    """

    open = False

    def __init__(self, store: Store, clock: Clock, *, roles: Mapping[str, Sequence[str]] = _NO_ROLES) -> None:
        self._store, self._clock, self._roles = store, clock, roles
        self._known: dict[str, tuple[float, Caller]] = {}
        self._acting: dict[tuple[str, str], tuple[float, UserRow | None]] = {}
        self._uses = Uses(store, clock)

    async def authenticate(self, credential: str | None) -> Caller:
        """Return whose key this is. Raises Unauthenticated, in the same words for every wrong key."""
        if credential is None:
            raise Unauthenticated("Send an API key in `X-API-Key` or as a bearer token.")
        if not credential.startswith(PREFIX) or len(credential) > MAX_KEY_CHARS or not credential.isascii():
            raise Unauthenticated("The API key does not hold.")
        digest, now = _hash(credential), self._clock.steady()
        known = self._known.get(digest)
        if known is None or now - known[0] >= CACHED_S:
            known = now, await self._look_up(credential[:FIND_CHARS], digest)
            if len(self._known) >= CACHED_KEYS:
                self._known.clear()
            self._known[digest] = known
        self._uses.note(known[1].key_id)
        return known[1]

    async def _look_up(self, prefix: str, digest: str) -> Caller:
        at = iso(self._clock.now())
        for row in await self._store.find_key(prefix):
            if hmac.compare_digest(row.hash, digest) and row.holds(at):
                return self._caller(row)
        self._known.pop(digest, None)
        raise Unauthenticated("The API key does not hold.")

    def _caller(self, row: KeyRow) -> Caller:
        caller = Caller(
            tenant=row.tenant,
            user=row.user,
            scopes=frozenset(row.scopes),
            agents=None if row.agents is None else frozenset(row.agents),
            tier=row.tier,
            key_id=row.id,
            credential=f"{CREDENTIAL}{row.id}",
            limits=row.limits,
        )
        return self._bounded(caller, row.user_roles)

    def _bounded(self, caller: Caller, roles: Sequence[str] | None) -> Caller:
        """Return `caller` within its user's roles, which are None for a user that is only a name."""
        if roles is None:
            return caller
        # `delegate` is no right of a person: it is given to a gateway's key in so many words.
        scopes = caller.scopes & (scopes_of_roles(roles, self._roles) | {"delegate"})
        tier = tier_of_roles(roles) if caller.tier == "free" else caller.tier
        return replace(caller, scopes=scopes, roles=frozenset(roles), tier=tier)

    async def act_for(self, caller: Caller, user: str) -> Caller:
        """Return `caller`, who may delegate, as `user` of its tenant. Raises Forbidden for one who is disabled."""
        kept, now = self._acting.get((caller.tenant, user)), self._clock.steady()
        if kept is None or now - kept[0] >= CACHED_S:
            kept = now, await self._store.find_user(caller.tenant, user)
            if len(self._acting) >= CACHED_KEYS:
                self._acting.clear()
            self._acting[caller.tenant, user] = kept
        found = kept[1]
        if found is not None and found.disabled_at is not None:
            raise Forbidden("The user in X-User-ID is disabled.", code="user_disabled")
        scopes = caller.scopes - {"admin", "delegate"}
        acting = replace(caller, user=user, scopes=scopes, roles=frozenset[str]())
        return self._bounded(acting, None if found is None else found.roles)

    async def holds(self, caller: Caller) -> bool:
        """Tell whether what `caller` came with is still good; what is not a key of ours is not ours to judge."""
        if caller.credential is None or not caller.credential.startswith(CREDENTIAL):
            return True
        key_id = caller.credential.removeprefix(CREDENTIAL)
        try:
            row = await self._store.get_key(SYSTEM, key_id)
        except NotFound:
            row = None
        if row is None or not row.holds(iso(self._clock.now())):
            # Who is thrown out and comes back at once must not be let in again on what was remembered.
            self._known = {digest: kept for digest, kept in self._known.items() if kept[1].key_id != key_id}
            return False
        if row.user == caller.user:
            return True
        acting = await self._store.find_user(caller.tenant, caller.user)
        return acting is None or acting.disabled_at is None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep the times of last use while the server runs."""
        async with self._uses.kept():
            yield


class OpenAuthenticator:
    """A fresh install on loopback: everybody who reaches it is the one local user.

    A key of ours is honoured or refused all the same, never taken for somebody else's. With `until_a_key` it stops
    being open once the first key was made (TRU-6).
    """

    def __init__(
        self, store: Store, clock: Clock, *, until_a_key: bool = False, keys: KeyAuthenticator | None = None
    ) -> None:
        self._keys = keys or KeyAuthenticator(store, clock)
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
            self.open = not await self._store.list_keys(SYSTEM, limit=1)
        return self.open

    async def act_for(self, caller: Caller, user: str) -> Caller:
        """As `KeyAuthenticator`: only a key may delegate."""
        return await self._keys.act_for(caller, user)

    async def holds(self, caller: Caller) -> bool:
        """As `KeyAuthenticator`; the local user came with nothing that could end."""
        return await self._keys.holds(caller)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """As `KeyAuthenticator`."""
        async with self._keys.running():
            yield
