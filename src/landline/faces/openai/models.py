"""Models: the agents that the caller may use, by name."""

from typing import Annotated, Any

from fastapi import Path
from starlette.responses import Response

from landline.faces.openai.wire import ERRORS, json_response
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import NotFound
from landline.ports.runs import Agents
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.route import Entry, requires

__all__ = ["ModelRoutes", "agent_of"]


class ModelRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._agents = ports.agents

    @requires("agents:read")
    async def find(self, caller: CallerOf) -> Response:
        """Return the agents that can be talked to; one that could not be loaded is none."""
        usable = [info for info in self._agents.list(caller) if info.error is None]
        return json_response({"object": "list", "data": [_model(info) for info in usable]})

    @requires("agents:read")
    async def get(self, model: Annotated[str, Path(max_length=128)], caller: CallerOf) -> Response:
        """Return one agent."""
        info = agent_of(self._agents, caller, model)
        if info.error is not None:
            raise _unknown(model)
        return json_response(_model(info))

    def routes(self) -> list[Entry]:
        """Return the table."""
        return [
            Entry(method="GET", path="/v1/models", endpoint=self.find, name="openai_list_models",
                  summary="List the agents as models", docs={"responses": ERRORS}),
            Entry(method="GET", path="/v1/models/{model}", endpoint=self.get, name="openai_get_model",
                  summary="Get an agent as a model", docs={"responses": ERRORS}),
        ]  # fmt: skip


def agent_of(agents: Agents, caller: Caller, name: str) -> AgentInfo:
    """Return the agent that is served as the model `name`. Raises NotFound in OpenAI's words."""
    try:
        return agents.get(caller, name)
    except NotFound:
        raise _unknown(name) from None


def _unknown(name: str) -> NotFound:
    """Return the error for a model that the caller has not, whether or not there is one."""
    return NotFound(
        f"The model {name!r} does not exist or you do not have access to it.", code="model_not_found"
    )


def _model(info: AgentInfo) -> dict[str, Any]:
    # When an agent was made is not known; the field must be there, and must not differ from worker to worker.
    return {"id": info.name, "object": "model", "created": 0, "owned_by": "landline"}
