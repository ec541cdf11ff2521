"""Keys and users as they may be shown: never a hash, never a secret."""

from collections.abc import Mapping, Sequence

import msgspec

__all__ = ["KeyInfo", "MadeKey", "UserInfo"]


class KeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An API key without what proves it. Times are ISO.

    `agents` are the names it may use, null for every one. `limits` are its own, null for those of its tier. `replaces` is the
    key it was made to follow.
    """

    id: str
    prefix: str
    tenant: str
    user: str
    scopes: Sequence[str]
    agents: Sequence[str] | None = None
    tier: str = "free"
    limits: Mapping[str, str] | None = None
    name: str | None = None
    replaces: str | None = None
    at: str
    expires_at: str | None = None
    revoked_at: str | None = None
    last_used_at: str | None = None


class MadeKey(KeyInfo, frozen=True, kw_only=True):
    """A key that was just made; nothing else ever shows `key`."""

    key: str


class UserInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A user of a tenant. Times are ISO. `has_password` tells whether it may sign in with one."""

    id: str
    tenant: str
    name: str
    email: str | None = None
    roles: Sequence[str]
    has_password: bool = False
    created_at: str
    disabled_at: str | None = None
    locked_until: str | None = None
