"""Pydantic AI agents on the line. Importing this does not import the framework; describing or running an agent does."""

from typing import TYPE_CHECKING, Any

from landline.adapters.pydantic_ai.adapter import PydanticAIAdapter, adapter

if TYPE_CHECKING:
    from landline.adapters.pydantic_ai.conversations import LandlineConversationStore

__all__ = ["LandlineConversationStore", "PydanticAIAdapter", "adapter"]


def __getattr__(name: str) -> Any:
    """Load what needs the framework only when it is asked for."""
    if name == "LandlineConversationStore":
        from landline.adapters.pydantic_ai.conversations import LandlineConversationStore

        return LandlineConversationStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
