"""API keys over REST: those of a tenant for who operates it, and a caller's own (TRU-1, TRU-5)."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.native import documents, encode
from landline.faces.native.params import IdParam
from landline.faces.native.turn import PREFIX, location
from landline.faces.native.wire_people import CreateKeyBody, RotateKeyBody
from landline.model.callers import KNOWN_SCOPES, MAX_USER_CHARS, Caller
from landline.model.errors import Forbidden
from landline.model.people import KeyInfo, MadeKey
from landline.ports.people import Accounts, KeyOrder
from landline.web.caller import CallerOf
from landline.web.paging import DEFAULT_LIMIT, CursorParam, LimitParam
from landline.web.route import Entry, lists, requires

__all__ = ["KeyRoutes"]

_ANY = tuple(sorted(KNOWN_SCOPES))
"""Whoever may do anything at all may look after what it has."""

UserParam = Annotated[
    str | None, Query(min_length=1, max_length=MAX_USER_CHARS, description="Keys of this user only.")
]


class KeyRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    @requires("admin")
    async def create(self, request: Request, body: CreateKeyBody, caller: CallerOf) -> Response:
        """Make a key in the caller's tenant. The answer shows it this once: only its hash is kept."""
        order = KeyOrder(
            user=body.user,
            scopes=body.scopes,
            agents=body.agents,
            tier=body.tier,
            limits=body.limits,
            name=body.name,
            expires_in=_span(body.expires_in_s),
        )
        return _made(request, *await self._accounts.make_key(caller, order))

    @requires("admin")
    async def rotate(
        self, request: Request, key_id: IdParam, body: RotateKeyBody, caller: CallerOf
    ) -> Response:
        """Make a key with the rights of an old one, which ends after the overlap."""
        overlap, life = timedelta(seconds=body.overlap_s), _span(body.expires_in_s)
        return _made(
            request, *await self._accounts.rotate_key(caller, key_id, overlap=overlap, expires_in=life)
        )

    @requires("admin")
    @lists()
    async def list_all(
        self,
        caller: CallerOf,
        user: UserParam = None,
        limit: LimitParam = DEFAULT_LIMIT,
        cursor: CursorParam = None,
    ) -> Response:
        """Return a page of the tenant's keys, oldest first, revoked ones too."""
        found = await self._accounts.list_keys(caller, user=user, limit=limit, cursor=cursor)
        return encode.json_response(encode.page(found))

    @requires("admin")
    async def get(self, key_id: IdParam, caller: CallerOf) -> Response:
        """Return what is kept of a key, its hash apart."""
        return encode.json_response(await self._accounts.get_key(caller, key_id))

    @requires("admin")
    async def revoke(self, key_id: IdParam, caller: CallerOf) -> Response:
        """Make a key worthless: new requests at once or 2 seconds later, what it has open closes within 5. Runs go on."""
        await self._accounts.revoke_key(caller, key_id)
        return Response(status_code=204)

    @requires(_ANY)
    @lists()
    async def list_own(
        self, caller: CallerOf, limit: LimitParam = DEFAULT_LIMIT, cursor: CursorParam = None
    ) -> Response:
        """Return a page of the caller's own keys, oldest first, revoked ones too."""
        own = _as_user(caller)
        found = await self._accounts.list_keys(own, user=own.user, limit=limit, cursor=cursor)
        return encode.json_response(encode.page(found))

    @requires(_ANY)
    async def revoke_own(self, key_id: IdParam, caller: CallerOf) -> Response:
        """Make a key of the caller's own worthless; a key does not end one that may do more than itself."""
        own = _as_user(caller)
        key = await self._accounts.get_key(own, key_id)
        if not set(key.scopes) <= caller.scopes:
            raise Forbidden("That key may do more than this one, which cannot end it.", code="beyond_caller")
        await self._accounts.revoke_key(own, key_id)
        return Response(status_code=204)

    def routes(self) -> list[Entry]:
        """Return the table."""
        key = documents.answer("KeyInfo", documents.KEY, "The key, its hash apart.")
        page = documents.answer("KeyInfoPage", documents.page_of(documents.KEY), "A page of keys.")
        made: dict[str, Any] = {
            **documents.answer(
                "MadeKey", {"key": "ll_" + "0" * 40, **documents.KEY}, "The key, shown this once."
            ),
            "headers": {"Location": {"schema": {"type": "string"}}},
        }
        gone = {204: {"description": "It is revoked."}, **documents.problems(404)}
        admin, own = f"{PREFIX}/admin/keys", f"{PREFIX}/keys"
        return [
            Entry(method="POST", path=admin, endpoint=self.create, name="create_key", summary="Create an API key",
                  status=201, docs={"responses": {201: made, **documents.problems(404)}}),
            Entry(method="GET", path=admin, endpoint=self.list_all, name="list_keys", summary="List the tenant's API keys",
                  docs={"responses": {200: page, **documents.problems()}}),
            Entry(method="GET", path=f"{admin}/{{key_id}}", endpoint=self.get, name="get_key", summary="Get an API key",
                  docs={"responses": {200: key, **documents.problems(404)}}),
            Entry(method="POST", path=f"{admin}/{{key_id}}/rotate", endpoint=self.rotate, name="rotate_key",
                  summary="Create an API key that follows another", status=201,
                  docs={"responses": {201: made, **documents.problems(404, 409)}}),
            Entry(method="DELETE", path=f"{admin}/{{key_id}}", endpoint=self.revoke, name="revoke_key",
                  summary="Revoke an API key", status=204, docs={"responses": gone}),
            Entry(method="GET", path=own, endpoint=self.list_own, name="list_own_keys", summary="List your own API keys",
                  docs={"responses": {200: page, **documents.problems()}}),
            Entry(method="DELETE", path=f"{own}/{{key_id}}", endpoint=self.revoke_own, name="revoke_own_key",
                  summary="Revoke an API key of your own", status=204, docs={"responses": gone}),
        ]  # fmt: skip


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _as_user(caller: Caller) -> Caller:
    """Return `caller` as one of the users of its tenant, whatever else it operates."""
    return replace(caller, scopes=caller.scopes - {"admin"})


def _made(request: Request, secret: str, key: KeyInfo) -> Response:
    shown = MadeKey(key=secret, **msgspec.structs.asdict(key))
    headers = {"location": location(request, f"/admin/keys/{key.id}"), "cache-control": "no-store"}
    return encode.json_response(shown, status=201, headers=headers)
