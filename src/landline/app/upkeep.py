"""What an owner does to the data folder from the command line: keys, migration, checks. No server runs for it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, cast

from msgspec.structs import replace

from landline.app.audit_files import by_owner
from landline.app.auditing import ACCOUNTS, audited
from landline.app.faults import SetupError
from landline.app.identity import accounts_of
from landline.app.settings import Settings
from landline.app.storing import open_store
from landline.backends.sqlite import SqliteStore
from landline.engine.loop import SystemClock
from landline.gates.auth.accounts import key_info, user_info
from landline.model.audit import AuditEntry
from landline.model.callers import SYSTEM, Caller
from landline.model.errors import NotFound
from landline.model.people import KeyInfo, UserInfo
from landline.model.times import iso
from landline.ports.audit import Audit
from landline.ports.people import Accounts, KeyOrder, UserChange, UserOrder
from landline.ports.store import Store

__all__ = [
    "KeyOrder",
    "UserChange",
    "UserOrder",
    "accounts",
    "broken_invariants",
    "check_free",
    "decide_open",
    "has_key",
    "keys",
    "prepare_database",
    "user_named",
    "users",
]


@asynccontextmanager
async def accounts(settings: Settings) -> AsyncGenerator[tuple[Accounts, Caller]]:
    """Open the database for looking after its keys and users, beside a running server too; yields them and the owner."""
    async with open_store(settings) as store:
        people, done = accounts_of(settings, store, SystemClock()), _Done()
        if settings.audit == "off":
            yield people, SYSTEM
            return
        try:
            yield audited(people, ACCOUNTS, cast("Audit", done)), SYSTEM
        finally:
            await store.add_audit([await _entry(store, *act) for act in done.acts])


class _Done:
    """What the owner did, as the audit log's port is told of it; nobody signs in on the command line."""

    def __init__(self) -> None:
        self.acts: list[tuple[str, str | None, str, Mapping[str, Any]]] = []

    def note(
        self,
        caller: Caller | None,
        action: str,
        *,
        target: str | None = None,
        outcome: str = "ok",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.acts.append((action, target, outcome, details or {}))


async def _entry(
    store: Store, action: str, target: str | None, outcome: str, details: Mapping[str, Any]
) -> AuditEntry:
    """Return the entry of an act, in the tenant of what it was done to."""
    tenant = ""
    with suppress(NotFound):
        if target is not None and action.startswith("key."):
            key = await store.get_key(SYSTEM, target)
            tenant, details = key.tenant, {"user": key.user, **details}
        elif target is not None:
            tenant = (await store.get_user(SYSTEM, target)).tenant
    return replace(by_owner(action, tenant=tenant, target=target, details=details), outcome=outcome)


async def keys(settings: Settings) -> list[KeyInfo]:
    """Return every key."""
    async with open_store(settings) as store:
        return [key_info(row) for row in await store.list_keys(SYSTEM)]


async def users(settings: Settings, tenant: str | None = None) -> list[UserInfo]:
    """Return every user, or those of one tenant."""
    async with open_store(settings) as store:
        return [user_info(row) for row in await store.list_users(SYSTEM, tenant=tenant)]


async def user_named(settings: Settings, tenant: str, name: str) -> UserInfo:
    """Return a user by name. Raises NotFound."""
    async with open_store(settings) as store:
        found = await store.find_user(tenant, name)
    if found is None:
        raise NotFound(f"There is no user {name} in {tenant}.", code="user_not_found")
    return user_info(found)


async def has_key(settings: Settings) -> bool:
    """Tell whether anybody could sign in: a key that is neither revoked nor expired exists."""
    now = iso(datetime.now(UTC))
    async with open_store(settings) as store:
        return any(row.holds(now) for row in await store.list_keys(SYSTEM))


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
    """Return whether callers need no key: on loopback while nobody can sign in otherwise, or as `open` says (TRU-6).

    Raises:
        SetupError: Bound off loopback, and nobody could sign in, or open mode was asked for.
    """
    if settings.loopback:
        if settings.open is not None:
            return settings.open
        return not settings.signs_in and not await keys(settings)
    where = f"host {settings.host} from {settings.sources()['host']}"
    if settings.open:
        raise SetupError(
            f"open mode is for this machine only, and {settings.host} is not loopback",
            where=f"{where}; open from {settings.sources()['open']}",
            how="leave `open` out and make a key: landline keys create --user NAME, or bind --host 127.0.0.1",
            code="open_bind",
        )
    if not settings.signs_in and not await has_key(settings):
        data = "" if settings.sources()["data"] == "default" else f" --data {settings.data}"
        raise SetupError(
            f"bound to {settings.host}, everybody who reaches it could use it: no API key exists",
            where=where,
            how=f"landline keys create --user NAME{data}",
            code="open_bind",
        )
    return False
