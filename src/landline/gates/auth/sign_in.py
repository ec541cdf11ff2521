"""Passwords into tokens, and tokens into callers (TRU-3).

An access token is a signed name of a sign-in: the sign-in and its user are looked up, so that one who is disabled, whose
password was changed or who signed out is out within two seconds, and not when the token ends.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from landline.gates.auth.attempts import Attempts, KeptLocks, NotesSignIns
from landline.gates.auth.compact import BadToken, digest_of
from landline.gates.auth.families import Families, Family
from landline.gates.auth.jwt import CACHED_S, CACHED_TOKENS, REFUSED
from landline.gates.auth.own_tokens import ACCESS, Signer
from landline.gates.auth.passwords import verify_password
from landline.gates.auth.roles import scopes_of_roles, tier_of_roles
from landline.model.callers import Caller
from landline.model.errors import Unauthenticated, Unavailable
from landline.model.ids import new_id
from landline.ports.clock import Clock
from landline.ports.people import UserRow
from landline.ports.sign_in import SignedIn, TooManySignIns

__all__ = ["ACCESS_S", "KnownUsers", "PasswordSignIn"]

ACCESS_S: Final = 1800
"""What an access token lives (TRU-3)."""
CREDENTIAL: Final = "sign-in:"
"""What `Caller.credential` begins with; the sign-in's id follows."""
WRONG: Final = "The user name or the password is wrong."
AT_ONCE: Final = 2
"""Passwords that are hashed at once: each takes 64 MB and a core."""
WAITING: Final = 32


class KnownUsers(NotesSignIns, Protocol):
    """Where users are found, and their tries counted."""

    async def find_user(self, tenant: str, name: str) -> UserRow | None:
        """Return a user by name."""
        ...


class PasswordSignIn:
    """The port `SignIn` for users of the store, and the authenticator of the tokens it gives out."""

    def __init__(
        self,
        users: KnownUsers,
        families: Families,
        signer: Signer,
        clock: Clock,
        *,
        tenant: str,
        roles: Mapping[str, Sequence[str]],
    ) -> None:
        """Args: `tenant` is the one of names without one, `roles` are the owner's own."""
        self._users, self._families, self._signer, self._clock = users, families, signer, clock
        self._tenant, self._roles = tenant, roles
        self._attempts, self._locks = Attempts(clock), KeptLocks(users, clock)
        self._hashing, self._waiting = asyncio.Semaphore(AT_ONCE), 0
        self._known: dict[bytes, tuple[float, float, Caller]] = {}

    async def sign_in(
        self, name: str, password: str, *, tenant: str | None = None, address: str | None = None
    ) -> SignedIn:
        """Check a password and return tokens; see the port."""
        tenant = tenant or self._tenant
        attempt = await self._begun(tenant, name, address)
        user = await self._users.find_user(tenant, name)
        # At the same time: what is written for users only must not show in how long the answer takes.
        (may, count), holds = await asyncio.gather(self._locks.begin(user), self._verified(password, user))
        if user is None or not may or not holds or user.disabled_at is not None:
            self._attempts.kept(attempt, count)
            raise Unauthenticated(WRONG, code="bad_sign_in")
        await self._locks.right(user)
        self._attempts.right(attempt, address)
        family, refresh = await self._families.begin(
            tenant=tenant, user=user.name, user_id=user.id, proof=_proof(user)
        )
        return self._signed_in(family, refresh)

    async def refresh(self, refresh_token: str) -> SignedIn:
        """Return new tokens; see the port."""
        try:
            family, following = await self._families.turn(refresh_token)
            await self._user_of(family)
        except BadToken:
            raise Unauthenticated(REFUSED) from None
        return self._signed_in(family, following)

    async def revoke(self, token: str) -> None:
        """End a sign-in; see the port."""
        try:
            if token.count(".") == 2:
                claims = await self._signer.read(ACCESS, token)
                await self._families.end(_text(claims, "sid"))
            else:
                await self._families.end_by(token)
        except BadToken:
            return
        self._known.clear()

    async def authenticate(self, token: str) -> Caller:
        """Return whose access token this is. Raises Unauthenticated."""
        digest, now = digest_of(token), self._clock.steady()
        known = self._known.get(digest)
        if known is not None and now < known[0] and self._clock.now().timestamp() < known[1]:
            return known[2]
        try:
            claims = await self._signer.read(ACCESS, token)
            caller = await self._caller(claims)
        except BadToken:
            raise Unauthenticated(REFUSED) from None
        if len(self._known) >= CACHED_TOKENS:
            self._known.clear()
        self._known[digest] = (now + CACHED_S, claims["exp"], caller)
        return caller

    async def holds(self, caller: Caller) -> bool:
        """Tell whether the sign-in of `caller` still stands, whatever became of its access token."""
        family = await self._families.find((caller.credential or "").removeprefix(CREDENTIAL))
        if family is None:
            return False
        try:
            await self._user_of(family)
        except BadToken:
            return False
        return True

    async def _caller(self, claims: dict[str, Any]) -> Caller:
        family = await self._families.find(_text(claims, "sid"))
        if family is None:
            raise BadToken("signed out")
        user = await self._user_of(family)
        return Caller(
            tenant=user.tenant,
            user=user.name,
            scopes=scopes_of_roles(user.roles, self._roles),
            roles=frozenset(user.roles),
            tier=tier_of_roles(user.roles),
            credential=f"{CREDENTIAL}{family.id}",
        )

    async def _user_of(self, family: Family) -> UserRow:
        """Return the user of a sign-in, as it is now. Raises BadToken, and ends the sign-in, if it may not be any more."""
        user = await self._users.find_user(family.tenant, family.user)
        if user is None or user.id != family.user_id or user.disabled_at or _proof(user) != family.proof:
            await self._families.end(family.id)
            raise BadToken("the user may not sign in any more")
        return user

    async def _begun(self, tenant: str, name: str, address: str | None) -> bytes:
        try:
            return self._attempts.begin(tenant, name, address)
        except TooManySignIns:
            if not self._attempts.lift(tenant, name, await self._users.find_user(tenant, name)):
                raise
        return self._attempts.begin(tenant, name, address)

    async def _verified(self, password: str, user: UserRow | None) -> bool:
        if self._waiting >= WAITING:
            raise Unavailable("Too many sign in at once; try again in a moment.", retry_after_s=2)
        self._waiting += 1
        try:
            async with self._hashing:
                return await verify_password(password, user.password_hash if user else None)
        finally:
            self._waiting -= 1

    def _signed_in(self, family: Family, refresh: str) -> SignedIn:
        claims = {"sub": family.user, "tenant": family.tenant, "sid": family.id, "jti": new_id()}
        return SignedIn(
            access_token=self._signer.sign(ACCESS, claims, lives_s=ACCESS_S),
            refresh_token=refresh,
            expires_in_s=ACCESS_S,
            tenant=family.tenant,
            user=family.user,
        )


def _proof(user: UserRow) -> str:
    """Return what a sign-in remembers of the password it was made with, so that it ends with it."""
    return hashlib.sha256((user.password_hash or "").encode()).hexdigest()[:32]


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise BadToken(f"{name} is no text")
    return value
