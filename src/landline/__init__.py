"""Landline: the line between any agent and any client, and it never drops.

The root is lazy: `import landline` loads nothing but this file.
"""

from typing import TYPE_CHECKING, Any

from landline.model.version import VERSION as __version__  # noqa: N811 - the name every package gives it

__all__ = ["Landline", "__version__", "agent", "tool"]

if TYPE_CHECKING:
    from landline.app.agents import agent, tool
    from landline.app.build import Landline

_HOMES = {"Landline": "landline.app.build", "agent": "landline.app.agents", "tool": "landline.app.agents"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'landline' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
