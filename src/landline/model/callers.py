"""Who asks: the principal that every store call takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ALL_SCOPES", "KNOWN_SCOPES", "LOCAL", "MAX_USER_CHARS", "SYSTEM", "Caller", "is_user_name"]

ALL_SCOPES = frozenset(
    {
        "agents:read",
        "threads:read",
        "threads:write",
        "runs:read",
        "runs:write",
        "approvals:answer",
        "files:read",
        "files:write",
    }
)
"""What a caller may do with its own; a key that names no scopes has these."""

KNOWN_SCOPES = ALL_SCOPES | {"admin", "delegate"}
"""Every scope a route may declare. `admin` operates its tenant: keys, users, usage, audit. `delegate` may name the user it
acts for (TRU-4). Neither is ever given without being named.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """An authenticated principal in a tenant.

    Rows belong to one `tenant` and one `user`; what a caller may do at all is in `scopes`. `agents` are the names of those it
    may use, None for every one. `tier` is what limits and prices go by, `limits` are those of its own key. `key_id` is the API key it came with, `credential`
    whatever it came with, for whoever closes what stays open once that does not hold any more (TRU-1).
    """

    tenant: str
    user: str
    scopes: frozenset[str] = ALL_SCOPES
    roles: frozenset[str] = frozenset()
    agents: frozenset[str] | None = None
    tier: str = "free"
    key_id: str | None = None
    credential: str | None = None
    limits: Mapping[str, str] | None = field(default=None, hash=False)
    system: bool = False

    def owns(self, tenant: str, user: str) -> bool:
        """Tell whether rows of `tenant` and `user` are this caller's own."""
        return self.system or (self.tenant == tenant and self.user == user)

    def governs(self, tenant: str, user: str) -> bool:
        """Tell whether keys and the account of `user` in `tenant` are this caller's to look after."""
        return self.owns(tenant, user) or (self.tenant == tenant and "admin" in self.scopes)


MAX_USER_CHARS = 200


def is_user_name(text: str) -> bool:
    """Tell whether `text` may name a user: 1 to `MAX_USER_CHARS` visible characters, without spaces."""
    return 0 < len(text) <= MAX_USER_CHARS and text.isprintable() and not any(map(str.isspace, text))


LOCAL = Caller(tenant="local", user="local")
"""The single user of a fresh install bound to loopback (TRU-6)."""

SYSTEM = Caller(tenant="", user="", scopes=frozenset(), system=True)
"""Landline itself, for recovery and maintenance; never made from a request."""
