"""Agents on other servers: another Landline, OpenAI-compatible endpoints, A2A agents, FastAgency workflows.

Importing this opens nothing; `landline.remote(...)` returns the object that stands for such an agent. The five adapters are
in `adapter`: two of them are called like a module of this unit, which would hide them here once it is imported.
"""

from landline.adapters.remote.adapter import RemoteAdapter
from landline.adapters.remote.agent import RemoteAgent

__all__ = ["RemoteAdapter", "RemoteAgent"]
