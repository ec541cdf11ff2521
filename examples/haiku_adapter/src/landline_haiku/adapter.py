"""What Landline asks of the adapter: which agents are its own, what they are, and one turn of one."""

import inspect
from collections.abc import AsyncIterator
from typing import Any, Literal

from landline.model.agents import AgentInfo, Capability, ToolInfo
from landline.model.events import Event
from landline.model.ids import fingerprint
from landline.ports.adapter import AgentSpec, Finished, ToolPolicy, Turn

__all__ = ["HaikuAdapter", "adapter"]


class HaikuAdapter:
    """Haiku poets. What is not declared, such as structured output, Landline refuses before a run begins."""

    @property
    def framework(self) -> str:
        """The framework's name."""
        return "haiku"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What a poet can do here."""
        return frozenset({"approvals", "cancel", "streaming", "tool_resume", "tools"})

    @property
    def partial_text(self) -> Literal["drop", "continue"]:
        """After a crash in mid-message its text is dropped and written again."""
        return "drop"

    def matches(self, agent: Any) -> bool:
        """Tell by name, so that looking at other agents does not import haiku."""
        return any((cls.__module__, cls.__name__) == ("haiku", "Poet") for cls in type(agent).__mro__)

    def describe(self, spec: AgentSpec) -> AgentInfo:
        """Return what a poet's own definition says. A factory's poet is not known before a run."""
        tools: dict[str, Any] = dict(spec.agent.tools) if spec.agent is not None else {}
        policies = {name: spec.tools.get(name, ToolPolicy()) for name in tools}
        return AgentInfo(
            name=spec.name,
            title=spec.title or spec.name.capitalize(),
            framework=self.framework,
            version=spec.version or fingerprint(repr((spec.name, sorted(tools))).encode())[:12],
            description=spec.description,
            starters=tuple(spec.starters),
            input_schema={"type": "string"},
            output_schema={"type": "string"},
            tools=[
                ToolInfo(
                    name=name,
                    description=inspect.getdoc(tool),
                    approval=policies[name].approval,
                    idempotent=policies[name].idempotent,
                )
                for name, tool in tools.items()
            ],
            scopes=tuple(spec.scopes),
            capabilities=sorted(self.capabilities),
            labels=dict(spec.labels),
        )

    def run(self, turn: Turn) -> AsyncIterator[Event | Finished]:
        """Return the turn's events; the framework is imported here."""
        from landline_haiku.recital import recite

        return recite(turn)

    async def close(self) -> None:
        """Nothing outlives a run."""


adapter = HaikuAdapter()
