"""Keys for tests that serve: made in the data folder, as the command line makes them."""

from __future__ import annotations

from landline.app.settings import Settings
from landline.app.upkeep import KeyOrder, accounts
from landline.model.people import KeyInfo

__all__ = ["add_key", "revoke_key"]


async def add_key(settings: Settings, order: KeyOrder) -> tuple[str, KeyInfo]:
    """Make a key; return it, and what may be shown of it."""
    async with accounts(settings) as (people, owner):
        return await people.make_key(owner, order)


async def revoke_key(settings: Settings, key_id: str) -> None:
    """Revoke a key."""
    async with accounts(settings) as (people, owner):
        await people.revoke_key(owner, key_id)
