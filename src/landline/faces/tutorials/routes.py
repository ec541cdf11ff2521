"""The two faces as routers: the first ones (FACE-2, FACE-3), and the further ones (FACE-4, the socket of FACE-5)."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.websockets import WebSocket

from landline.faces.tutorials.bank import BankRoutes
from landline.faces.tutorials.errors import tell
from landline.faces.tutorials.identity import IdentityRoutes, KeyRoute, TokenRoute
from landline.faces.tutorials.lesson import HealthRoute, LessonRoutes
from landline.faces.tutorials.patterns import MultiAgentRoute, PatternRoutes
from landline.faces.tutorials.socket import SCOPES, ClientSocket
from landline.faces.tutorials.turn import CurlRoute
from landline.web.face import FacePorts
from landline.web.route import LandlineRoute, add_routes, assert_declared, requires
from landline.web.websocket import Socket, request_of, socket_endpoint

__all__ = ["face", "more"]

_MOST_NAME_CHARS = 128


def face(ports: FacePorts) -> APIRouter:
    """Return the lesson's chat, sessions and health, and the bank's queries."""
    router = APIRouter()
    lesson = APIRouter(route_class=LandlineRoute.bound(ports.door, tell=tell))
    add_routes(lesson, LessonRoutes(ports).routes(), tag="tutorials")
    if ports.health is not None:
        add_routes(lesson, HealthRoute(ports.health).routes(), tag="tutorials")
    bank = APIRouter(route_class=CurlRoute.bound(ports.door, tell=tell))
    add_routes(bank, BankRoutes(ports).routes(), tag="tutorials")
    router.include_router(lesson)
    router.include_router(bank)
    assert_declared(router)
    return router


def more(ports: FacePorts) -> APIRouter:
    """Return the patterns' further routes, their sign-in, and their socket."""
    router = APIRouter(route_class=LandlineRoute.bound(ports.door, tell=tell))
    add_routes(router, PatternRoutes(ports).routes(), tag="tutorials")
    if ports.fanout is not None:
        add_routes(router, MultiAgentRoute(ports, ports.fanout).routes(), tag="tutorials")
    add_routes(router, IdentityRoutes(ports).routes(), tag="tutorials")
    if ports.accounts is not None:
        add_routes(router, KeyRoute(ports, ports.accounts).routes(), tag="tutorials")
    if ports.sign_in is not None:
        add_routes(router, TokenRoute(ports.sign_in, ports.door).routes(), tag="tutorials")
    router.add_websocket_route("/ws/{client_id}", _socket(ports), name="client_socket")
    assert_declared(router)
    return router


def _socket(ports: FacePorts) -> Callable[[WebSocket], Awaitable[None]]:
    @requires(*SCOPES)
    async def endpoint(websocket: WebSocket) -> None:
        client_id: str = websocket.path_params["client_id"]
        agent = websocket.query_params.get("agent")

        async def serve(socket: Socket) -> None:
            request = request_of(websocket.scope)
            served = ClientSocket(
                socket, ports, request, client_id=client_id, agent=agent[:_MOST_NAME_CHARS] if agent else None
            )
            await served.serve()

        await socket_endpoint(ports.door, SCOPES, serve)(websocket)

    return endpoint
