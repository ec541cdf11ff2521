"""A sign-in as it comes over HTTP: OAuth2's password form, or the same as JSON (TRU-3)."""

from typing import Annotated, Any, Final, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.exceptions import FormParserError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from landline.model.errors import Invalid
from landline.ports.sign_in import SignedIn, SignIn
from landline.web.client import NOBODY, client_address
from landline.web.door import Door
from landline.web.faults import Countable, faults_of

__all__ = [
    "FORM",
    "PasswordBody",
    "RefreshBody",
    "RevokeBody",
    "fields_of",
    "read",
    "signed_in",
    "token_response",
]

FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 16
_OF_OAUTH: Final = frozenset({"grant_type", "scope", "client_id", "client_secret", "token_type_hint"})
"""Fields that OAuth2's clients send and that say nothing here (RFC 6749, 4.3.2; RFC 7009, 2.1)."""

_Read = TypeVar("_Read", bound=BaseModel)

Secret = Annotated[str, Field(min_length=1, max_length=1024)]


class _Body(Countable):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class PasswordBody(_Body):
    """A name and a password; `tenant` for another than the server's usual one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"username": "ada", "password": "…"}]})

    username: Annotated[str, Field(min_length=1, max_length=200)]
    password: Secret
    tenant: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class RefreshBody(_Body):
    """A refresh token, to be used once."""

    refresh_token: Secret


class RevokeBody(_Body):
    """An access or a refresh token whose sign-in shall end."""

    token: Annotated[str, Field(min_length=1, max_length=8192)]


async def fields_of(request: Request) -> dict[str, Any]:
    """Return the fields of a form, without those that only OAuth2 knows, or the members of a JSON object.

    Raises:
        Invalid: It is neither, or a field is there twice.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        data = await request.json()
        if not isinstance(data, dict):
            raise Invalid("The body must be an object.", code="invalid_request")
        return data  # pyright: ignore[reportUnknownVariableType] - any JSON
    if kind != FORM:
        raise Invalid(f"The body must be sent as application/json or {FORM}.", code="unsupported_media_type")
    try:
        form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    except (HTTPException, FormParserError, UnicodeDecodeError):
        raise Invalid("The form cannot be read.", code="malformed_body") from None
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    if len(fields) != len(form.multi_items()) or len(fields) > _MOST_FIELDS:
        raise Invalid("The form has a field twice, or too many.", code="invalid_request")
    if any("\0" in value for value in fields.values()):
        raise Invalid("A field holds NUL.", code="invalid_request")
    grant = fields.get("grant_type", "")
    kept = {name: value for name, value in fields.items() if name not in _OF_OAUTH}
    if grant not in ("", "password", "refresh_token") or (grant == "refresh_token") != (
        "refresh_token" in kept
    ):
        raise Invalid(
            "grant_type must be password, or refresh_token with one.", code="unsupported_grant_type"
        )
    return kept


async def signed_in(request: Request, sign_in: SignIn, door: Door) -> SignedIn:
    """Sign in with what the request brings: a name and a password, or a refresh token.

    Raises:
        Unauthenticated: It does not hold.
        TooManySignIns: Too many failed.
        Invalid: The body does not fit.
    """
    fields = await fields_of(request)
    if "refresh_token" in fields:
        return await sign_in.refresh(read(RefreshBody, fields).refresh_token)
    body = read(PasswordBody, fields)
    found = client_address(request.scope, door.proxies)
    # Whoever has no address (a local socket) would lock all others out who have none.
    address = None if found == NOBODY else found
    return await sign_in.sign_in(body.username, body.password, tenant=body.tenant, address=address)


def read(kind: type[_Read], fields: dict[str, Any]) -> _Read:
    """Return the fields as a body. Raises Invalid, without what was sent."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        faults = faults_of(error.errors(), fields)
        raise Invalid("The body does not fit; see errors.", code="invalid_request", errors=faults) from None


def token_response(found: SignedIn) -> Response:
    """Return the tokens as OAuth2 says them (RFC 6749, 5.1)."""
    told = {
        "access_token": found.access_token,
        "token_type": "bearer",
        "expires_in": found.expires_in_s,
        "refresh_token": found.refresh_token,
    }
    headers = {"cache-control": "no-store", "pragma": "no-cache"}
    return Response(msgspec.json.encode(told), headers=headers, media_type="application/json")
