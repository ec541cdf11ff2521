"""Roles: named sets of scopes, Landline's three and the owner's own (TRU-5)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from landline.model.callers import ALL_SCOPES, KNOWN_SCOPES

__all__ = ["BUILT_IN", "check_roles", "scopes_of_roles", "tier_of_roles"]

BUILT_IN: Final[Mapping[str, frozenset[str]]] = {
    "user": ALL_SCOPES,
    "premium": ALL_SCOPES,
    "admin": ALL_SCOPES | {"admin"},
}
"""`premium` may what `user` may, in the tier `premium`."""

_MOST_CHARS: Final = 64
_NO_ROLES: Final[Mapping[str, Sequence[str]]] = {}


def check_roles(own: Mapping[str, Iterable[str]]) -> None:
    """Raise ValueError, with a sentence for the owner, unless these may be roles beside the built-in ones."""
    for name, scopes in own.items():
        if name in BUILT_IN:
            raise ValueError(f"{name} is a role of Landline's own; give yours another name")
        if not 0 < len(name) <= _MOST_CHARS or not name.isprintable() or "," in name or name.strip() != name:
            raise ValueError(f"{name!r} is no name of a role")
        unknown = sorted(set(scopes) - KNOWN_SCOPES)
        if unknown:
            known = ", ".join(sorted(KNOWN_SCOPES))
            raise ValueError(
                f"the role {name} has the scope {unknown[0]}, which does not exist; there are: {known}"
            )


def scopes_of_roles(roles: Iterable[str], own: Mapping[str, Sequence[str]] = _NO_ROLES) -> frozenset[str]:
    """Return what somebody with these roles may do; `own` are the owner's roles. A role that is not there gives nothing."""
    held: set[str] = set()
    for role in roles:
        held |= BUILT_IN.get(role) or frozenset(own.get(role, ()))
    return frozenset(held)


def tier_of_roles(roles: Iterable[str]) -> str:
    """Return the tier of somebody with these roles."""
    return "premium" if "premium" in roles else "free"
