"""The door of the AG2 unit: what it can do, which agents are its own, and where a turn goes on.

Stays light: the framework is imported by `describe` and `run`, never by looking at an agent.
"""

from collections.abc import AsyncIterator
from typing import Any, Literal

from landline.adapters.ag2.mcp import McpConnections
from landline.model.agents import AgentInfo, Capability
from landline.model.events import Event
from landline.ports.adapter import AgentSpec, Finished, Turn

__all__ = ["AG2Adapter", "adapter"]

INSTALL = 'AG2 is not installed: pip install "landline[ag2]"'

CAPABILITIES: frozenset[Capability] = frozenset(
    {
        "streaming",
        "reasoning",
        "tools",
        "approvals",
        "ask",
        "structured_output",
        "partial_output",
        "native_history",
        "context",
        "settings",
        "cancel",
        "tool_resume",
        "handoffs",
        "files",
        "images",
        "mcp",
        "client_tools",
        "carried_history",
        "output_schema",
    }
)


class AG2Adapter:
    """AG2 1.x agents and workflows; resumes by replaying journalled model responses and tool results (ADR 0004)."""

    def __init__(self) -> None:
        self._mcp = McpConnections()

    @property
    def framework(self) -> str:
        """The framework's name."""
        return "ag2"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this adapter can do; steering is not wired."""
        return CAPABILITIES

    @property
    def partial_text(self) -> Literal["drop", "continue"]:
        """A model asked again writes anew, so text that was cut is dropped."""
        return "drop"

    def matches(self, agent: Any) -> bool:
        """Tell by the names in its class's ancestry whether `agent` is an AG2 agent, or a workflow of some."""
        names = {(cls.__module__, cls.__name__) for cls in type(agent).__mro__}
        return bool(names & {("ag2.agent", "Agent"), ("landline.adapters.ag2.workflow", "AG2Workflow")})

    def describe(self, spec: AgentSpec) -> AgentInfo:
        """Return what can be known of the agent without running it.

        Raises:
            ImportError: The extra is not installed.
        """
        _require_framework()
        from landline.adapters.ag2.describe import describe

        return describe(spec, self)

    def run(self, turn: Turn) -> AsyncIterator[Event | Finished]:
        """Return the turn's events; iterate and close them in one task.

        Raises:
            ImportError: The extra is not installed.
            Suspended: Questions are open (raised by the line).
            AgentFailed: The model or the agent failed; nothing is completed.
        """
        _require_framework()
        from landline.adapters.ag2.turn import run_turn

        return run_turn(turn, self._mcp)

    async def close(self) -> None:
        """Close the connections to the agents' MCP servers; call it when the engine has let go of its runs."""
        await self._mcp.close()


def _require_framework() -> None:
    try:
        import ag2  # noqa: F401  # pyright: ignore[reportUnusedImport] - only whether it is there
    except ModuleNotFoundError as error:
        raise ImportError(INSTALL) from error


adapter = AG2Adapter()
