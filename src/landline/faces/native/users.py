"""Users of a tenant over REST, for who operates it (TRU-5)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from landline.faces.native import documents, encode
from landline.faces.native.params import IdParam
from landline.faces.native.turn import PREFIX, location
from landline.faces.native.wire_people import AddUserBody, ChangeUserBody
from landline.ports.people import Accounts, UserChange, UserOrder
from landline.web.caller import CallerOf
from landline.web.paging import DEFAULT_LIMIT, CursorParam, LimitParam
from landline.web.route import Entry, lists, requires

__all__ = ["UserRoutes"]


class UserRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    @requires("admin")
    async def add(self, request: Request, body: AddUserBody, caller: CallerOf) -> Response:
        """Make a user in the caller's tenant."""
        order = UserOrder(name=body.name, roles=body.roles, email=body.email, password=body.password)
        made = await self._accounts.add_user(caller, order)
        headers = {"location": location(request, f"/admin/users/{made.id}")}
        return encode.json_response(made, status=201, headers=headers)

    @requires("admin")
    @lists()
    async def list_all(
        self, caller: CallerOf, limit: LimitParam = DEFAULT_LIMIT, cursor: CursorParam = None
    ) -> Response:
        """Return a page of the tenant's users, oldest first, disabled ones too."""
        found = await self._accounts.list_users(caller, limit=limit, cursor=cursor)
        return encode.json_response(encode.page(found))

    @requires("admin")
    async def get(self, user_id: IdParam, caller: CallerOf) -> Response:
        """Return a user."""
        return encode.json_response(await self._accounts.get_user(caller, user_id))

    @requires("admin")
    async def change(self, user_id: IdParam, body: ChangeUserBody, caller: CallerOf) -> Response:
        """Change a user's roles, address or password, or keep it out."""
        change = UserChange(
            roles=body.roles,
            email=body.email,
            clear_email="email" in body.model_fields_set and body.email is None,
            password=body.password,
            enabled=None if body.disabled is None else not body.disabled,
        )
        return encode.json_response(await self._accounts.change_user(caller, user_id, change))

    def routes(self) -> list[Entry]:
        """Return the table."""
        user = documents.answer("UserInfo", documents.USER, "The user.")
        page = documents.answer("UserInfoPage", documents.page_of(documents.USER), "A page of users.")
        made: dict[str, Any] = {**user, "headers": {"Location": {"schema": {"type": "string"}}}}
        users, one = f"{PREFIX}/admin/users", f"{PREFIX}/admin/users/{{user_id}}"
        return [
            Entry(method="POST", path=users, endpoint=self.add, name="add_user", summary="Add a user", status=201,
                  docs={"responses": {201: made, **documents.problems(409)}}),
            Entry(method="GET", path=users, endpoint=self.list_all, name="list_users", summary="List the tenant's users",
                  docs={"responses": {200: page, **documents.problems()}}),
            Entry(method="GET", path=one, endpoint=self.get, name="get_user", summary="Get a user",
                  docs={"responses": {200: user, **documents.problems(404)}}),
            Entry(method="PATCH", path=one, endpoint=self.change, name="change_user", summary="Change a user",
                  docs={"responses": {200: user, **documents.problems(404)}}),
        ]  # fmt: skip
