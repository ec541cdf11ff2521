"""Signing in with a password (TRU-3): tokens for one, new ones for old, and the end of them."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from landline.faces.native import documents
from landline.faces.native.encode import json_response
from landline.faces.native.turn import PREFIX
from landline.ports.sign_in import SignIn
from landline.web.door import Door
from landline.web.route import Entry, public
from landline.web.sign_in import (
    FORM,
    PasswordBody,
    RefreshBody,
    RevokeBody,
    fields_of,
    read,
    signed_in,
    token_response,
)

__all__ = ["TokenRoutes", "body_of"]

_TOKENS: Final = {
    "access_token": "eyJhbGciOiJIUzI1NiIsImtpZCI6ImxhbmRsaW5lIiwidHlwIjoiYXQrand0In0.e30.…",
    "token_type": "bearer",
    "expires_in": 1800,
    "refresh_token": "lr_0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10_…",
}


class TokenRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, sign_in: SignIn, door: Door) -> None:
        self._sign_in, self._door = sign_in, door

    @public
    async def token(self, request: Request) -> Response:
        """Return tokens for a name and a password, or for a refresh token."""
        return token_response(await signed_in(request, self._sign_in, self._door))

    @public
    async def refresh(self, request: Request) -> Response:
        """Return new tokens for a refresh token, which holds no more."""
        body = read(RefreshBody, await fields_of(request))
        return token_response(await self._sign_in.refresh(body.refresh_token))

    @public
    async def revoke(self, request: Request) -> Response:
        """End a sign-in; the same answer whether there was one."""
        body = read(RevokeBody, await fields_of(request))
        await self._sign_in.revoke(body.token)
        return json_response({}, headers={"cache-control": "no-store"})

    def routes(self) -> list[Entry]:
        """Return the table."""
        tokens = {"description": "Tokens.", "content": {"application/json": {"example": _TOKENS}}}
        said: dict[int | str, Any] = {200: tokens, **documents.problems(415, 429)}
        ended: dict[str, Any] = {
            "description": "It has ended, if there was one.",
            "content": {"application/json": {"example": {}}},
        }
        path = f"{PREFIX}/token"
        return [
            Entry(method="POST", path=path, endpoint=self.token, name="sign_in", summary="Sign in",
                  docs={"responses": said, "openapi_extra": body_of(PasswordBody)}),
            Entry(method="POST", path=f"{path}/refresh", endpoint=self.refresh, name="refresh_token",
                  summary="New tokens for a refresh token", docs={"responses": said, "openapi_extra": body_of(RefreshBody)}),
            Entry(method="POST", path=f"{path}/revoke", endpoint=self.revoke, name="revoke_token", summary="Sign out",
                  docs={"responses": {200: ended, **documents.problems(415)}, "openapi_extra": body_of(RevokeBody)}),
        ]  # fmt: skip


def body_of(kind: type[PasswordBody | RefreshBody | RevokeBody]) -> dict[str, Any]:
    """Return the document of a body that may be JSON or a form."""
    schema = {"schema": kind.model_json_schema()}
    return {"requestBody": {"required": True, "content": {"application/json": schema, FORM: schema}}}
