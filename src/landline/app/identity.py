"""Who tells who calls: the authenticators that the settings ask for, put together (TRU-1..7)."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

from landline.app.limits import check_key_limits
from landline.app.secret import token_secret
from landline.app.settings import ConfigError, Settings
from landline.gates.auth import KeyAuthenticator, OpenAuthenticator, StoreAccounts
from landline.gates.auth.chain import (
    KeysAndTokens,
    LatePages,
    LateSignIn,
    LateStreamTokens,
    Tokens,
    TokensAndSignIn,
)
from landline.ports.authenticator import Authenticator, LiveAuthenticator
from landline.ports.clock import Clock
from landline.ports.egress import Egress
from landline.ports.page_sign_in import PageSignIn
from landline.ports.people import Accounts
from landline.ports.store import Store
from landline.ports.stream_tokens import StreamTokens

if TYPE_CHECKING:
    from landline.gates.auth.jwt import ClaimRules, JwtAuthenticator
    from landline.gates.auth.sign_in import PasswordSignIn
    from landline.gates.auth.stream_tokens import Holds

__all__ = ["accounts_of", "authenticator_of", "beside", "pages_of", "sign_in_of", "stream_tokens_of"]


def authenticator_of(  # noqa: PLR0913 - what it is put together of; the later ones are keywords
    settings: Settings,
    store: Store,
    clock: Clock,
    *,
    egress: Callable[[], Egress],
    sign_in: TokensAndSignIn | None,
    pages: PageSignIn | None,
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
    foreign = _jwt(settings, clock, egress) if settings.jwt_algorithms else None
    if foreign is None and sign_in is None and pages is None:
        return keys
    return KeysAndTokens(keys, Tokens(sign_in, foreign), pages=pages)


def pages_of(
    settings: Settings, store: Store, clock: Clock, egress: Callable[[], Egress]
) -> LatePages | None:
    """Return what signs pages in through the owner's provider, or None where there is none."""
    issuer, client_id, secret = settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret
    if issuer is None or client_id is None or secret is None:
        return None

    def make() -> PageSignIn:
        from landline.gates.auth.oidc import OidcSignIn, Provider
        from landline.gates.auth.own_tokens import Signer

        provider = Provider(issuer=issuer, client_id=client_id, client_secret=secret.get_secret_value())
        signer = Signer(lambda: token_secret(settings), clock)
        rules = _rules(settings, frozenset({"RS256", "PS256", "ES256", "EdDSA"}))
        return OidcSignIn(provider, rules, signer, store, egress(), clock)

    return LatePages(make)


def sign_in_of(settings: Settings, store: Store, clock: Clock) -> LateSignIn | None:
    """Return what passwords are checked with, or None where the owner wants none."""
    if not settings.sign_in:
        return None

    def make() -> "PasswordSignIn":
        from landline.gates.auth.families import Families
        from landline.gates.auth.own_tokens import Signer
        from landline.gates.auth.sign_in import PasswordSignIn

        signer = Signer(lambda: token_secret(settings), clock)
        families = Families(store, clock)
        return PasswordSignIn(
            store, families, signer, clock, tenant=settings.sign_in_tenant, roles=settings.roles
        )

    return LateSignIn(make)


def stream_tokens_of(settings: Settings, authenticator: Authenticator, clock: Clock) -> LateStreamTokens:
    """Return what signs tokens for those who cannot send a header."""

    def make() -> StreamTokens:
        from landline.gates.auth.own_tokens import Signer
        from landline.gates.auth.stream_tokens import SignedStreamTokens

        holds: Holds | None = getattr(authenticator, "holds", None)
        return SignedStreamTokens(signer=Signer(lambda: token_secret(settings), clock), holds=holds)

    return LateStreamTokens(make)


def accounts_of(settings: Settings, store: Store, clock: Clock) -> Accounts:
    """Return who looks after keys and users."""
    return StoreAccounts(store, clock, roles=settings.roles, check_limits=check_key_limits)


def beside(authenticator: Authenticator) -> AbstractAsyncContextManager[None]:
    """Return what an authenticator does beside requests while the server runs; nothing, for one that has nothing to do."""
    running: Callable[[], AbstractAsyncContextManager[None]] | None = getattr(authenticator, "running", None)
    return nullcontext() if running is None else running()


def _jwt(settings: Settings, clock: Clock, egress: Callable[[], Egress]) -> "JwtAuthenticator":
    # Only then: what reads signatures takes 9 MB and a tenth of a second.
    from landline.gates.auth.jwks import Jwks
    from landline.gates.auth.jwt import JwtAuthenticator, OneKey

    rules = _rules(settings, frozenset(settings.jwt_algorithms))
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


def _rules(settings: Settings, algorithms: frozenset[str]) -> "ClaimRules":
    from landline.gates.auth.jwt import ClaimRules

    return ClaimRules(
        algorithms=algorithms,
        issuer=settings.jwt_issuer,
        audience=frozenset(settings.jwt_audience),
        leeway_s=settings.jwt_leeway_s,
        tenant=settings.jwt_tenant,
        tenant_claim=settings.jwt_tenant_claim,
        roles_claim=settings.jwt_roles_claim,
        own_roles=settings.roles,
        scopes_claim=settings.jwt_scopes_claim,
    )
