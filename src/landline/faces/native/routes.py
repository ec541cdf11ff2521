"""The native face as a router: the tables of its units, on routes that are bound to the door."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.websockets import WebSocket

from landline.faces.native.agents import AgentRoutes
from landline.faces.native.audit import AuditRoutes
from landline.faces.native.fanout import FanoutRoutes
from landline.faces.native.files import FileRoutes
from landline.faces.native.health import HealthRoutes
from landline.faces.native.keys import KeyRoutes
from landline.faces.native.login import LoginRoutes
from landline.faces.native.pages import PageRoutes
from landline.faces.native.questions import QuestionRoutes
from landline.faces.native.runs import RunRoutes
from landline.faces.native.socket import NativeSocket
from landline.faces.native.stream_tokens import StreamTokenRoutes
from landline.faces.native.threads import ThreadRoutes
from landline.faces.native.token import TokenRoutes
from landline.faces.native.turn import PREFIX
from landline.faces.native.usage import UsageRoutes
from landline.faces.native.users import UserRoutes
from landline.web.face import FacePorts
from landline.web.route import LandlineRoute, add_routes, assert_declared, requires
from landline.web.websocket import Socket, socket_endpoint

__all__ = ["face"]


def face(ports: FacePorts, *, pages: bool = True) -> APIRouter:
    """Return the native face: REST, SSE and WebSocket under `/api/v1`, health where the ports have it.

    `pages` adds the plain page at `/simple`. The router works in an app of its own (under `web.guard.Guard`) and inside
    a host's app alike.
    """
    router = APIRouter(route_class=LandlineRoute.bound(ports.door))
    # The hot path first: the router looks at one route after the other.
    add_routes(router, RunRoutes(ports).routes(), tag="runs")
    add_routes(router, AgentRoutes(ports).routes(), tag="agents")
    add_routes(router, ThreadRoutes(ports).routes(), tag="threads")
    add_routes(router, QuestionRoutes(ports).routes(), tag="approvals")
    add_routes(router, FileRoutes(ports).routes(), tag="files")
    if ports.fanout is not None:
        add_routes(router, FanoutRoutes(ports, ports.fanout).routes(), tag="runs")
    if ports.accounts is not None:
        add_routes(router, KeyRoutes(ports.accounts).routes(), tag="keys")
        add_routes(router, UserRoutes(ports.accounts).routes(), tag="users")
    if ports.audit is not None:
        add_routes(router, AuditRoutes(ports.audit).routes(), tag="admin")
    if ports.door.stream_tokens is not None:
        add_routes(router, StreamTokenRoutes(ports, ports.door.stream_tokens).routes(), tag="sign-in")
    if ports.sign_in is not None:
        add_routes(router, TokenRoutes(ports.sign_in, ports.door).routes(), tag="sign-in")
    if ports.usage is not None:
        add_routes(router, UsageRoutes(ports.usage).routes(), tag="usage")
    if ports.health is not None:
        add_routes(router, HealthRoutes(ports.health, ports.door).routes(), tag="health")
    if ports.door.pages is not None:
        add_routes(router, LoginRoutes(ports.door, ports.door.pages).routes(), tag="sign-in")
    if pages:
        add_routes(router, PageRoutes(sign_in=ports.door.pages is not None).routes(), tag="pages")

    router.add_websocket_route(f"{PREFIX}/ws", _socket(ports), name="socket")
    assert_declared(router)
    return router


def _socket(ports: FacePorts) -> Callable[[WebSocket], Awaitable[None]]:
    @requires("runs:read")
    async def endpoint(websocket: WebSocket) -> None:
        async def serve(socket: Socket) -> None:
            await NativeSocket(socket, ports, websocket.scope).serve()

        await socket_endpoint(ports.door, ("runs:read",), serve, streams=True)(websocket)

    return endpoint
