"""The adapter for haiku poets; its entry point names `adapter`."""

from landline_haiku.adapter import HaikuAdapter, adapter

__all__ = ["HaikuAdapter", "adapter"]
