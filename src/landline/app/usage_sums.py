"""What an owner asks of the usage from the command line."""

from landline.app.settings import Settings
from landline.app.storing import open_store
from landline.model.callers import SYSTEM
from landline.model.usage import UsageRow
from landline.ports.usage import Grouping, UsageQuery

__all__ = ["summed"]


async def summed(
    settings: Settings, groups: tuple[Grouping, ...], limit: int, **where: str | None
) -> tuple[list[UsageRow], bool]:
    """Return the first `limit` rows, and whether there are more; `where` are the filters of a `UsageQuery`."""
    query = UsageQuery(group_by=groups, limit=limit, **where)
    async with open_store(settings) as store:
        page = await store.usage(SYSTEM, query)
    return list(page.items), page.next_cursor is not None
