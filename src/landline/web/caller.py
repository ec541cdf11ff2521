"""Who sent this request: the credential in its headers, what the caller may do (TRU-1, TRU-4, TRU-5, TRU-6), and the host app's own
context for it (AGT-6).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated, Final, cast
from urllib.parse import parse_qsl

from fastapi import Depends, Security
from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import HTTPConnection, Request

from landline.model.callers import MAX_USER_CHARS, Caller, is_user_name
from landline.model.errors import Forbidden, Invalid, LandlineError, Unauthenticated, Unsupported
from landline.ports.audit import ORIGIN, Audit, Origin
from landline.ports.authenticator import Authenticator
from landline.ports.runs import HeldContext, StartRun
from landline.web.client import client_address
from landline.web.door import Door
from landline.web.face import FacePorts
from landline.web.limits import arrived
from landline.web.origins import check_page
from landline.web.page_sign_in import page_caller
from landline.web.problems import request_id
from landline.web.stream_tokens import PARAMETER, stream_caller

__all__ = [
    "CallerOf",
    "Needed",
    "admit",
    "check_scopes",
    "credential_of",
    "solved",
    "with_context",
    "with_contexts",
]

Needed = str | tuple[str, ...]
"""A scope that is needed, or several of which one is enough."""

_KEY_NAMES: Final = frozenset(
    {"api_key", "apikey", "api-key", "x-api-key", "access_token", "token", "authorization", "key", PARAMETER}
)
_FORWARDED: Final = (b"forwarded", b"x-forwarded-", b"x-real-ip")
_MAX_CREDENTIAL: Final = 8192


async def admit(
    connection: HTTPConnection, door: Door, scopes: Sequence[Needed], *, streams: bool = False
) -> Caller:
    """Return the caller of this request or socket, who holds every one of `scopes`.

    With `streams` a stream token in the URL does as well (TRU-7); anywhere else it is refused.

    Raises:
        Unauthenticated: No credential where one is needed, or one that does not hold.
        Forbidden: The caller lacks a scope, names another user without the scope `delegate`, or the server is open and the
            request came through a proxy or from a page of another origin.
        Invalid: Two different credentials, one in the URL, or a name in X-User-ID that is none.
        RateLimited: Too often, by this address or this caller; or too many sign-ins of the address failed.
    """
    authenticator, credential, caller = door.authenticator, None, None
    ORIGIN.set(Origin(request_id(connection.scope), _remote(connection, door)))
    tally = await arrived(connection, door) if door.limits is not None else None
    try:
        caller = await stream_caller(connection, door) if streams else None
        if authenticator.open:
            _refuse_forwarded(connection)
            if "origin" in connection.headers or "sec-fetch-site" in connection.headers:
                check_page(connection, door)
        if caller is None:
            credential = _any_credential(connection) if authenticator.open else credential_of(connection)
            if credential is None and door.pages is not None:
                caller = await page_caller(connection, door)
            caller = caller or await authenticator.authenticate(credential)
        if named := _named_users(connection):
            caller = await _acting(authenticator, caller, named)
        if door.limits is not None and tally is not None:
            await door.limits.admitted(tally, caller)
        check_scopes(caller, scopes)
    except LandlineError as error:
        unknown = isinstance(error, Unauthenticated) and caller is None and credential is not None
        if door.limits is not None and tally is not None and unknown:
            await door.limits.not_signed_in(tally)
        if door.audit is not None:
            door.audit.refused(error, caller, credential)
        raise
    if door.audit is not None and (caller.key_id or caller.credential):
        door.audit.signed_in(caller)
    connection.scope.setdefault("state", {})["caller"] = caller
    return caller


def _remote(connection: HTTPConnection, door: Door) -> str | None:
    if door.proxies:
        return client_address(connection.scope, door.proxies)
    return connection.client.host if connection.client else None


def _named_users(connection: HTTPConnection) -> list[bytes]:
    return [raw for name, raw in connection.scope["headers"] if name == b"x-user-id"]


async def _acting(authenticator: Authenticator, caller: Caller, named: Sequence[bytes]) -> Caller:
    """Return the caller as the user that X-User-ID names; a gateway's key may name anybody, others themselves (TRU-4)."""
    if "delegate" not in caller.scopes:
        if not authenticator.open and set(named) == {caller.user.encode()}:
            return (
                caller  # clients of a gateway's wire say whose key it is, which is no more than the key says
            )
        raise Forbidden(
            "Only a key with the scope delegate may name another user in X-User-ID.",
            code="delegation_not_allowed",
        )
    try:
        (user,) = {raw.decode() for raw in named}
    except ValueError:
        user = ""
    if not is_user_name(user):
        raise Invalid(
            f"X-User-ID must be one name of 1 to {MAX_USER_CHARS} visible characters, in UTF-8.",
            code="bad_user_id",
        )
    act_for: Callable[[Caller, str], Awaitable[Caller]] | None = getattr(authenticator, "act_for", None)
    if act_for is not None:
        return await act_for(caller, user)
    return replace(caller, user=user, scopes=caller.scopes - {"admin", "delegate"}, roles=frozenset[str]())


