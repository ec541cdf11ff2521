"""What of an agent's tools may be called, and with which arguments (TRU-20): asked before a call's intent is written."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from landline.model.json_schema import misfit
from landline.ports.adapter import AgentSpec, BroughtTool, ToolCall, ToolRaised
from landline.ports.store import Settled

__all__ = ["ToolRules", "approved_arguments"]

UNKNOWN = "unknown:"
"""Questions under this are about running a call again, and bind to no arguments (see `ports.adapter.Line.unknown_key`)."""


class ToolRules:
    """The rules of one segment: the owner's policies, the schemas of brought tools, and the names known at its start."""

    def __init__(self, spec: AgentSpec, brought: Sequence[BroughtTool], listed: Sequence[str]) -> None:
        self._spec, self._listed = spec, listed
        self._schemas = {tool.name: tool.parameters for tool in brought}

    def refusal(self, name: str, arguments: Any) -> ToolRaised | None:
        """Return why a call may not be made, None when it may."""
        policy = self._spec.tools.get(name)
        known = policy is not None or name in self._schemas or name in self._listed
        if (policy is not None and policy.deny) or (not known and self._spec.unknown_tools == "deny"):
            return ToolRaised("tool_denied", f"This agent may not use {name}.")
        schema = self._schemas.get(name)
        fault = None if schema is None else misfit(arguments, schema, what="the arguments")
        if fault is not None:
            return ToolRaised("invalid_arguments", f"{name} was not called: {fault}.")
        return None


def approved_arguments(answers: Mapping[str, Settled], call: ToolCall) -> ToolRaised | None:
    """Return why a call is not the one that was approved under its id, None when it is or nothing was asked."""
    for key, settled in answers.items():
        asked = settled.question
        if asked.call_id != call.call_id or key.startswith(UNKNOWN) or not settled.answer.approve:
            continue
        allowed = asked.arguments if settled.answer.arguments is None else settled.answer.arguments
        if asked.tool != call.name or msgspec.to_builtins(call.arguments) != allowed:
            said = f"{call.name} was not called: this is not the call that was approved."
            return ToolRaised("arguments_changed", said)
    return None
