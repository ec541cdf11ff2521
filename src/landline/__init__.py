"""Landline: the line between any agent and any client, and it never drops.

The root is lazy: `import landline` loads nothing but this file.
"""

from typing import TYPE_CHECKING, Any

from landline.model.version import VERSION as __version__  # noqa: N811 - the name every package gives it

__all__ = [
    "UI",
    "AsyncUI",
    "Landline",
    "Workflow",
    "__version__",
    "agent",
    "mcp",
    "mcp_routes",
    "mcp_stdio",
    "remote",
    "tool",
    "workflow",
]

if TYPE_CHECKING:
    from landline.app.agents import agent, remote, tool
    from landline.app.build import Landline
    from landline.app.host_routes import mcp_routes
    from landline.app.mcp import mcp, mcp_stdio
    from landline.app.workflows import UI, AsyncUI, Workflow, workflow

_HOMES = {
    "AsyncUI": "landline.app.workflows",
    "Landline": "landline.app.build",
    "UI": "landline.app.workflows",
    "Workflow": "landline.app.workflows",
    "agent": "landline.app.agents",
    "mcp": "landline.app.mcp",
    "mcp_routes": "landline.app.host_routes",
    "mcp_stdio": "landline.app.mcp",
    "remote": "landline.app.agents",
    "tool": "landline.app.agents",
    "workflow": "landline.app.workflows",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'landline' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
