"""Agents over REST (AGT-5): only those the caller may use."""

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from landline.faces.native import documents, encode
from landline.faces.native.turn import PREFIX
from landline.model.threads import Page
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.route import Entry, requires

__all__ = ["AgentRoutes"]


class AgentRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._agents = ports.agents

    @requires("agents:read")
    async def find(self, caller: CallerOf) -> Response:
        """Return the agents; one that could not be loaded is listed with its error."""
        return encode.json_response(encode.page(Page(items=self._agents.list(caller))))

    @requires("agents:read")
    async def get(
        self, agent: Annotated[str, Path(max_length=128, examples=["notes"])], caller: CallerOf
    ) -> Response:
        """Return one agent with its schemas and tools."""
        return encode.json_response(self._agents.get(caller, agent))

    def routes(self) -> list[Entry]:
        """Return the table."""
        listed = documents.answer(
            "AgentInfoPage", documents.page_of(documents.AGENT), "The agents, all on one page."
        )
        one = documents.answer("AgentInfo", documents.AGENT, "The agent.")
        return [
            Entry(method="GET", path=f"{PREFIX}/agents", endpoint=self.find, name="list_agents", summary="List agents",
                  docs={"responses": {200: listed, **documents.problems()}}),
            Entry(method="GET", path=f"{PREFIX}/agents/{{agent}}", endpoint=self.get, name="get_agent",
                  summary="Get an agent", docs={"responses": {200: one, **documents.problems(404)}}),
        ]  # fmt: skip
