"""The tutorials' sign-in and what it opens (FACE-4, TRU-3): `/token`, chats for a user, a tier and a key, the admin's list."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from landline.faces.tutorials import decode
from landline.faces.tutorials.documents import answer, problems
from landline.faces.tutorials.turn import agent_named, answered, json_response, started
from landline.faces.tutorials.wire import StreamChatBody
from landline.model.callers import Caller
from landline.model.errors import Forbidden, Unauthenticated
from landline.ports.people import Accounts
from landline.ports.routing import AUTO
from landline.ports.sign_in import SignIn
from landline.web.caller import CallerOf
from landline.web.door import Door
from landline.web.face import FacePorts
from landline.web.route import Entry, public, requires
from landline.web.sign_in import FORM, PasswordBody, signed_in, token_response

__all__ = ["IdentityRoutes", "KeyRoute", "TokenRoute"]

PREMIUM: Final = frozenset({"premium", "admin"})


def _insufficient() -> Forbidden:
    return Forbidden("Insufficient permissions", code="insufficient_permissions")


async def _chat(
    ports: FacePorts, request: Request, caller: Caller, body: StreamChatBody, *, better: bool = False
) -> str:
    name = body.agent or (_better(ports, caller) if better else None)
    info = None if name == AUTO else agent_named(ports, caller, name)
    wanted = decode.message(body.message, agent=AUTO if info is None else info.name)
    _, end = await answered(ports, request, caller, await started(ports, request, caller, wanted))
    return end.text


def _better(ports: FacePorts, caller: Caller) -> str | None:
    """Return the agent that its owner labelled `tier: premium`, where there is one."""
    found = [info for info in ports.agents.list(caller) if info.labels.get("tier") == "premium"]
    return found[0].name if len(found) == 1 and found[0].error is None else None


class TokenRoute:
    """Signing in."""

    def __init__(self, sign_in: SignIn, door: Door) -> None:
        self._sign_in, self._door = sign_in, door

    @public
    async def token(self, request: Request) -> Response:
        """Return tokens for a name and a password, sent as JSON or as OAuth2's form."""
        return token_response(await signed_in(request, self._sign_in, self._door))

    def routes(self) -> list[Entry]:
        """Return the table."""
        told = {"access_token": "eyJ…", "token_type": "bearer", "expires_in": 1800, "refresh_token": "lr_…"}
        schema = {"schema": PasswordBody.model_json_schema()}
        body = {"requestBody": {"required": True, "content": {"application/json": schema, FORM: schema}}}
        return [
            Entry(method="POST", path="/token", endpoint=self.token, name="tutorials_token", summary="Sign in",
                  docs={"responses": {200: answer(told, "Tokens."), **problems(415, 429)}, "openapi_extra": body}),
        ]  # fmt: skip


class KeyRoute:
    """The chat of an API key."""

    def __init__(self, ports: FacePorts, accounts: Accounts) -> None:
        self._ports, self._accounts = ports, accounts

    @requires("runs:write", "runs:read")
    async def by_key(self, request: Request, body: StreamChatBody, caller: CallerOf) -> Response:
        """Answer a message for an API key, and tell which it was."""
        if caller.key_id is None:
            raise Unauthenticated("Send an API key in X-API-Key.")
        key = await self._accounts.get_key(caller, caller.key_id)
        text = await _chat(self._ports, request, caller, body)
        return json_response({"response": text, "api_key_name": key.name or key.prefix, "tier": caller.tier})

    def routes(self) -> list[Entry]:
        """Return the table."""
        told = {"response": "Hello.", "api_key_name": "my app", "tier": "free"}
        return [
            Entry(method="POST", path="/chat/api-key", endpoint=self.by_key, name="tutorials_chat_key",
                  summary="Chat with an API key", docs={"responses": {200: answer(told, "The answer."), **_TURN}}),
        ]  # fmt: skip


class IdentityRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports

    @requires("runs:write", "runs:read")
    async def for_user(self, request: Request, body: StreamChatBody, caller: CallerOf) -> Response:
        """Answer a message for whoever signed in, and tell who that is."""
        text = await _chat(self._ports, request, caller, body)
        return json_response({"response": text, "user": caller.user})

    @requires("runs:write", "runs:read")
    async def premium(self, request: Request, body: StreamChatBody, caller: CallerOf) -> Response:
        """Answer a message with the better agent, for one of the roles premium and admin, or a key of that tier."""
        if caller.tier != "premium" and caller.roles.isdisjoint(PREMIUM):
            raise _insufficient()
        text = await _chat(self._ports, request, caller, body, better=True)
        return json_response({"response": text, "user": caller.user})

    @requires("agents:read")
    async def agents(self, caller: CallerOf) -> Response:
        """Return the agents, for an admin."""
        if "admin" not in caller.scopes:
            raise _insufficient()
        found = self._ports.agents.list(caller)
        told = [
            {"name": info.name, "description": info.description, "framework": info.framework}
            for info in found
        ]
        return json_response({"agents": told})

    def routes(self) -> list[Entry]:
        """Return the table."""
        told = {"response": "Hello.", "user": "ada"}
        listed = {"agents": [{"name": "echo", "description": None, "framework": "plain"}]}
        chat: dict[str, Any] = {"responses": {200: answer(told, "The answer."), **_TURN}}
        return [
            Entry(method="POST", path="/chat/protected", endpoint=self.for_user, name="tutorials_chat_protected",
                  summary="Chat, signed in", docs=chat),
            Entry(method="POST", path="/chat/user", endpoint=self.for_user, name="tutorials_chat_user",
                  summary="Chat, signed in", docs=chat),
            Entry(method="POST", path="/chat/premium", endpoint=self.premium, name="tutorials_chat_premium",
                  summary="Chat with the better agent", docs=chat),
            Entry(method="POST", path="/admin/agents", endpoint=self.agents, name="tutorials_admin_agents",
                  summary="The agents, for an admin", docs={"responses": {200: answer(listed, "They."), **problems()}}),
        ]  # fmt: skip


_TURN: Final = problems(404, 408, 409, 415, 502, 504)
