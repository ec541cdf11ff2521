"""What `Landline(router=…)` may be, and how the engine gets it."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from landline.app.loading import adopt
from landline.engine.core import Core
from landline.engine.registry import Registered, describe
from landline.engine.router_agent import RouterAgent
from landline.ports.adapter import Adapter, AgentSpec
from landline.ports.routing import Router

__all__ = ["routing"]


def routing(
    router: Any, agents: list[Registered], adapters: Callable[[], Sequence[Adapter]]
) -> tuple[list[Registered], Callable[[Core], None]]:
    """Return the agents, a router that is an agent of its own among them, and what sets the engine's router.

    Raises:
        ValueError: The router is neither callable nor the name of an agent nor an agent.
    """
    if router is None:
        return agents, lambda core: None
    if isinstance(router, str):
        if router not in {agent.info.name for agent in agents}:
            raise ValueError(f"router={router!r}: no agent has this name")
        return agents, _asking(router)
    if callable(router) and not isinstance(router, AgentSpec):
        chosen = cast("Router", router)

        def call(core: Core) -> None:
            core.admission.routing.router = chosen

        return agents, call
    loaded = adopt(router, adapters())
    if loaded.spec is None or loaded.adapter is None:
        why = loaded.error.message if loaded.error else "no adapter takes it"
        raise ValueError(f"router=…: neither a callable nor an agent: {why}")
    return [*agents, describe(loaded.spec, loaded.adapter)], _asking(loaded.name)


def _asking(name: str) -> Callable[[Core], None]:
    def ask(core: Core) -> None:
        routing = core.admission.routing
        routing.router = RouterAgent(name, runs=core.runs, store=core.store, clock=core.clock)
        routing.own_agent = name

    return ask
