"""What is known of a remote agent without calling it: what its owner said, and what its protocol carries."""

from typing import Any

from landline.adapters.remote.agent import RemoteAgent
from landline.model.agents import AgentInfo
from landline.model.events import encode
from landline.model.ids import fingerprint
from landline.ports.adapter import Adapter, AgentSpec

__all__ = ["describe"]

SETTINGS = {
    "landline": (
        "max_tokens", "model", "parallel_tool_calls", "seed", "stop", "temperature", "tool_choice", "top_p",
    ),
    "openai-chat": ("max_tokens", "seed", "stop", "temperature", "top_p"),
    "openai-responses": ("max_tokens", "temperature", "top_p"),
}  # fmt: skip
"""Settings a protocol can carry. Another Landline's agent may take fewer, so that its owner names them."""


def describe(spec: AgentSpec, adapter: Adapter) -> AgentInfo:
    """Return the agent as its callers see it; its address and headers are the owner's business.

    Raises:
        ValueError: Its owner promises a setting that the protocol cannot carry.
    """
    agent: RemoteAgent | None = spec.agent
    settings = _settings(agent)
    capabilities = adapter.capabilities if settings else adapter.capabilities - {"settings"}
    limits: dict[str, Any] = {"deadline_s": spec.deadline_s, "idle_timeout_s": spec.idle_timeout_s}
    made_of = [] if agent is None else [agent.url, agent.protocol, agent.agent, sorted(agent.settings)]
    return AgentInfo(
        name=spec.name,
        title=spec.title or spec.name.replace("_", " ").replace("-", " ").capitalize(),
        framework=adapter.framework,
        version=spec.version or fingerprint(encode([spec.name, *made_of]))[:12],
        description=spec.description,
        starters=tuple(spec.starters),
        settings=settings,
        limits={name: limit for name, limit in limits.items() if limit is not None},
        scopes=tuple(spec.scopes),
        capabilities=sorted(capabilities),
        labels=dict(spec.labels),
    )


def _settings(agent: RemoteAgent | None) -> tuple[str, ...]:
    if agent is None:
        return ()
    carried = SETTINGS.get(agent.protocol, ())
    unknown = sorted(set(agent.settings) - set(carried))
    if unknown:
        raise ValueError(f"protocol {agent.protocol!r} carries no setting {unknown[0]!r}")
    return tuple(agent.settings) if agent.protocol == "landline" else carried
