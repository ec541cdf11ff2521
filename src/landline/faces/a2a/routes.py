"""The A2A face as a router: cards, JSON-RPC and HTTP+JSON, each with errors in its own words."""

from fastapi import APIRouter

from landline.faces.a2a.card import CardRoutes
from landline.faces.a2a.errors import tell_rest, tell_rpc
from landline.faces.a2a.rest import RestRoutes
from landline.faces.a2a.rpc import RpcRoutes
from landline.web.face import FacePorts
from landline.web.route import LandlineRoute, add_routes, assert_declared

__all__ = ["face"]


def face(ports: FacePorts) -> APIRouter:
    """Return the A2A face: an agent at `/a2a/{agent}`, its card below that, the default agent's card at the root."""
    router = APIRouter()
    for routes, tell in (
        (RpcRoutes(ports), tell_rpc),
        (RestRoutes(ports), tell_rest),
        (CardRoutes(ports), tell_rest),
    ):
        part = APIRouter(route_class=LandlineRoute.bound(ports.door, tell=tell))
        add_routes(part, routes.routes(), tag="a2a")
        router.include_router(part)
    assert_declared(router)
    return router
