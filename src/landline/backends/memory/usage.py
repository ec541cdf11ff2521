"""Usage of the memory store: one sum for each place, and sums of these."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from landline.backends.sql.pages import bound_limit, group_cursor, pack_group
from landline.model.callers import Caller
from landline.model.threads import Page
from landline.model.usage import Spent, UsageRow
from landline.ports.usage import UsageQuery

__all__ = ["Place", "usage"]


class Place(NamedTuple):
    """What sums are kept by; a key or model that nobody knows is empty."""

    tenant: str
    day: str
    user: str
    thread_id: str
    key: str
    agent: str
    model: str


def usage(sums: Mapping[Place, Spent], caller: Caller, query: UsageQuery) -> Page[UsageRow]:
    """Return a page of sums."""
    limit = bound_limit(query.limit)
    after = None if query.cursor is None else tuple(group_cursor(query.cursor, len(query.group_by)))
    groups: dict[tuple[str, ...], Spent] = {}
    for place, spent in sums.items():
        if _sees(caller, query, place) and _asked_for(query, place):
            group = tuple(str(getattr(place, name)) for name in query.group_by)
            groups[group] = groups.get(group, Spent()).plus(spent)
    found = [group for group in sorted(groups) if after is None or group > after]
    items = [_row(query, group, groups[group]) for group in found[:limit]]
    return Page(items=items, next_cursor=pack_group(found[limit - 1]) if len(found) > limit else None)


def _sees(caller: Caller, query: UsageQuery, place: Place) -> bool:
    if caller.system:
        return query.tenant in (None, place.tenant)
    return place.tenant == caller.tenant and ("admin" in caller.scopes or place.user == caller.user)


def _asked_for(query: UsageQuery, place: Place) -> bool:
    return (
        (query.first is None or place.day >= query.first)
        and (query.last is None or place.day <= query.last)
        and query.user in (None, place.user)
        and query.key in (None, place.key)
        and query.agent in (None, place.agent)
        and query.model in (None, place.model)
        and query.thread_id in (None, place.thread_id)
    )


def _row(query: UsageQuery, group: tuple[str, ...], spent: Spent) -> UsageRow:
    columns: dict[str, Any] = {**msgspec.structs.asdict(spent), "model": None}
    columns |= {name: value or None for name, value in zip(query.group_by, group, strict=True)}
    return UsageRow(**columns, total_tokens=spent.input_tokens + spent.output_tokens)
