"""Agents that are plain Python: async and sync functions, async and sync generators. No framework is needed."""

from landline.adapters.plain.adapter import PlainAdapter, adapter
from landline.adapters.plain.run import PlainRun
from landline.adapters.plain.sync import SyncRun

__all__ = ["PlainAdapter", "PlainRun", "SyncRun", "adapter"]
