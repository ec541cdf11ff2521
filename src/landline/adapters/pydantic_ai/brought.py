"""Tools that Landline brings, as a toolset of one run (the recipe in `ports.adapter`)."""

from collections.abc import Sequence
from typing import Any

from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.tools import Tool
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset

from landline.ports.adapter import BroughtTool, ToolRaised

__all__ = ["BroughtFailed", "brought"]


class BroughtFailed(ToolFailed):
    """A brought tool failed; the model is told its message, the log its code too."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def brought(tools: Sequence[BroughtTool]) -> list[AbstractToolset[Any]]:
    """Return the run's additional toolsets; they pass the journal as the agent's own do."""
    return [FunctionToolset([_tool(tool) for tool in tools], id="landline")] if tools else []


def _tool(tool: BroughtTool) -> Tool[Any]:
    async def call(**arguments: Any) -> Any:
        try:
            return await tool.call(arguments)
        except ToolRaised as raised:
            raise BroughtFailed(raised.code, raised.message) from raised

    return Tool[Any].from_schema(call, tool.name, tool.description, dict(tool.parameters))
