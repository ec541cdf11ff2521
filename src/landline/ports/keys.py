"""API keys as the store keeps them: a prefix to find one by, a hash to prove it, never the key (TRU-1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from landline.model.callers import Caller

__all__ = ["KeyRow", "Keys", "NewKey"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    """An API key to keep: only its prefix and hash (TRU-1). Times are ISO."""

    id: str
    prefix: str
    hash: str
    tenant: str
    user: str
    scopes: Sequence[str]
    name: str | None
    at: str
    expires_at: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRow(NewKey):
    """A kept API key."""

    revoked_at: str | None = None
    last_used_at: str | None = None


class Keys(Protocol):
    """The part of the store that keeps keys."""

    async def add_key(self, caller: Caller, key: NewKey) -> None: ...
    async def find_key(self, prefix: str) -> list[KeyRow]:
        """Return the keys with this prefix; the one call without a caller, because it is how callers are found."""
        ...

    async def list_keys(self, caller: Caller) -> list[KeyRow]: ...
    async def revoke_key(self, caller: Caller, key_id: str, *, at: str) -> None: ...
