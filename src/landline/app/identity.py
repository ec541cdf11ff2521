"""Who tells who calls: the authenticators that the settings ask for, put together (TRU-1..7)."""

from landline.app.settings import Settings
from landline.gates.auth import KeyAuthenticator, OpenAuthenticator
from landline.ports.authenticator import Authenticator
from landline.ports.clock import Clock
from landline.ports.store import Store

__all__ = ["authenticator_of"]


def authenticator_of(
    settings: Settings,
    store: Store,
    clock: Clock,
    *,
    open: bool,  # noqa: A002 - the setting's word
    served: bool,
) -> Authenticator:
    """Return who tells who calls. `served` tells that the command line serves, where open mode may end with the first key."""
    if not open:
        return KeyAuthenticator(store, clock)
    # What was not asked for in so many words ends with the first key.
    return OpenAuthenticator(store, clock, until_a_key=settings.open is None and served)
