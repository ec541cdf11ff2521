"""AG2 1.x agents on the line. Importing this does not import the framework; describing or running an agent does."""

from typing import TYPE_CHECKING, Any

from landline.adapters.ag2.adapter import AG2Adapter, adapter

if TYPE_CHECKING:
    from landline.adapters.ag2.workflow import AG2Workflow

__all__ = ["AG2Adapter", "AG2Workflow", "adapter"]


def __getattr__(name: str) -> Any:
    """Load what needs the framework only when it is asked for."""
    if name == "AG2Workflow":
        from landline.adapters.ag2.workflow import AG2Workflow

        return AG2Workflow
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
