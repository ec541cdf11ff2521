"""A scripted OpenAI-compatible model server: real clients meet scripted answers and faults over real HTTP.

    with ScriptedUpstream([ToolCalls([ToolCall("add", {"a": 1})]), Text("done")]) as upstream:
        client = AsyncOpenAI(base_url=upstream.base_url, api_key="test")

Imports nothing of Landline's own rooms: it stands where the model provider stands.
"""

from landline.testing.upstream.faults import (
    BadArguments,
    Cut,
    CutClean,
    Fault,
    Html,
    Malformed,
    Partial,
    Stall,
    Status,
    StreamError,
)
from landline.testing.upstream.journal import Exchange, Outcome
from landline.testing.upstream.plan import Brain, Defaults, Echo, Script
from landline.testing.upstream.replies import (
    Finish,
    Reasoning,
    Reply,
    Structured,
    Text,
    ToolCall,
    ToolCalls,
    Usage,
    filler,
)
from landline.testing.upstream.request import Request
from landline.testing.upstream.server import ScriptedUpstream

__all__ = [
    "BadArguments",
    "Brain",
    "Cut",
    "CutClean",
    "Defaults",
    "Echo",
    "Exchange",
    "Fault",
    "Finish",
    "Html",
    "Malformed",
    "Outcome",
    "Partial",
    "Reasoning",
    "Reply",
    "Request",
    "Script",
    "ScriptedUpstream",
    "Stall",
    "Status",
    "StreamError",
    "Structured",
    "Text",
    "ToolCall",
    "ToolCalls",
    "Usage",
    "filler",
]
