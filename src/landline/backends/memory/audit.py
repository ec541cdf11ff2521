"""The audit log of the memory store."""

from collections.abc import Sequence

from msgspec.structs import replace

from landline.backends.memory.state import State, missing
from landline.backends.sql.pages import bound_limit, number_cursor, pack
from landline.model.audit import AuditEntry
from landline.model.callers import Caller
from landline.model.threads import Page
from landline.ports.audit import AuditQuery

__all__ = ["add", "listed", "prune"]


def add(state: State, entries: Sequence[AuditEntry]) -> None:
    """Keep entries; one that is there already stays as it is."""
    for entry in entries:
        if all(kept.id != entry.id for kept in state.audit.values()):
            state.audited += 1
            state.audit[state.audited] = entry


def listed(state: State, caller: Caller, query: AuditQuery) -> Page[AuditEntry]:
    """Return a page of the caller's tenant; the system's are all."""
    limit, place = bound_limit(query.limit), number_cursor(query.cursor)
    found = sorted(state.audit.items(), reverse=not query.oldest_first)
    if query.cursor:
        found = [(n, entry) for n, entry in found if (n > place) == query.oldest_first and n != place]
    wanted = [(n, entry) for n, entry in found if _wanted(entry, caller, query)][: limit + 1]
    more = pack(wanted[limit - 1][0]) if len(wanted) > limit else None
    return Page(items=[entry for _, entry in wanted[:limit]], next_cursor=more)


def _wanted(entry: AuditEntry, caller: Caller, query: AuditQuery) -> bool:
    asked = ((query.action, entry.action), (query.user, entry.user), (query.target, entry.target))
    return (
        (caller.system or entry.tenant == caller.tenant)
        and all(wanted is None or wanted == has for wanted, has in asked)
        and (query.after is None or entry.at >= query.after)
        and (query.before is None or entry.at < query.before)
    )


def prune(state: State, caller: Caller, before: str, entry: AuditEntry) -> int:
    """Remove what is older than `before`, and keep an entry that says so."""
    if not caller.system:
        raise missing("audit", entry.id)
    doomed = [n for n, old in state.audit.items() if old.at < before and old.action != "audit.prune"]
    for n in doomed:
        del state.audit[n]
    add(state, [replace(entry, details={**entry.details, "count": len(doomed)})])
    return len(doomed)
