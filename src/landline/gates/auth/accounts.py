"""Looking after keys and users: the one place that knows who may give what to whom (TRU-1, TRU-5).

`ports.people.Accounts` over the store; the admin routes and the command line both go through it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeVar

from landline.gates.auth.keys import make_key
from landline.gates.auth.passwords import MAX_PASSWORD_CHARS, hash_password
from landline.gates.auth.roles import BUILT_IN, scopes_of_roles
from landline.model.callers import ALL_SCOPES, MAX_USER_CHARS, Caller, is_user_name
from landline.model.errors import Conflict, FieldError, Forbidden, Invalid
from landline.model.ids import is_id, new_id
from landline.model.people import KeyInfo, UserInfo
from landline.model.threads import Page
from landline.model.times import iso, parse_iso
from landline.ports.clock import Clock
from landline.ports.keys import KeyRow, NewKey
from landline.ports.people import KeyOrder, NewUser, UserChange, UserOrder, UserPatch, UserRow
from landline.ports.store import Store

__all__ = ["StoreAccounts", "key_info", "user_info"]

_T = TypeVar("_T", KeyInfo, UserInfo)
_NO_ROLES: Final[Mapping[str, Sequence[str]]] = {}


class StoreAccounts:
    """Keys and users of a store. `roles` are the owner's own; `check_limits` refuses limits that a key could not keep."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        roles: Mapping[str, Sequence[str]] = _NO_ROLES,
        check_limits: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        self._store, self._clock, self._roles = store, clock, roles
        self._check_limits = check_limits

    # keys

    async def make_key(self, caller: Caller, order: KeyOrder) -> tuple[str, KeyInfo]:
        if order.limits and self._check_limits is not None:
            self._check_limits(order.limits)
        tenant = caller.tenant if order.tenant is None else order.tenant
        user = await self._store.find_user(tenant, order.user) if caller.governs(tenant, order.user) else None
        bound = None if user is None else scopes_of_roles(user.roles, self._roles)
        scopes = order.scopes if order.scopes is not None else ALL_SCOPES if bound is None else bound
        now = self._clock.now()
        secret, row = make_key(
            tenant=tenant,
            user=order.user,
            at=iso(now),
            scopes=sorted(scopes),
            name=order.name,
            expires_at=iso(now + order.expires_in) if order.expires_in else None,
            agents=order.agents,
            tier=order.tier,
            limits=order.limits,
        )
        beyond = sorted(set(row.scopes) - bound - {"delegate"}) if bound is not None else []
        if beyond:
            raise Invalid(
                f"The roles of {order.user} do not have the scope {beyond[0]}, and a key may never do more than its user.",
                code="beyond_roles",
            )
        self._may_give(caller, row.scopes)
        await self._store.add_key(caller, row)
        return secret, key_info(row)

    async def rotate_key(
        self, caller: Caller, key_id: str, *, overlap: timedelta, expires_in: timedelta | None = None
    ) -> tuple[str, KeyInfo]:
        old, now = await self._store.get_key(caller, key_id), self._clock.now()
        if not old.holds(iso(now)):
            raise Conflict(f"The key {key_id} does not hold any more; make a new one.", code="key_ended")
        self._may_give(caller, old.scopes)
        if expires_in is None and old.expires_at is not None:
            expires_in = parse_iso(old.expires_at) - parse_iso(old.at)
        secret, row = make_key(
            tenant=old.tenant,
            user=old.user,
            at=iso(now),
            scopes=old.scopes,
            name=old.name,
            expires_at=iso(now + expires_in) if expires_in else None,
            agents=old.agents,
            tier=old.tier,
            limits=old.limits,
            replaces=old.id,
        )
        await self._store.add_key(caller, row, retire_at=iso(now + overlap))
        return secret, key_info(row)

    async def get_key(self, caller: Caller, key_id: str) -> KeyInfo:
        return key_info(await self._store.get_key(caller, key_id))

    async def list_keys(
        self, caller: Caller, *, user: str | None, limit: int, cursor: str | None
    ) -> Page[KeyInfo]:
        rows = await self._store.list_keys(caller, user=user, after=_after(cursor), limit=limit + 1)
        return _page([key_info(row) for row in rows], limit)

    async def revoke_key(self, caller: Caller, key_id: str) -> None:
        await self._store.revoke_key(caller, key_id, at=iso(self._clock.now()))

    # users

    async def add_user(self, caller: Caller, order: UserOrder) -> UserInfo:
        if not is_user_name(order.name):
            said = f"a name has 1 to {MAX_USER_CHARS} visible characters, no spaces"
            raise _fault("name", said, code="bad_user_name")
        self._check_roles(caller, order.roles)
        new = NewUser(
            id=new_id(),
            tenant=caller.tenant if order.tenant is None else order.tenant,
            name=order.name,
            roles=_once(order.roles),
            at=iso(self._clock.now()),
            email=order.email,
            password_hash=await _hashed(order.password),
        )
        await self._store.add_user(caller, new)
        return user_info(new)

    async def get_user(self, caller: Caller, user_id: str) -> UserInfo:
        return user_info(await self._store.get_user(caller, user_id))

    async def list_users(self, caller: Caller, *, limit: int, cursor: str | None) -> Page[UserInfo]:
        rows = await self._store.list_users(caller, after=_after(cursor), limit=limit + 1)
        return _page([user_info(row) for row in rows], limit)

    async def change_user(self, caller: Caller, user_id: str, change: UserChange) -> UserInfo:
        await self._store.get_user(caller, user_id)  # a stranger's is not there, whatever the change is
        if change.roles is not None:
            self._check_roles(caller, change.roles)
        patch = UserPatch(
            at=iso(self._clock.now()),
            roles=None if change.roles is None else _once(change.roles),
            email=change.email,
            clear_email=change.clear_email,
            password_hash=await _hashed(change.password),
            enabled=change.enabled,
        )
        return user_info(await self._store.update_user(caller, user_id, patch))

    def _check_roles(self, caller: Caller, roles: Sequence[str]) -> None:
        for role in roles:
            if role not in BUILT_IN and role not in self._roles:
                known = ", ".join([*BUILT_IN, *self._roles])
                raise _fault("roles", f"there is no role {role!r}; there are: {known}", code="unknown_role")
        self._may_give(caller, scopes_of_roles(roles, self._roles))

    def _may_give(self, caller: Caller, scopes: Iterable[str]) -> None:
        """Raise Forbidden for what `caller` does not hold itself; who operates the tenant may give all of it."""
        beyond = sorted(set(scopes) - caller.scopes)
        if beyond and not caller.system and "admin" not in caller.scopes:
            raise Forbidden(f"Nobody gives what they do not hold: {beyond[0]}.", code="beyond_caller")


