"""Users: how the store keeps them, and what faces and the command line may do with them and with their keys (TRU-5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from landline.model.callers import Caller
from landline.model.people import KeyInfo, UserInfo
from landline.model.threads import Page

__all__ = ["Accounts", "KeyOrder", "NewUser", "UserChange", "UserOrder", "UserPatch", "UserRow", "Users"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewUser:
    """A user to keep; `name` is unique in its tenant. Without `password_hash` it cannot sign in with a password."""

    id: str
    tenant: str
    name: str
    roles: Sequence[str]
    at: str
    email: str | None = None
    password_hash: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UserRow(NewUser):
    """A kept user. `failed_count` are wrong passwords since the last right one. Times are ISO."""

    disabled_at: str | None = None
    failed_count: int = 0
    locked_until: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UserPatch:
    """Changes to a user; None leaves a field as it is. A new password or `enabled` also takes a lock away."""

    at: str
    roles: Sequence[str] | None = None
    email: str | None = None
    clear_email: bool = False
    password_hash: str | None = None
    enabled: bool | None = None


class Users(Protocol):
    """The part of the store that keeps users. A caller sees itself; with the scope `admin` those of its tenant."""

    async def add_user(self, caller: Caller, new: NewUser) -> None:
        """Keep a user. Raises NotFound for a tenant the caller does not look after, Conflict for a name that is taken."""
        ...

    async def find_user(self, tenant: str, name: str) -> UserRow | None:
        """Return a user by name, disabled ones too; without a caller, because it is how callers are found."""
        ...

    async def get_user(self, caller: Caller, user_id: str) -> UserRow:
        """Return a user. Raises NotFound."""
        ...

    async def list_users(
        self, caller: Caller, *, tenant: str | None = None, after: str = "", limit: int | None = None
    ) -> list[UserRow]:
        """Return users, oldest first: only those of `tenant`, only ids above `after`."""
        ...

    async def update_user(self, caller: Caller, user_id: str, patch: UserPatch) -> UserRow:
        """Change a user and return it as it is then. Raises NotFound."""
        ...

    async def note_sign_in(
        self, user_id: str, *, right: bool, lock_at: int = 0, locked_until: str | None = None
    ) -> int:
        """Count a try to sign in and return the wrong ones in a row; without a caller, because nobody signed in yet.

        A right one sets the count to 0. The wrong one that makes it `lock_at` (0: never) or more sets `locked_until`. One
        statement, so that tries at the same time all count.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyOrder:
    """A key to make, of `user` in `tenant` (default: the caller's own). `scopes` None is what the user's roles have."""

    user: str
    tenant: str | None = None
    scopes: Sequence[str] | None = None
    agents: Sequence[str] | None = None
    tier: str = "free"
    limits: Mapping[str, str] | None = None
    name: str | None = None
    expires_in: timedelta | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UserOrder:
    """A user to make in `tenant` (default: the caller's own)."""

    name: str
    tenant: str | None = None
    roles: Sequence[str] = ("user",)
    email: str | None = None
    password: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UserChange:
    """Changes to a user; None leaves a field as it is."""

    roles: Sequence[str] | None = None
    email: str | None = None
    clear_email: bool = False
    password: str | None = None
    enabled: bool | None = None


class Accounts(Protocol):
    """Looking after keys and users. Nobody gives rights that they do not hold; what is not in the caller's reach is NotFound."""

    async def make_key(self, caller: Caller, order: KeyOrder) -> tuple[str, KeyInfo]:
        """Return a new key, which is kept nowhere, and what may be shown of it.

        Raises:
            Invalid: An unknown scope, a bad name, or more than the user's roles allow.
            Forbidden: The caller does not hold what it gives.
            NotFound: The user is of another tenant.
        """
        ...

    async def rotate_key(
        self, caller: Caller, key_id: str, *, overlap: timedelta, expires_in: timedelta | None = None
    ) -> tuple[str, KeyInfo]:
        """Return a new key with the rights of an old one, which ends after `overlap`.

        `expires_in` None gives the new one as long a life as the old one was given.

        Raises:
            NotFound: There is no such key in the caller's reach.
            Conflict: The old key does not hold any more.
        """
        ...

    async def get_key(self, caller: Caller, key_id: str) -> KeyInfo: ...
    async def list_keys(
        self, caller: Caller, *, user: str | None, limit: int, cursor: str | None
    ) -> Page[KeyInfo]: ...
    async def revoke_key(self, caller: Caller, key_id: str) -> None: ...

    async def add_user(self, caller: Caller, order: UserOrder) -> UserInfo:
        """Make a user. Raises Invalid, Forbidden for roles beyond the caller's, Conflict for a name that is taken."""
        ...

    async def get_user(self, caller: Caller, user_id: str) -> UserInfo: ...
    async def list_users(self, caller: Caller, *, limit: int, cursor: str | None) -> Page[UserInfo]: ...
    async def change_user(self, caller: Caller, user_id: str, change: UserChange) -> UserInfo: ...
