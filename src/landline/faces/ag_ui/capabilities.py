"""What an agent can do, in AG-UI's AgentCapabilities: a pure function. What is not known is left out, as it demands."""

from typing import Any

from landline.model.agents import AgentInfo

__all__ = ["capabilities_of"]


def capabilities_of(info: AgentInfo) -> dict[str, Any]:
    """Return the capabilities of an agent as it is served here."""
    able = frozenset(info.capabilities)
    tools = [
        {"name": tool.name, "description": tool.description or "", "parameters": tool.parameters}
        for tool in info.tools
    ]
    identity: dict[str, Any] = {"name": info.title, "type": info.framework, "version": info.version}
    if info.description:
        identity["description"] = info.description
    asks = bool(able & {"approvals", "ask", "client_tools"})
    return {
        "identity": identity,
        "transport": {"streaming": True, "websocket": False, "httpBinary": False, "resumable": True},
        "tools": {"supported": "tools" in able, "items": tools, "clientProvided": "client_tools" in able},
        "output": {"structuredOutput": "structured_output" in able},
        "state": {"snapshots": "structured_output" in able, "deltas": False, "persistentState": False},
        "multiAgent": {"handoffs": "handoffs" in able},
        "reasoning": {"supported": "reasoning" in able, "streaming": "reasoning" in able, "encrypted": False},
        "multimodal": {"input": {"image": "images" in able, "file": "files" in able}},
        "humanInTheLoop": {
            "supported": asks,
            "approvals": "approvals" in able,
            "interrupts": asks,
            "approveWithEdits": "approvals" in able,
        },
    }
