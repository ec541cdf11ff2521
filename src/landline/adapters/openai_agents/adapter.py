"""The door of the OpenAI Agents unit: what it can do, which agents are its own, and where a turn goes on.

Stays light: the framework is imported by `describe` and `run`, never by looking at an agent.

What an owner should know: when a run is taken up again, hooks, `on_handoff` callbacks and dynamic instructions run again;
hooks of a call that waits for an approval see a word in the place of its result. An agent behind a tool (`as_tool`) is
one call: its own tools are not journalled one by one and its tokens are not reported. The tools of MCP servers that
Landline brings (`mcp`) are the registered agent's, not those of the agents it hands off to.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

from landline.adapters.openai_agents.own import OpenAIAgent
from landline.adapters.openai_agents.shared import Shared
from landline.model.agents import AgentInfo, Capability
from landline.model.events import Event
from landline.ports.adapter import AgentSpec, Finished, Turn

__all__ = ["OpenAIAgentsAdapter", "adapter"]

INSTALL = 'The OpenAI Agents SDK is not installed: pip install "landline[openai-agents]"'

CAPABILITIES: frozenset[Capability] = frozenset(
    {
        "streaming",
        "reasoning",
        "tools",
        "approvals",
        "structured_output",
        "partial_output",
        "native_history",
        "context",
        "settings",
        "cancel",
        "tool_resume",
        "files",
        "images",
        "handoffs",
        "mcp",
        "client_tools",
        "carried_history",
        "output_schema",
    }
)


class OpenAIAgentsAdapter:
    """Agents of the OpenAI Agents SDK; resumes by replaying journalled model responses and tool results (ADR 0004)."""

    def __init__(self) -> None:
        self._shared = Shared()

    @property
    def framework(self) -> str:
        """The framework's name."""
        return "openai_agents"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this adapter can do; the SDK's tools ask no free questions, and steering is not wired."""
        return CAPABILITIES

    @property
    def partial_text(self) -> Literal["drop", "continue"]:
        """A model asked again writes anew, so text that was cut is dropped."""
        return "drop"

    def matches(self, agent: Any) -> bool:
        """Tell by the names in its class's ancestry whether `agent` is one of the SDK's."""
        return isinstance(agent, OpenAIAgent) or any(
            cls.__name__ == "Agent" and cls.__module__ == "agents.agent" for cls in type(agent).__mro__
        )

    def describe(self, spec: AgentSpec) -> AgentInfo:
        """Return what can be known of the agent without running it.

        Raises:
            ImportError: The extra is not installed.
        """
        _require_framework()
        from landline.adapters.openai_agents.describe import describe

        return describe(spec, self)

    def run(self, turn: Turn) -> AsyncIterator[Event | Finished]:
        """Return the turn's events; iterate and close them in one task.

        Raises:
            ImportError: The extra is not installed.
            Suspended: Questions are open (raised by the line).
            AgentFailed: The model, a guard or the agent stopped the run; nothing is completed.
        """
        _require_framework()
        from landline.adapters.openai_agents.turn import run_turn

        return run_turn(turn, self._shared)

    def on_client(self, fit: Callable[[Any], Any] | None) -> None:
        """Have `fit` told of the client that models named by a word only will use, when it is made."""
        self._shared.fit = fit

    async def close(self) -> None:
        """Close the connections to models and to the agents' MCP servers; call it when the engine has let go of its runs."""
        await self._shared.close()


def _require_framework() -> None:
    try:
        import agents  # noqa: F401  # pyright: ignore[reportUnusedImport] - only whether it is there
    except ModuleNotFoundError as error:
        raise ImportError(INSTALL) from error


adapter = OpenAIAgentsAdapter()
