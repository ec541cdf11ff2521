"""The door of the LangGraph unit: what it can do, which agents are its own, and where a turn goes on.

Stays light: the framework is imported by `describe` and `run`, never by looking at an agent.
"""

from collections.abc import AsyncIterator
from typing import Any, Literal

from landline.model.agents import AgentInfo, Capability
from landline.model.events import Event
from landline.ports.adapter import AgentSpec, Finished, Turn

__all__ = ["LangGraphAdapter", "adapter"]

INSTALL = 'LangGraph is not installed: pip install "landline[langgraph]"'

CAPABILITIES: frozenset[Capability] = frozenset(
    {
        "streaming",
        "reasoning",
        "tools",
        "approvals",
        "ask",
        "structured_output",
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

_CLASSES = {"Pregel", "CompiledStateGraph", "StateGraph"}


class LangGraphAdapter:
    """Compiled graphs, `@entrypoint` workflows and `create_agent` agents of LangGraph 1.2+.

    A `StateGraph` that is not compiled is compiled when it is first used. Resumes from checkpoints that live in the
    run's records, with finished tools and model responses answered from the journal (ADR 0004).
    """

    @property
    def framework(self) -> str:
        """The framework's name."""
        return "langgraph"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this adapter can do; the framework has no partial output, and steering is not wired yet.

        `mcp` is a `create_agent` agent's with the middleware `BroughtTools`; `describe` leaves it out of the others.
        """
        return CAPABILITIES

    @property
    def partial_text(self) -> Literal["drop", "continue"]:
        """A model asked again writes anew, so text that was cut is dropped."""
        return "drop"

    def matches(self, agent: Any) -> bool:
        """Tell by the names in its class's ancestry whether `agent` is a graph of LangGraph."""
        return any(
            cls.__name__ in _CLASSES and cls.__module__.startswith(("langgraph.pregel", "langgraph.graph"))
            for cls in type(agent).__mro__
        )

    def describe(self, spec: AgentSpec) -> AgentInfo:
        """Return what can be known of the agent without running it.

        Raises:
            ImportError: The extra is not installed, or another version of it than the adapter can work with.
        """
        _require_framework()
        from landline.adapters.langgraph.describe import describe

        return describe(spec, self)

    def run(self, turn: Turn) -> AsyncIterator[Event | Finished]:
        """Return the turn's events; iterate and close them in one task (the framework keeps context variables).

        Raises:
            ImportError: The extra is not installed, or another version of it than the adapter can work with.
            Suspended: Questions are open (raised by the line).
            AgentFailed: The model or the agent failed; nothing is completed.
        """
        _require_framework()
        from landline.adapters.langgraph.turn import run_turn

        return run_turn(turn)

    async def close(self) -> None:
        """Nothing of this adapter outlives a run."""


def _require_framework() -> None:
    try:
        import langgraph.pregel  # noqa: F401  # pyright: ignore[reportUnusedImport] - only whether it is there
    except ModuleNotFoundError as error:
        raise ImportError(INSTALL) from error
    from landline.adapters.langgraph.places import require_places

    require_places()


adapter = LangGraphAdapter()
