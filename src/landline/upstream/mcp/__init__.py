"""MCP servers as their client: one connection a process, definitions that are pinned, calls that are never doubled.

Importing this does not import the `mcp` library; opening the first connection does.
"""

from landline.upstream.mcp.pins import Pinned, Pins
from landline.upstream.mcp.tools import McpTools

__all__ = ["McpTools", "Pinned", "Pins"]
