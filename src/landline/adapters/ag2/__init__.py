"""AG2 1.x agents on the line. Importing this does not import the framework; describing or running an agent does."""

from landline.adapters.ag2.adapter import AG2Adapter, adapter

__all__ = ["AG2Adapter", "adapter"]
