"""The telegraph's one route: a telegram in, a run, a telegram out."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from landline.model.errors import AgentFailed, Conflict
from landline.model.messages import TextPart
from landline.ports.runs import StartRun
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.route import Entry, LandlineRoute, add_routes, assert_declared, requires
from landline_telegraph.encode import telegram

__all__ = ["face"]

AgentName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Telegram(BaseModel, extra="forbid"):
    """What is sent."""

    text: str = Field(min_length=1, max_length=10_000)


class TelegraphRoutes:
    """The handler, and the table that says where it is."""

    def __init__(self, ports: FacePorts) -> None:
        self._runs = ports.runs

    @requires("runs:write", "runs:read")
    async def send(self, agent: AgentName, body: Telegram, caller: CallerOf) -> Response:
        """Run an agent to its end and answer with a telegram; whatever fails is a problem, as on every face."""
        request = StartRun(input=[TextPart(text=body.text)], agent=agent)
        run = (await self._runs.start(caller, request)).run
        async for _ in self._runs.follow(caller, run.id):
            pass  # until the run has ended or waits
        run = await self._runs.get(caller, run.id)
        if run.status == "waiting":
            await self._runs.cancel(caller, run.id)
            raise Conflict(
                "The agent asks something, and a telegraph cannot wait.", code="telegraph_cannot_answer"
            )
        if run.status != "completed":
            raise AgentFailed(run.error.message if run.error else "The run was cancelled.")
        return Response(telegram(str(run.output)), media_type="text/plain")

    def routes(self) -> Sequence[Entry]:
        """Return the table."""
        answered: dict[str, Any] = {"content": {"text/plain": {}}, "description": "The answer."}
        return [
            Entry(method="POST", path="/telegraph/{agent}", endpoint=self.send, name="send_telegram",
                  summary="Send a telegram", docs={"responses": {200: answered}}),
        ]  # fmt: skip


def face(ports: FacePorts) -> APIRouter:
    """Return the telegraph as a router; its routes admit callers and tell errors as every route of Landline does."""
    router = APIRouter(route_class=LandlineRoute.bound(ports.door))
    add_routes(router, TelegraphRoutes(ports).routes(), tag="telegraph")
    assert_declared(router)
    return router
