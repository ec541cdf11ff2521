"""The routes of FastAgency's wire: what there is, how it is begun, and the socket it runs on."""

from collections.abc import Sequence
from uuid import uuid4

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from landline.faces.fastagency.socket import WorkflowSocket
from landline.faces.fastagency.wire import Initiate, Initiated, WorkflowInfo
from landline.model.errors import Unavailable
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.problems import request_id, told
from landline.web.route import Entry, LandlineRoute, add_routes, assert_declared, requires
from landline.web.websocket import Socket, socket_endpoint

__all__ = ["face"]

PREFIX = "/fastagency"
_SCOPES = ("runs:write", "runs:read", "approvals:answer")


class FastAgencyRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._agents = ports.agents

    @requires("runs:read")
    async def discovery(self, caller: CallerOf) -> Response:
        """Return the agents that the caller may begin."""
        found = [agent for agent in self._agents.list(caller) if agent.error is None]
        return _json([{"name": agent.name, "description": agent.description or ""} for agent in found])

    @requires("runs:write")
    async def initiate(self, body: Initiate, caller: CallerOf) -> Response:
        """Return the uuid under which the socket begins the workflow; nothing runs before that."""
        agent = self._agents.get(caller, body.workflow_name)
        if agent.error is not None:
            raise Unavailable(f"The workflow {agent.name!r} could not be loaded.")
        return _json(
            {
                "user_id": body.user_id,
                "workflow_uuid": str(uuid4()),
                "name": agent.name,
                "params": body.params,
            }
        )

    def routes(self) -> Sequence[Entry]:
        """Return the table."""
        listed = {200: {"model": list[WorkflowInfo]}}
        return [
            Entry(method="GET", path=f"{PREFIX}/discovery", endpoint=self.discovery, name="fastagency_discovery",
                  summary="List workflows", docs={"responses": listed}),
            # FastAgency's provider joins its address and this path with a second slash.
            Entry(method="GET", path=f"/{PREFIX}/discovery", endpoint=self.discovery,
                  name="fastagency_discovery_of_provider", summary="List workflows", docs={"include_in_schema": False}),
            Entry(method="POST", path=f"{PREFIX}/initiate_workflow", endpoint=self.initiate,
                  name="fastagency_initiate", summary="Begin a workflow", docs={"responses": {200: {"model": Initiated}}}),
        ]  # fmt: skip


def face(ports: FacePorts) -> APIRouter:
    """Return the face: discovery, initiate_workflow and the socket under `/fastagency`."""
    router = APIRouter(route_class=LandlineRoute.bound(ports.door, tell=_tell))
    add_routes(router, FastAgencyRoutes(ports).routes(), tag="fastagency")

    @requires(*_SCOPES)
    async def endpoint(websocket: WebSocket) -> None:
        async def serve(socket: Socket) -> None:
            await WorkflowSocket(socket, ports, websocket.scope).serve()

        await socket_endpoint(ports.door, _SCOPES, serve)(websocket)

    router.add_websocket_route(f"{PREFIX}/ws", endpoint, name="fastagency_socket")
    assert_declared(router)
    return router


def _tell(error: Exception, request: Request) -> Response:
    """Tell an error as FastAPI's own handlers do, which is what FastAgency's provider reads: `{"detail": …}`."""
    problem, headers = told(error, request_id(request.scope))
    return _json({"detail": problem.detail}, problem.status, {**headers, "cache-control": "no-store"})


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")
