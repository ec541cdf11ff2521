"""Who tells who calls: the authenticators that the settings ask for, put together (TRU-1..7)."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

from landline.app.limits import check_key_limits
from landline.app.settings import ConfigError, Settings
from landline.gates.auth import KeyAuthenticator, OpenAuthenticator, StoreAccounts
from landline.gates.auth.chain import KeysAndTokens
from landline.ports.authenticator import Authenticator, LiveAuthenticator
from landline.ports.clock import Clock
from landline.ports.egress import Egress
from landline.ports.people import Accounts
from landline.ports.store import Store

if TYPE_CHECKING:
    from landline.gates.auth.jwt import JwtAuthenticator

__all__ = ["accounts_of", "authenticator_of", "beside"]


def authenticator_of(
    settings: Settings,
    store: Store,
    clock: Clock,
    *,
    egress: Callable[[], Egress],
    open: bool,  # noqa: A002 - the setting's word
    served: bool,
) -> Authenticator:
    """Return who tells who calls. `served` tells that the command line serves, where open mode may end with the first key.

    Raises:
        ConfigError: A key of the settings is none for their algorithms.
    """
    keys: LiveAuthenticator = KeyAuthenticator(store, clock, roles=settings.roles)
    if open:
        # What was not asked for in so many words ends with the first key.
        until_a_key = settings.open is None and served
        keys = OpenAuthenticator(store, clock, keys=keys, until_a_key=until_a_key)
    if not settings.jwt_algorithms:
        return keys
    return KeysAndTokens(keys, _jwt(settings, clock, egress))


def accounts_of(settings: Settings, store: Store, clock: Clock) -> Accounts:
    """Return who looks after keys and users."""
    return StoreAccounts(store, clock, roles=settings.roles, check_limits=check_key_limits)


def beside(authenticator: Authenticator) -> AbstractAsyncContextManager[None]:
    """Return what an authenticator does beside requests while the server runs; nothing, for one that has nothing to do."""
    running: Callable[[], AbstractAsyncContextManager[None]] | None = getattr(authenticator, "running", None)
    return nullcontext() if running is None else running()


def _jwt(settings: Settings, clock: Clock, egress: Callable[[], Egress]) -> "JwtAuthenticator":
    from landline.gates.auth.jwks import Jwks
    from landline.gates.auth.jwt import ClaimRules, JwtAuthenticator, OneKey

    rules = ClaimRules(
        algorithms=frozenset(settings.jwt_algorithms),
        issuer=settings.jwt_issuer,
        audience=frozenset(settings.jwt_audience),
        leeway_s=settings.jwt_leeway_s,
        tenant=settings.jwt_tenant,
        tenant_claim=settings.jwt_tenant_claim,
        roles_claim=settings.jwt_roles_claim,
        scopes_claim=settings.jwt_scopes_claim,
    )
    if settings.jwt_jwks_url is not None:
        return JwtAuthenticator(rules, Jwks(settings.jwt_jwks_url, egress(), clock), clock)
    name = "jwt_secret" if settings.jwt_secret is not None else "jwt_public_key"
    key = settings.jwt_secret.get_secret_value() if settings.jwt_secret else settings.jwt_public_key
    try:
        return JwtAuthenticator(rules, OneKey(key or "", settings.jwt_algorithms), clock)
    except ValueError as error:
        raise ConfigError(
            f"{name}: {error}",
            where=f"{name} from {settings.sources()[name]}",
            how="give the key that the issuer names, and its algorithms as jwt_algorithms",
            code="config_invalid_value",
        ) from None
