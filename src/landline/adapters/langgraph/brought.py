"""Tools that Landline brings, for agents of LangChain's `create_agent` (the recipe in `ports.adapter`).

    create_agent(model, tools, middleware=[BroughtTools()])

A compiled graph cannot be given tools, so an agent says itself where it takes them. One that does not is not described
with the capability `mcp`, and a run that brings tools to it is refused.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from landline.adapters.langgraph.results import refusal
from landline.adapters.langgraph.seams import brought, wanted
from landline.adapters.langgraph.tools import BROUGHT
from landline.ports.adapter import BroughtTool, ToolRaised

__all__ = ["BroughtTools"]

_Told = ToolMessage | Command[Any]


class BroughtTools(AgentMiddleware):
    """Offers a run's brought tools beside the agent's own, and asks for the answer that a client wants (a JSON schema).

    Outside Landline it does nothing. One may serve all agents.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tools: Sequence[BaseTool] = [_Place(name=BROUGHT, description="Where brought tools go.")]

    def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Any]) -> Any:
        """Offer the tools to a model that is asked in a thread."""
        return handler(_with_tools(request))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> Any:
        """Offer the tools."""
        return await handler(_with_tools(request))

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], _Told]) -> _Told:
        """Pass the call on: in a run every call is made by the other method, and outside there are no brought tools."""
        return handler(request)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[_Told]]
    ) -> _Told:
        """Make the call if it is one of a brought tool; one that failed is told to the model (the recipe's 3)."""
        call = request.tool_call
        tool = next((tool for tool in brought() if tool.name == call["name"]), None)
        if tool is None:
            return await handler(request)
        try:
            return await handler(request.override(tool=_tool(tool)))
        except ToolRaised as raised:
            return refusal(dict(call), raised.message, code=raised.code)


def _with_tools(request: ModelRequest[Any]) -> ModelRequest[Any]:
    own = [tool for tool in request.tools if not isinstance(tool, _Place)]
    request = request.override(tools=[*own, *map(_tool, brought())])
    if (schema := wanted()) is None:
        return request
    # Not as the agent's `response_format`: what that leaves in the state would be the answer of later turns too.
    # The title: clients of models name the answer after it.
    form = {"name": "answer", "schema": {**schema, "title": "answer"}}
    asked = {**request.model_settings, "response_format": {"type": "json_schema", "json_schema": form}}
    return request.override(response_format=None, model_settings=asked)


def _tool(tool: BroughtTool) -> BaseTool:
    return _Brought(
        name=tool.name, description=tool.description or "", args_schema=dict(tool.parameters), call=tool.call
    )


class _Brought(BaseTool):
    call: Callable[[Any], Awaitable[Any]]

    def _run(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError  # abstract in LangChain, which calls `_arun` in a graph that runs async

    async def _arun(self, /, **arguments: Any) -> str:
        result = await self.call(arguments)
        return result if isinstance(result, str) else msgspec.json.encode(result).decode()


class _Place(BaseTool):
    """Makes the agent have a place where tools are called, by which it is known; no model is told of it."""

    def _run(self, *_: Any, **__: Any) -> str:
        return "There is no such tool."
