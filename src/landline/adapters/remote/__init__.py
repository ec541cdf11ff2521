"""Agents on other servers: another Landline, OpenAI-compatible endpoints, A2A agents, FastAgency workflows.

Importing this opens nothing; `landline.remote(...)` returns the object that stands for such an agent.
"""

from landline.adapters.remote.adapter import (
    RemoteAdapter,
    a2a,
    fastagency,
    landline,
    openai_chat,
    openai_responses,
)
from landline.adapters.remote.agent import RemoteAgent

__all__ = [
    "RemoteAdapter",
    "RemoteAgent",
    "a2a",
    "fastagency",
    "landline",
    "openai_chat",
    "openai_responses",
]
