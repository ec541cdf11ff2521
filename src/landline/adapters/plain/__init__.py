"""Agents that are plain Python: async and sync functions, async and sync generators. No framework is needed."""

from landline.adapters.plain.adapter import PlainAdapter, adapter
from landline.adapters.plain.run import PlainRun
from landline.adapters.plain.sync import SyncRun
from landline.adapters.plain.ui import UI, AsyncUI

__all__ = ["UI", "AsyncUI", "PlainAdapter", "PlainRun", "SyncRun", "adapter"]
