"""Signed tokens of others: who a JWT says its bearer is, by rules that the owner set (TRU-2).

The library verifies signatures; the rules are ours, because it lets pass what must not: an expiry in the year 10^22, an
empty subject, numbers that are text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from jwt import InvalidKeyError, PyJWS

from landline.gates.auth.compact import BadToken, Compact, digest_of, is_plain_type, read_compact, read_object
from landline.gates.auth.roles import scopes_of_roles, tier_of_roles
from landline.model.callers import ALL_SCOPES, KNOWN_SCOPES, Caller
from landline.model.errors import Unauthenticated
from landline.ports.clock import Clock

__all__ = [
    "CREDENTIAL",
    "REFUSED",
    "SYMMETRIC",
    "ClaimRules",
    "JwtAuthenticator",
    "KeySource",
    "OneKey",
    "check_issued",
    "checked_times",
    "verify",
]

SYMMETRIC: Final = frozenset({"HS256", "HS384", "HS512"})
REFUSED: Final = "The credential does not hold."
CREDENTIAL: Final = "jwt:"
"""What `Caller.credential` begins with; its end in seconds follows, then its name."""
LONGEST_S: Final = 366 * 86_400
"""An expiry further ahead is none (TRU-2): a year, and the day that some years have more."""
CACHED_S: Final = 2.0
"""How long a verified token is believed without another look, as for keys (TRU-1)."""
CACHED_TOKENS: Final = 10_000
_MAX_NAME_CHARS: Final = 200
_MAX_ROLES: Final = 100
_MAX_JTI_CHARS: Final = 100


class KeySource(Protocol):
    """Where the keys are that tokens are verified with."""

    async def key(self, algorithm: str, kid: str | None) -> Any:
        """Return the key, as the library takes it.

        Raises:
            BadToken: There is none of that name for that algorithm.
            Unavailable: The keys cannot be had now.
        """
        ...


class OneKey:
    """A shared secret, or one public key in PEM; the token's `kid` says nothing.

    Raises:
        ValueError: It is no key, a weak one, or none for one of the algorithms.
    """

    def __init__(self, key: str | bytes, algorithms: Sequence[str]) -> None:
        self._keys = {name: _prepared(key, name) for name in algorithms}

    async def key(self, algorithm: str, kid: str | None) -> Any:
        """Return it."""
        if algorithm not in self._keys:
            raise BadToken("not a key for this algorithm")
        return self._keys[algorithm]


def _prepared(key: str | bytes, name: str) -> Any:
    algorithm = PyJWS().get_algorithm_by_name(name)
    try:
        ready = algorithm.prepare_key(key)
    except (InvalidKeyError, TypeError, ValueError) as error:
        raise ValueError(f"it is no key for {name}") from error
    if weak := algorithm.check_key_length(ready):
        raise ValueError(weak.rstrip("."))
    return ready


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimRules:
    """What a token must say, and where it says it.

    A claim is named by its path, as `realm_access.roles`. Without `tenant_claim` every caller is of `tenant`; with it a
    token without one does not hold. With `scopes_claim` a caller has the scopes that the token names and Landline knows,
    else those of a key that names none and those of its roles (`own_roles` are the owner's).
    """

    algorithms: frozenset[str]
    issuer: str | None = None
    audience: frozenset[str] = frozenset()
    leeway_s: float = 30.0
    tenant: str = "local"
    tenant_claim: str | None = None
    roles_claim: str | None = None
    own_roles: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    scopes_claim: str | None = None


@dataclass(slots=True)
class _Known:
    until: float
    expires: float
    caller: Caller = field(repr=False)


class JwtAuthenticator:
    """Turns tokens into callers, remembering good ones for a moment and never past their end."""

    def __init__(self, rules: ClaimRules, keys: KeySource, clock: Clock) -> None:
        self._rules, self._keys, self._clock = rules, keys, clock
        self._known: dict[bytes, _Known] = {}

    async def authenticate(self, token: str) -> Caller:
        """Return who the token says its bearer is.

        Raises:
            Unauthenticated: It does not hold; in the same words whatever is wrong with it.
            Unavailable: The issuer's keys cannot be had now.
        """
        digest = digest_of(token)
        known = self._known.get(digest)
        if (
            known is not None
            and self._clock.steady() < known.until
            and self._clock.now().timestamp() < known.expires
        ):
            return known.caller
        try:
            known = await self._read(token, digest)
        except BadToken:
            raise Unauthenticated(REFUSED) from None
        if len(self._known) >= CACHED_TOKENS:
            self._known.clear()
        self._known[digest] = known
        return known.caller

    async def holds(self, caller: Caller) -> bool:
        """Tell whether the token that made `caller` has not ended: what it opened is closed then (TRU-1)."""
        expires = (caller.credential or "").removeprefix(CREDENTIAL).partition(":")[0]
        return self._clock.now().timestamp() < int(expires or 0) + self._rules.leeway_s

    async def _read(self, token: str, digest: bytes) -> _Known:
        compact = read_compact(token)
        if compact.algorithm not in self._rules.algorithms:
            raise BadToken("the algorithm is not allowed")
        if not is_plain_type(compact.kind):
            raise BadToken("made for something else")
        claims = verify(compact, await self._keys.key(compact.algorithm, compact.kid))
        rules = self._rules
        expires = checked_times(claims, now=self._clock.now().timestamp(), leeway_s=rules.leeway_s)
        until = self._clock.steady() + CACHED_S
        return _Known(until, expires + rules.leeway_s, check_issued(claims, rules, digest, expires))


def verify(compact: Compact, key: Any) -> dict[str, Any]:
    """Return the claims of a token whose signature holds. Raises BadToken."""
    algorithm = PyJWS().get_algorithm_by_name(compact.algorithm)
    try:
        holds = algorithm.verify(compact.signed, key, compact.signature)
    except (TypeError, ValueError):  # a key of another kind, a signature of another length
        holds = False
    if not holds:
        raise BadToken("the signature does not hold")
    return read_object(compact.payload)


def checked_times(claims: dict[str, Any], *, now: float, leeway_s: float) -> float:
    """Return when the token ends, in seconds since 1970. Raises BadToken: too late, too early, or no end in a year."""
    expires = _moment(claims, "exp")
    if expires is None:
        raise BadToken("no expiry")
    if expires + leeway_s <= now:
        raise BadToken("expired")
    if expires - now > LONGEST_S:
        raise BadToken("the expiry is more than a year ahead")
    for name in ("nbf", "iat"):
        moment = _moment(claims, name)
        if moment is not None and moment - leeway_s > now:
            raise BadToken("not yet")
    return expires


def check_issued(claims: dict[str, Any], rules: ClaimRules, digest: bytes, expires: float) -> Caller:
    """Return whom verified claims name, if they are of the issuer and for us. Raises BadToken."""
    if rules.issuer is not None and claims.get("iss") != rules.issuer:
        raise BadToken("another issuer")
    _check_audience(claims, rules.audience)
    return _caller(claims, rules, digest, expires)


def _moment(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**12:
        raise BadToken(f"{name} is no time")
    return float(value)


def _check_audience(claims: dict[str, Any], wanted: frozenset[str]) -> None:
    said = claims.get("aud")
    names = cast("list[Any]", said) if isinstance(said, list) else [said] if "aud" in claims else []
    if not all(isinstance(name, str) for name in names):
        raise BadToken("the audience is no name")
    # A token that names its readers is for nobody else, also where none is asked for (RFC 7519, 4.1.3).
    if (wanted or names) and wanted.isdisjoint(names):
        raise BadToken("for somebody else")


def _caller(claims: dict[str, Any], rules: ClaimRules, digest: bytes, expires: float) -> Caller:
    roles = frozenset(_names(claims, rules.roles_claim))
    if rules.scopes_claim is not None:
        scopes = KNOWN_SCOPES.intersection(_names(claims, rules.scopes_claim))
    else:
        scopes = ALL_SCOPES | scopes_of_roles(roles, rules.own_roles)
    tenant = rules.tenant
    if rules.tenant_claim is not None:
        tenant = _name(_at(claims, rules.tenant_claim))
    jti = claims.get("jti")
    named = isinstance(jti, str) and 0 < len(jti) <= _MAX_JTI_CHARS and jti.isprintable()
    return Caller(
        tenant=tenant,
        user=_name(claims.get("sub")),
        scopes=scopes,
        roles=roles,
        tier=tier_of_roles(roles),
        credential=f"{CREDENTIAL}{int(expires)}:{jti if named else digest.hex()[:32]}",
    )


def _name(value: Any) -> str:
    """Return what names a principal: text that cannot be mistaken for another's."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME_CHARS:
        raise BadToken("no name")
    if not value.isprintable() or value != value.strip():
        raise BadToken("not a name that can be read")
    return value


def _names(claims: dict[str, Any], path: str | None) -> Sequence[str]:
    found = None if path is None else _at(claims, path)
    if found is None:
        return ()
    names = found.split(" ") if isinstance(found, str) else found
    if not isinstance(names, list):
        raise BadToken("not a list of names")
    listed = cast("list[Any]", names)
    if len(listed) > _MAX_ROLES or not all(isinstance(name, str) for name in listed):
        raise BadToken("not a list of names")
    return [name for name in listed if name]


def _at(claims: dict[str, Any], path: str) -> Any:
    """Return what is at a path; a claim whose own name has dots (`https://…/roles`) is found by its whole name."""
    if path in claims:
        return claims[path]
    here: Any = claims
    for name in path.split("."):
        if not isinstance(here, dict):
            return None
        here = cast("dict[str, Any]", here).get(name)
    return here
