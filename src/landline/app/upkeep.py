"""What an owner does to the data folder from the command line: keys, migration, checks. No server runs for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from landline.app.faults import SetupError
from landline.app.settings import Settings
from landline.app.storing import open_store
from landline.backends.sqlite import SqliteStore
from landline.gates.auth import make_key
from landline.model.callers import SYSTEM
from landline.model.times import iso
from landline.ports.keys import KeyRow


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyOrder:
    """A key to make. `scopes` None is every scope."""

    user: str
    tenant: str
    scopes: Sequence[str] | None = None
    name: str | None = None
    expires_in: timedelta | None = None


async def add_key(settings: Settings, order: KeyOrder) -> tuple[str, dict[str, Any]]:
    """Make a key and return (the key, which is kept nowhere; its row as it may be shown).

    Raises:
        Invalid: An unknown scope, or an empty user or tenant.
    """
    now = datetime.now(UTC)
    secret, row = make_key(
        tenant=order.tenant,
        user=order.user,
        at=iso(now),
        scopes=order.scopes,
        name=order.name,
        expires_at=iso(now + order.expires_in) if order.expires_in else None,
    )
    async with open_store(settings) as store:
        await store.add_key(SYSTEM, row)
    return secret, _shown(row)


async def keys(settings: Settings) -> list[dict[str, Any]]:
    """Return every key, without its hash."""
    async with open_store(settings) as store:
        return [_shown(row) for row in await store.list_keys(SYSTEM)]


async def has_key(settings: Settings) -> bool:
    """Tell whether anybody could sign in: a key that is neither revoked nor expired exists."""
    now = iso(datetime.now(UTC))
    async with open_store(settings) as store:
        return any(_holds(row, now) for row in await store.list_keys(SYSTEM))


async def revoke_key(settings: Settings, key_id: str) -> None:
    """Make a key worthless from now on. Raises NotFound."""
    async with open_store(settings) as store:
        await store.revoke_key(SYSTEM, key_id, at=iso(datetime.now(UTC)))


async def broken_invariants(settings: Settings) -> list[str]:
    """Return every broken invariant of every log as a sentence (REL-13)."""
    async with open_store(settings) as store:
        return await store.verify(SYSTEM)


async def check_free(settings: Settings) -> None:
    """Prove that this process may serve the database. Raises DatabaseLocked, DatabaseNewer, StorageFailed."""
    store = SqliteStore(settings.database_path)
    await store.open()
    await store.close()


async def prepare_database(settings: Settings) -> None:
    """Make the database, or bring it to this version's schema, and prove that it can be written."""
    async with open_store(settings) as store:
        await store.check()


async def decide_open(settings: Settings) -> bool:
    """Return whether callers need no key: on loopback while none was made, or as `open` says (TRU-6).

    Raises:
        SetupError: Bound off loopback, and there is no key, or open mode was asked for.
    """
    if settings.loopback:
        return settings.open if settings.open is not None else not await keys(settings)
    where = f"host {settings.host} from {settings.sources()['host']}"
    if settings.open:
        raise SetupError(
            f"open mode is for this machine only, and {settings.host} is not loopback",
            where=f"{where}; open from {settings.sources()['open']}",
            how="leave `open` out and make a key: landline keys create --user NAME, or bind --host 127.0.0.1",
            code="open_bind",
        )
    if not await has_key(settings):
        data = "" if settings.sources()["data"] == "default" else f" --data {settings.data}"
        raise SetupError(
            f"bound to {settings.host}, everybody who reaches it could use it: no API key exists",
            where=where,
            how=f"landline keys create --user NAME{data}",
            code="open_bind",
        )
    return False


def _holds(row: KeyRow, now: str) -> bool:
    return row.revoked_at is None and (row.expires_at is None or now < row.expires_at)


def _shown(row: Any) -> dict[str, Any]:
    names = (
        "id",
        "prefix",
        "tenant",
        "user",
        "scopes",
        "name",
        "at",
        "expires_at",
        "revoked_at",
        "last_used_at",
    )
    return {name: getattr(row, name, None) for name in names}
