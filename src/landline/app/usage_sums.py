"""What an owner asks of the usage from the command line."""

from landline.app.settings import Settings
from landline.app.storing import open_store
from landline.model.callers import SYSTEM
from landline.model.usage import UsageRow
from landline.ports.usage import UsageQuery

__all__ = ["summed"]


async def summed(settings: Settings, query: UsageQuery) -> tuple[list[UsageRow], bool]:
    """Return the first `query.limit` rows, and whether there are more."""
    async with open_store(settings) as store:
        page = await store.usage(SYSTEM, query)
    return list(page.items), page.next_cursor is not None
