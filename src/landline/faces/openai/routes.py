"""OpenAI's wires as a router: the tables of the unit, on routes that tell errors in OpenAI's envelope."""

from fastapi import APIRouter

from landline.faces.openai.chat_routes import ChatRoutes
from landline.faces.openai.conversations_routes import ConversationRoutes
from landline.faces.openai.errors import tell
from landline.faces.openai.models import ModelRoutes
from landline.faces.openai.responses_routes import ResponsesRoutes
from landline.web.face import FacePorts
from landline.web.route import LandlineRoute, add_routes, assert_declared

__all__ = ["face"]


def face(ports: FacePorts) -> APIRouter:
    """Return the OpenAI face, all of it under `/v1`; it works in an app of its own and inside a host's app alike."""
    router = APIRouter(route_class=LandlineRoute.bound(ports.door, tell=tell))
    for table in (ChatRoutes, ModelRoutes, ConversationRoutes):
        add_routes(router, table(ports).routes(), tag="openai")
    responses = ResponsesRoutes(ports)
    add_routes(router, responses.routes(), tag="openai")
    responses.add_socket(router)
    assert_declared(router)
    return router
