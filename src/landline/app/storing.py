"""Opening the database without an engine or HTTP, for commands that only look after it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from landline.app.settings import Settings
from landline.backends.sqlite import SqliteStore
from landline.ports.store import Store

__all__ = ["open_store"]


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncGenerator[Store]:
    """Open the database, beside a running server too: keys are made and revoked while it serves."""
    store = SqliteStore(settings.database_path, beside=True)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
