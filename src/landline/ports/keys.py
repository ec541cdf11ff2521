"""API keys as the store keeps them: a prefix to find one by, a hash to prove it, never the key (TRU-1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from landline.model.callers import Caller

__all__ = ["KeyRow", "Keys", "NewKey"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    """An API key to keep: only its prefix and hash (TRU-1). Times are ISO.

    `agents` None is every agent. `replaces` is the key that this one follows.
    """

    id: str
    prefix: str
    hash: str
    tenant: str
    user: str
    scopes: Sequence[str]
    name: str | None
    at: str
    expires_at: str | None = None
    agents: Sequence[str] | None = None
    tier: str = "free"
    limits: Mapping[str, str] | None = None
    replaces: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRow(NewKey):
    """A kept API key, with what is known of its user: None where there is only the name."""

    revoked_at: str | None = None
    last_used_at: str | None = None
    user_roles: Sequence[str] | None = None
    user_disabled_at: str | None = None

    def holds(self, at: str) -> bool:
        """Tell whether the key is good at `at` (ISO): not revoked, not expired, its user not disabled."""
        ended = self.revoked_at is not None or self.user_disabled_at is not None
        return not ended and (self.expires_at is None or at < self.expires_at)


class Keys(Protocol):
    """The part of the store that keeps keys. A caller sees its own; with the scope `admin` those of its tenant."""

    async def add_key(self, caller: Caller, key: NewKey, *, retire_at: str | None = None) -> None:
        """Keep a key; with `retire_at` the key that it replaces ends then, in the same transaction.

        Raises:
            NotFound: It is for somebody whose keys the caller does not look after, or the one to replace is not there.
            Conflict: The one to replace is revoked.
        """
        ...

    async def find_key(self, prefix: str) -> list[KeyRow]:
        """Return the keys with this prefix; the one call without a caller, because it is how callers are found."""
        ...

    async def get_key(self, caller: Caller, key_id: str) -> KeyRow:
        """Return a key. Raises NotFound."""
        ...

    async def list_keys(
        self, caller: Caller, *, user: str | None = None, after: str = "", limit: int | None = None
    ) -> list[KeyRow]:
        """Return keys, oldest first: only those of `user`, only ids above `after`."""
        ...

    async def revoke_key(self, caller: Caller, key_id: str, *, at: str) -> None: ...

    async def used_keys(self, caller: Caller, used: Mapping[str, str]) -> None:
        """Note when keys were last used, by id; an older time than the kept one changes nothing. For the system only."""
        ...