def check_scopes(caller: Caller, scopes: Sequence[Needed], audit: Audit | None = None) -> None:
    """Raise Forbidden unless `caller` holds every one of `scopes`; behind a door, `audit` is told of that."""
    missing = [needed for needed in scopes if caller.scopes.isdisjoint(_either(needed))]
    if missing:
        raise _missing(missing, caller, audit)


def _missing(missing: Sequence[Needed], caller: Caller, audit: Audit | None) -> Forbidden:
    told = ", ".join(" or ".join(_either(needed)) for needed in missing)
    error = Forbidden(f"This needs the scope {told}.", code="missing_scope")
    if audit is not None:
        audit.refused(error, caller, None)
    return error


def _either(needed: Needed) -> tuple[str, ...]:
    return (needed,) if isinstance(needed, str) else needed


def credential_of(connection: HTTPConnection) -> str | None:
    """Return the one credential of a request; `X-API-Key` and `Authorization: Bearer` mean the same."""
    query = connection.scope.get("query_string", b"")
    if query and any(name.lower() in _KEY_NAMES for name, _ in parse_qsl(query.decode("latin-1"))):
        raise Invalid(
            "A credential in a URL ends up in logs and histories; send it as X-API-Key or Authorization: Bearer.",
            code="credential_in_url",
        )
    found: set[str] = set()
    for name, raw in cast("list[tuple[bytes, bytes]]", connection.scope["headers"]):
        if name == b"x-api-key":
            found.add(raw.decode("latin-1").strip())
        elif name == b"authorization":
            scheme, _, value = raw.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthenticated("Only the Bearer scheme is understood.")
            found.add(value.strip())
    if len(found) > 1:
        raise Invalid("The request carries two different credentials.", code="two_credentials")
    credential = found.pop() if found else None
    if credential is not None and not 0 < len(credential) <= _MAX_CREDENTIAL:
        raise Unauthenticated("The credential does not hold.")
    return credential


def _any_credential(connection: HTTPConnection) -> str | None:
    """Return what may be a key of ours; in open mode a credential may as well be the host app's own, of any scheme."""
    for name, raw in cast("list[tuple[bytes, bytes]]", connection.scope["headers"]):
        if name == b"x-api-key":
            return raw.decode("latin-1").strip()
        if name == b"authorization" and raw[:7].lower() == b"bearer ":
            return raw[7:].decode("latin-1").strip()
    return None


def _refuse_forwarded(connection: HTTPConnection) -> None:
    """An open server serves its own machine; a forwarded request is somebody else's (clarification 15)."""
    for name, _ in cast("list[tuple[bytes, bytes]]", connection.scope["headers"]):
        if name.startswith(_FORWARDED):
            raise Forbidden(
                "This server runs open, for its own machine only, and the request came through a proxy. "
                "Make a key with `landline keys create` to serve others.",
                code="forwarded_in_open_mode",
            )


class _Bearer(HTTPBearer):
    """The scheme for the schema only: the route has looked at the credential before."""

    async def __call__(self, request: HTTPConnection) -> None:
        return None


class _ApiKey(APIKeyHeader):
    """As `_Bearer`."""

    async def __call__(self, request: HTTPConnection) -> None:
        return None


_BEARER = _Bearer(auto_error=False, scheme_name="bearer", description="An API key or a token.")
_API_KEY = _ApiKey(auto_error=False, scheme_name="api_key", name="X-API-Key", description="An API key.")


async def _caller(
    connection: HTTPConnection,
    _bearer: Annotated[None, Security(_BEARER)] = None,
    _key: Annotated[None, Security(_API_KEY)] = None,
) -> Caller:
    # Admitted by the route before its body was read: a stranger's body is never parsed.
    return cast("Caller", connection.scope["state"]["caller"])


CallerOf = Annotated[Caller, Depends(_caller)]
"""The caller, in a handler's signature."""


def solved(dependant: Dependant) -> Dependant:
    """Return what of a handler's signature is solved with each request: the schemes are there for the schema alone."""
    asked = [replace(one, dependencies=[]) if one.call is _caller else one for one in dependant.dependencies]
    return replace(dependant, dependencies=asked)


async def with_context(ports: FacePorts, caller: Caller, request: Request, wanted: StartRun) -> StartRun:
    """Return the run that a body asked for, with the host's context where the server has one (AGT-6).

    Every door calls it, last before `Runs.start`, which closes the context when it refuses.

    Raises:
        LandlineError: The body brings a context of its own, or the host's dependency refused.
    """
    if ports.context is None:
        return wanted
    if wanted.has_context:
        raise Unsupported("The server gives the run its context; a request may not.")
    return replace(wanted, context=await ports.context(request, caller), has_context=True)


async def with_contexts(
    ports: FacePorts, caller: Caller, request: Request, wanted: Sequence[StartRun]
) -> list[StartRun]:
    """Return the runs of a fan-out, each with a context of its own: all, or none is left open.

    Raises:
        LandlineError: As `with_context`.
    """
    ready: list[StartRun] = []
    try:
        for each in wanted:
            ready.append(await with_context(ports, caller, request, each))  # noqa: PERF401 - what is open must be known when one refuses
    except BaseException:  # a client that goes away too: what the host opened for the others is closed
        for each in ready:
            if isinstance(each.context, HeldContext):
                await each.context.release()
        raise
    return ready
