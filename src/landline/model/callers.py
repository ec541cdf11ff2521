"""Who asks: the principal that every store call takes."""

from dataclasses import dataclass

__all__ = ["ALL_SCOPES", "LOCAL", "SYSTEM", "Caller"]

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
"""The scopes a route may declare; `admin` and `delegate` join them when identity is complete."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """An authenticated principal in a tenant.

    Rows belong to one `tenant` and one `user`; what a caller may do at all is in `scopes`.
    """

    tenant: str
    user: str
    scopes: frozenset[str] = ALL_SCOPES
    key_id: str | None = None
    system: bool = False

    def owns(self, tenant: str, user: str) -> bool:
        """Tell whether rows of `tenant` and `user` are this caller's own."""
        return self.system or (self.tenant == tenant and self.user == user)


LOCAL = Caller(tenant="local", user="local")
"""The single user of a fresh install bound to loopback (TRU-6)."""

SYSTEM = Caller(tenant="", user="", scopes=frozenset(), system=True)
"""Landline itself, for recovery and maintenance; never made from a request."""