def key_info(row: NewKey) -> KeyInfo:
    """Return what may be shown of a key."""
    return KeyInfo(
        id=row.id,
        prefix=row.prefix,
        tenant=row.tenant,
        user=row.user,
        scopes=list(row.scopes),
        agents=None if row.agents is None else list(row.agents),
        tier=row.tier,
        limits=row.limits,
        name=row.name,
        replaces=row.replaces,
        at=row.at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at if isinstance(row, KeyRow) else None,
        last_used_at=row.last_used_at if isinstance(row, KeyRow) else None,
    )


def user_info(row: NewUser) -> UserInfo:
    """Return what may be shown of a user."""
    return UserInfo(
        id=row.id,
        tenant=row.tenant,
        name=row.name,
        email=row.email,
        roles=list(row.roles),
        has_password=row.password_hash is not None,
        created_at=row.at,
        disabled_at=row.disabled_at if isinstance(row, UserRow) else None,
        locked_until=row.locked_until if isinstance(row, UserRow) else None,
    )


async def _hashed(password: str | None) -> str | None:
    if password is None:
        return None
    try:
        return await hash_password(password)
    except ValueError:
        said = f"a password has 1 to {MAX_PASSWORD_CHARS} characters"
        raise _fault("password", said, code="bad_password") from None


def _once(words: Sequence[str]) -> list[str]:
    return sorted(set(words))


def _fault(where: str, message: str, *, code: str) -> Invalid:
    detail = f"{message[0].upper()}{message[1:]}."
    return Invalid(detail, code=code, errors=[FieldError(loc=["body", where], message=message)])


def _after(cursor: str | None) -> str:
    if cursor is not None and not is_id(cursor):
        raise Invalid("The cursor is not one that this server gave out.", code="bad_cursor")
    return cursor or ""


def _page(found: list[_T], limit: int) -> Page[_T]:
    return Page(items=found[:limit], next_cursor=found[limit - 1].id if len(found) > limit else None)
