"""The agents of this server: by name, with the adapter that drives each."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from landline.model.agents import AgentInfo, LoadError
from landline.model.callers import Caller
from landline.model.errors import NotFound, Unavailable
from landline.ports.adapter import Adapter, AgentSpec
from landline.ports.routing import AUTO

__all__ = ["Registered", "Registry"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """An agent ready to run, or the reason why it is not (AGT-4)."""

    info: AgentInfo
    spec: AgentSpec | None = None
    adapter: Adapter | None = None


class Registry:
    """Agents by name. A caller sees those whose scopes it holds."""

    def __init__(self, agents: Iterable[Registered] = ()) -> None:
        self._agents: dict[str, Registered] = {}
        for agent in agents:
            if agent.info.name == AUTO:
                raise ValueError(f"no agent may be named {AUTO!r}: that name asks the router to choose")
            if agent.info.name in self._agents:
                raise ValueError(f"two agents are named {agent.info.name!r}")
            self._agents[agent.info.name] = agent

    def list(self, caller: Caller) -> list[AgentInfo]:
        """Return the agents the caller may use, in the order they were registered."""
        return [agent.info for agent in self._agents.values() if self._may(caller, agent)]

    def get(self, caller: Caller, name: str) -> AgentInfo:
        """Return the agent. Raises NotFound also for one the caller may not use."""
        return self._find(caller, name).info

    def runnable(self, caller: Caller, name: str) -> tuple[AgentSpec, Adapter, AgentInfo]:
        """Return what is needed to run the agent.

        Raises:
            NotFound: No such agent for this caller.
            Unavailable: It could not be loaded.
        """
        agent = self._find(caller, name)
        if agent.spec is None or agent.adapter is None:
            raise Unavailable(f"The agent {name!r} could not be loaded.", code="agent_broken")
        return agent.spec, agent.adapter, agent.info

    def sole(self, caller: Caller) -> str | None:
        """Return the name of the only agent the caller may use, if there is just one."""
        names = [info.name for info in self.list(caller)]
        return names[0] if len(names) == 1 else None

    def _find(self, caller: Caller, name: str) -> Registered:
        agent = self._agents.get(name)
        if agent is None or not self._may(caller, agent):
            known = ", ".join([info.name for info in self.list(caller)][:20]) or "none"
            raise NotFound(f"No agent is named {name!r}; there are: {known}.", code="agent_not_found")
        return agent

    @staticmethod
    def _may(caller: Caller, agent: Registered) -> bool:
        allowed = caller.agents is None or agent.info.name in caller.agents
        return caller.system or (allowed and caller.scopes.issuperset(agent.info.scopes))


def describe(spec: AgentSpec, adapter: Adapter) -> Registered:
    """Ask the adapter about the agent; one that cannot be described is listed with its error.

    The limits that the engine holds an agent to are listed here, for all adapters alike.
    """
    try:
        info = adapter.describe(spec)
        if spec.mcp and "mcp" not in info.capabilities:
            error = LoadError(message=f"an agent like this ({adapter.framework}) cannot be given MCP servers")
            return broken(spec.name, error, framework=adapter.framework)
        info = msgspec.structs.replace(info, limits={**info.limits, **_limits(spec)})
        return Registered(info=info, spec=spec, adapter=adapter)
    except Exception as error:  # one broken agent must not stop the others, whatever its framework raises
        logger.exception("agent %s could not be described", spec.name)
        # An ImportError speaks of code alone and names the missing extra; others may quote data (TRU-17).
        said = f": {error}" if isinstance(error, ImportError) else " when it was described"
        message = f"{type(error).__name__}{said}"
        return broken(spec.name, LoadError(message=message), framework=adapter.framework)


def _limits(spec: AgentSpec) -> dict[str, Any]:
    """Return the limits of the agent's own; those of the server, which hold for every agent, are not repeated."""
    own = {
        "deadline_s": spec.deadline_s,
        "idle_timeout_s": spec.idle_timeout_s,
        "history_messages": spec.history_messages,
        "history_tokens": spec.history_tokens,
    }
    return {name: limit for name, limit in own.items() if limit is not None}


def broken(name: str, error: LoadError, *, framework: str = "unknown") -> Registered:
    """Return an entry that is listed with its error and refuses to run."""
    return Registered(info=AgentInfo(name=name, title=name, framework=framework, version="", error=error))
