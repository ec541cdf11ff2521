"""What of an agent's tools may be called, and with which arguments (TRU-20): asked before a call's intent is written."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from landline.model.agents import AgentInfo
from landline.model.json_schema import misfit
from landline.ports.adapter import AgentSpec, BroughtTool, ToolCall, ToolRaised
from landline.ports.store import Settled

__all__ = ["ToolRules", "approved_arguments", "made_by"]

logger = logging.getLogger(__name__)

UNKNOWN = "unknown:"
"""Questions under this are about running a call again, and bind to no arguments (see `ports.adapter.Line.unknown_key`)."""


def made_by(spec: AgentSpec, agent: Any) -> AgentSpec:
    """Return the spec of the agent that a factory made for one run, to be described like an agent that is shared."""
    return replace(spec, agent=agent, make=None, version=spec.version or "of one run")


class ToolRules:
    """The rules of one segment: the owner's policies, the schemas of brought tools, and the names known at its start.

    `late` describes an agent that was made for this run, which is done only when it calls a tool that nobody knows else: a
    description can take longer than the turn.
    """

    def __init__(
        self,
        spec: AgentSpec,
        brought: Sequence[BroughtTool],
        listed: AgentInfo | None,
        *,
        late: Callable[[], AgentInfo] | None = None,
    ) -> None:
        self._spec, self._late = spec, late
        self._schemas = {tool.name: tool.parameters for tool in brought}
        self.known = {*_names(listed), *spec.tools, *self._schemas}

    def refusal(self, name: str, arguments: Any) -> ToolRaised | None:
        """Return why a call may not be made, None when it may."""
        policy = self._spec.tools.get(name)
        if policy is not None and policy.deny:
            return ToolRaised("tool_denied", f"This agent may not use {name}.")
        if self._spec.unknown_tools == "deny" and not self._knows(name):
            logger.warning(
                "agent %s called %r, a tool that arrived at run time: denied", self._spec.name, name
            )
            return ToolRaised("tool_denied", _arrived(name))
        schema = self._schemas.get(name)
        fault = None if schema is None else misfit(arguments, schema, what="the arguments")
        if fault is not None:
            return ToolRaised("invalid_arguments", f"{name} was not called: {fault}.")
        return None

    def _knows(self, name: str) -> bool:
        if name not in self.known and self._late is not None:
            late, self._late = self._late, None
            self.known.update(_names(late()))
        return name in self.known


def _names(described: AgentInfo | None) -> list[str]:
    return [tool.name for tool in described.tools] if described is not None else []


def _arrived(name: str) -> str:
    return (
        f"This agent may not use {name}: it was not among its tools when it started. "
        f'Its owner may allow it with tools={{"{name}": landline.tool()}}, or all such tools with unknown_tools="allow".'
    )


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
