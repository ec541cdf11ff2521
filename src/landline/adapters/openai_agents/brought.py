"""Tools that Landline brings, as function tools of one run (the recipe in `ports.adapter`).

They go to the agent that was registered, not to those it hands off to: in the SDK each agent has servers of its own,
and an agent that does one thing is not handed a tool its owner gave another.
"""

from collections.abc import Sequence
from typing import Any, cast

import pydantic_core
from agents import FunctionTool
from agents.tool import Tool

from landline.adapters.openai_agents.records import Refused
from landline.model.errors import Unsupported
from landline.ports.adapter import BroughtTool, ToolRaised

__all__ = ["brought"]

_NO_OBJECT = Refused("model_retry", "The arguments of this tool are a JSON object.")


def brought(tools: Sequence[BroughtTool], *, beside: Sequence[Tool]) -> list[Tool]:
    """Return them as the SDK's; they pass the line as the agent's own, `beside` them, do.

    Raises:
        Unsupported: One has the name of a tool of the agent: the SDK would call the later one, under either's policy.
    """
    own = {tool.name for tool in beside}
    if taken := [tool.name for tool in tools if tool.name in own]:
        raise Unsupported(
            f"The agent has a tool {taken[0]} of its own; give the MCP server a prefix.",
            code="tool_name_taken",
        )
    return [_tool(tool) for tool in tools]


def _tool(tool: BroughtTool) -> FunctionTool:
    async def call(_: Any, raw: str) -> Any:
        try:
            return await tool.call(_parsed(raw))
        except ToolRaised as raised:
            raise Refused(raised.code, raised.message) from raised

    return FunctionTool(
        name=tool.name,
        description=tool.description or "",
        params_json_schema=dict(tool.parameters),
        on_invoke_tool=call,
        # A server's schema is sent as it is: strict mode would refuse or change it.
        strict_json_schema=False,
    )


def _parsed(raw: str) -> dict[str, Any]:
    try:
        arguments = pydantic_core.from_json(raw or "{}")
    except ValueError:
        raise _NO_OBJECT from None
    if not isinstance(arguments, dict):
        raise _NO_OBJECT
    return cast("dict[str, Any]", arguments)
