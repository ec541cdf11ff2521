"""The AG-UI face as a router: its table, on routes that are bound to the door."""

from fastapi import APIRouter

from landline.faces.ag_ui.errors import tell
from landline.faces.ag_ui.runs import AgentRoutes
from landline.web.face import FacePorts
from landline.web.route import LandlineRoute, add_routes, assert_declared

__all__ = ["face"]


def face(ports: FacePorts) -> APIRouter:
    """Return the AG-UI face: every agent that the caller may use at `/ag-ui/{agent}`."""
    router = APIRouter(route_class=LandlineRoute.bound(ports.door, tell=tell))
    add_routes(router, AgentRoutes(ports).routes(), tag="ag-ui")
    assert_declared(router)
    return router
