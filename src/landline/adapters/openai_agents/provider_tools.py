"""Tools that are not functions: those the provider runs are let through, those that act here past the line are not."""

from copy import copy
from typing import Any

from agents import (
    CodeInterpreterTool,
    FileSearchTool,
    HostedMCPTool,
    ImageGenerationTool,
    ToolSearchTool,
    WebSearchTool,
)
from agents.tool import Tool

from landline.adapters.openai_agents.journal import Journal
from landline.adapters.openai_agents.records import approval, denial
from landline.model.errors import Unsupported
from landline.ports.adapter import ToolPolicy

__all__ = ["hosted"]

_PROVIDERS = (CodeInterpreterTool, FileSearchTool, ImageGenerationTool, ToolSearchTool, WebSearchTool)


def hosted(tool: Tool, journal: Journal) -> Tool:
    """Return a tool that the provider runs; approvals of a hosted MCP server go to the line.

    Raises:
        Unsupported: The tool works on this machine (shell, patches, computer), where no call of it would be journalled.
    """
    if isinstance(tool, HostedMCPTool):
        return tool if tool.on_approval_request is not None else _asking(tool, journal)
    if isinstance(tool, _PROVIDERS):
        return tool
    raise Unsupported(
        f"The tool {tool.name} works on the server's machine, which Landline does not journal.",
        code="local_tool",
    )


def _asking(tool: HostedMCPTool, journal: Journal) -> HostedMCPTool:
    def decide(request: Any) -> Any:
        asked = request.data
        policy = journal.turn.spec.tools.get(asked.name, ToolPolicy())
        answer = journal.line.answer_to(asked.id)
        if answer is None:
            journal.held.append(approval(asked.id, asked.name, asked.arguments, policy))
            return {"approve": False}
        if answer.approve:
            return {"approve": True}
        return {"approve": False, "reason": str(denial(answer))}

    asking = copy(tool)
    asking.on_approval_request = decide
    return asking
