"""Who tells who calls: the authenticators that the settings ask for, put together (TRU-1..7)."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from landline.app.limits import check_key_limits
from landline.app.settings import Settings
from landline.gates.auth import KeyAuthenticator, OpenAuthenticator, StoreAccounts
from landline.ports.authenticator import Authenticator
from landline.ports.clock import Clock
from landline.ports.people import Accounts
from landline.ports.store import Store

__all__ = ["accounts_of", "authenticator_of", "beside"]


def authenticator_of(
    settings: Settings,
    store: Store,
    clock: Clock,
    *,
    open: bool,  # noqa: A002 - the setting's word
    served: bool,
) -> Authenticator:
    """Return who tells who calls. `served` tells that the command line serves, where open mode may end with the first key."""
    keys = KeyAuthenticator(store, clock, roles=settings.roles)
    if not open:
        return keys
    # What was not asked for in so many words ends with the first key.
    return OpenAuthenticator(store, clock, keys=keys, until_a_key=settings.open is None and served)


def accounts_of(settings: Settings, store: Store, clock: Clock) -> Accounts:
    """Return who looks after keys and users."""
    return StoreAccounts(store, clock, roles=settings.roles, check_limits=check_key_limits)


def beside(authenticator: Authenticator) -> AbstractAsyncContextManager[None]:
    """Return what an authenticator does beside requests while the server runs; nothing, for one that has nothing to do."""
    running: Callable[[], AbstractAsyncContextManager[None]] | None = getattr(authenticator, "running", None)
    return nullcontext() if running is None else running()
