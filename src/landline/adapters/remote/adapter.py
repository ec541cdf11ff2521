"""The door of remote agents: one adapter per protocol, each with what its protocol can do.

Stays light: the HTTP client is imported by `run`, never by looking at an agent.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

from landline.adapters.remote.agent import Protocol
from landline.adapters.remote.describe import describe
from landline.adapters.remote.parked import Parked
from landline.model.agents import AgentInfo, Capability
from landline.model.errors import AgentFailed
from landline.model.events import Event
from landline.ports.adapter import AgentSpec, Finished, Turn
from landline.ports.egress import Egress

__all__ = [
    "CAPABILITIES",
    "RemoteAdapter",
    "a2a",
    "fastagency",
    "landline",
    "openai_chat",
    "openai_responses",
]

CAPABILITIES: dict[Protocol, frozenset[Capability]] = {
    "landline": frozenset(
        {
            "streaming", "reasoning", "tools", "approvals", "ask", "structured_output", "partial_output",
            "native_history", "settings", "cancel", "tool_resume", "files", "images", "handoffs",
        }
    ),
    "openai-chat": frozenset({"streaming", "reasoning", "settings", "cancel", "images", "carried_history", "output_schema"}),
    "openai-responses": frozenset(
        {"carried_history", "streaming", "reasoning", "settings", "cancel", "images", "output_schema"}
    ),
    "a2a": frozenset({"streaming", "ask", "structured_output", "native_history", "cancel"}),
    "fastagency": frozenset({"ask", "tools", "cancel"}),
}  # fmt: skip
"""What each protocol carries. A2A has no tools, no reasoning and no settings; FastAgency has no deltas and no history."""


class RemoteAdapter:
    """Agents on other servers that speak one protocol.

    As installed it knows no way out; a server's composition root gives it one (`with_egress`).
    """

    def __init__(self, protocol: Protocol, egress: Egress | None = None) -> None:
        self._protocol: Protocol = protocol
        self._egress = egress
        self._parked = Parked()

    @property
    def framework(self) -> str:
        """The name agents report: the protocol, marked as remote."""
        return "remote_" + self._protocol.replace("-", "_")

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the protocol carries; what the agent behind it cannot do, its own server refuses."""
        return CAPABILITIES[self._protocol]

    @property
    def partial_text(self) -> Literal["drop", "continue"]:
        """Another Landline goes on where its log was left; the others say their text again."""
        return "continue" if self._protocol == "landline" else "drop"

    def with_egress(self, egress: Egress) -> "RemoteAdapter":
        """Return this protocol's adapter, calling through `egress`."""
        return RemoteAdapter(self._protocol, egress)

    def matches(self, agent: Any) -> bool:
        """Tell by the class's name whether `agent` is remote, and by its protocol whether it is this adapter's."""
        named = any(
            (c.__name__, c.__module__) == ("RemoteAgent", "landline.adapters.remote.agent")
            for c in type(agent).__mro__
        )
        return named and agent.protocol == self._protocol

    def describe(self, spec: AgentSpec) -> AgentInfo:
        """Return what its owner said of it; the other server is not asked."""
        return describe(spec, self)

    def run(self, turn: Turn) -> AsyncIterator[Event | Finished]:
        """Return the turn's events.

        Raises:
            Suspended: The remote agent asks (raised by the line).
            AgentFailed: It could not be reached or failed; nothing is completed.
        """
        if self._egress is None:
            raise AgentFailed("This server has no way out to remote agents.", code="egress_missing")
        return self._play()(turn, self._egress)

    def _play(self) -> Callable[[Turn, Egress], AsyncIterator[Event | Finished]]:
        match self._protocol:
            case "landline":
                from landline.adapters.remote.native import run_turn
            case "openai-chat" | "openai-responses":
                from landline.adapters.remote.openai import run_turn
            case "a2a":
                from landline.adapters.remote.a2a import run_turn
            case "fastagency":
                from landline.adapters.remote.fastagency import run_turn

                return lambda turn, egress: run_turn(turn, egress, self._parked)
        return run_turn

    async def close(self) -> None:
        """Close the connections of FastAgency workflows that wait for an answer."""
        await self._parked.close()


landline = RemoteAdapter("landline")
openai_chat = RemoteAdapter("openai-chat")
openai_responses = RemoteAdapter("openai-responses")
a2a = RemoteAdapter("a2a")
fastagency = RemoteAdapter("fastagency")
