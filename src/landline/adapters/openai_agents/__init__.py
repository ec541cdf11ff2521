"""OpenAI Agents SDK agents on the line. Importing this does not import the framework; describing or running one does."""

from typing import TYPE_CHECKING, Any

from landline.adapters.openai_agents.adapter import OpenAIAgentsAdapter, adapter
from landline.adapters.openai_agents.own import OpenAIAgent

if TYPE_CHECKING:
    from landline.adapters.openai_agents.sessions import LandlineSession

__all__ = ["LandlineSession", "OpenAIAgent", "OpenAIAgentsAdapter", "adapter"]


def __getattr__(name: str) -> Any:
    """Load what needs the framework only when it is asked for."""
    if name == "LandlineSession":
        from landline.adapters.openai_agents.sessions import LandlineSession

        return LandlineSession
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
