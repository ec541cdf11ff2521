"""The face's routes: `/mcp`, behind the same door as every other face, in front of the protocol's own transport.

The protocol's package answers both of its wires at this one address: 2026-07-28, where every request stands alone, and
the ones up to 2025-11-25, with a handshake and a session that lives in this process.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import msgspec
from fastapi import APIRouter
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import INTERNAL_ERROR, INVALID_REQUEST, PARSE_ERROR
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.mcp.calls import REQUEST
from landline.faces.mcp.exchange import Exchange
from landline.faces.mcp.going import Going
from landline.faces.mcp.server import Extend, server_of
from landline.faces.mcp.streams import keep_to_the_door
from landline.model.callers import Caller
from landline.model.errors import Forbidden, Unavailable
from landline.web import strict_json
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.origins import page_of
from landline.web.problems import request_id, told
from landline.web.route import Entry, LandlineRoute, add_routes, assert_declared, requires

__all__ = ["PATH", "router_of"]

PATH: Final = "/mcp"
_SERVER_FAULT: Final = 500


class McpRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts, extend: Extend | None) -> None:
        keep_to_the_door()
        self._door = ports.door
        self._going = Going(ports.runs)
        self._server = server_of(ports, self._going, extend)
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def lifespan(self, _: Any) -> AsyncGenerator[None]:
        """Serve while the app runs: the older wire's sessions live here. A router may be started again after its end."""
        manager = StreamableHTTPSessionManager(
            self._server, max_request_body_size=max(self._door.max_body_bytes, 1)
        )
        async with self._going.open(), manager.run():
            self._manager = manager
            try:
                yield
            finally:
                self._manager = None

    @requires("agents:read")
    async def send(self, request: Request, caller: CallerOf) -> Response:
        """Take one message of the protocol and answer it, with JSON or a stream."""
        body = await request.body()
        # Parsed here for its strictness alone; the protocol's package parses it again by its own rules.
        message = strict_json.parse(body)
        fields = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
        return self._exchange(request, caller, body=body, message_id=fields.get("id"))

    @requires("agents:read")
    async def listen(self, request: Request, caller: CallerOf) -> Response:
        """Open the stream for what the server says by itself, on the older wire."""
        return self._exchange(request, caller)

    @requires("agents:read")
    async def close(self, request: Request, caller: CallerOf) -> Response:
        """End a session of the older wire; runs go on."""
        return self._exchange(request, caller)

    def routes(self) -> list[Entry]:
        """Return the table."""
        hidden = {"include_in_schema": False}  # one address, whose language no OpenAPI document can say
        return [
            Entry(method="POST", path=PATH, endpoint=self.send, name="mcp_send", summary="MCP", docs=hidden),
            Entry(
                method="GET", path=PATH, endpoint=self.listen, name="mcp_listen", summary="MCP", docs=hidden
            ),
            Entry(
                method="DELETE", path=PATH, endpoint=self.close, name="mcp_close", summary="MCP", docs=hidden
            ),
        ]

    def _exchange(
        self, request: Request, caller: Caller, *, body: bytes = b"", message_id: Any = None
    ) -> Response:
        if page_of(request, self._door) == "foreign":
            raise Forbidden("Pages of that origin may not speak to this server.", code="foreign_origin")
        if self._manager is None:
            raise Unavailable("The app's lifespan has not begun, or is over.")
        beside = {"user": _user(caller), REQUEST: request}
        known = message_id if isinstance(message_id, str | int) else None
        return Exchange(
            self._manager.handle_request, body=body, message_id=known, door=self._door, beside=beside
        )


def router_of(ports: FacePorts, *, extend: Extend | None = None) -> APIRouter:
    """Return the face as a router; `extend` adds to the protocol's server before it serves."""
    routes = McpRoutes(ports, extend)
    router = APIRouter(
        route_class=LandlineRoute.bound(ports.door, tell=_tell), lifespan=cast("Any", routes.lifespan)
    )
    add_routes(router, routes.routes(), tag="mcp")
    assert_declared(router)
    return router


def _user(caller: Caller) -> AuthenticatedUser:
    """Return who calls in the terms of the protocol's transport: a session serves who opened it, and nobody else."""
    token = AccessToken(
        token="",
        client_id=caller.tenant,
        subject=caller.user,
        scopes=[],
        claims={"iss": caller.key_id or ""},
    )
    return AuthenticatedUser(token)


def _tell(error: Exception, request: Request) -> Response:
    """Tell an error of the edge in the protocol's words, with HTTP's status beside them."""
    problem, headers = told(error, request_id(request.scope))
    code = {"invalid_json": PARSE_ERROR}.get(
        problem.code, INTERNAL_ERROR if problem.status >= _SERVER_FAULT else INVALID_REQUEST
    )
    data = {"code": problem.code, "request_id": problem.request_id}
    body = {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": code, "message": problem.detail, "data": data},
    }
    headers = {**headers, "cache-control": "no-store"}
    return Response(msgspec.json.encode(body), problem.status, headers, media_type="application/json")
