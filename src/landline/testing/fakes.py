"""Fakes for tests of the engine: an adapter whose agents are plain scripts over the turn."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

from landline.model.agents import AgentInfo, Capability
from landline.model.events import Event, MessageCompleted, MessageStarted, TextDelta
from landline.model.ids import new_id
from landline.ports.adapter import AgentSpec, Finished, Turn

__all__ = ["Script", "ScriptAdapter", "say"]

Script = Callable[[Turn], AsyncIterator[Event | Finished]]


class ScriptAdapter:
    """An adapter whose agents are async generator functions of the turn: what they yield is what happens."""

    framework = "script"
    capabilities: frozenset[Capability] = frozenset(
        {"streaming", "tools", "ask", "cancel", "files", "images", "client_tools", "carried_history"}
    )

    def __init__(self, *, partial_text: Literal["drop", "continue"] = "drop") -> None:
        self.partial_text: Literal["drop", "continue"] = partial_text

    def matches(self, agent: Any) -> bool:
        """Take any callable."""
        return callable(agent)

    def describe(self, spec: AgentSpec) -> AgentInfo:
        """Return what the spec says."""
        return AgentInfo(
            name=spec.name,
            title=spec.title or spec.name,
            framework=self.framework,
            version="1",
            scopes=spec.scopes,
            settings=("temperature",),
            capabilities=sorted(self.capabilities),
        )

    async def close(self) -> None:
        """Nothing outlives a run."""

    async def run(self, turn: Turn) -> AsyncIterator[Event | Finished]:
        """Yield what the script yields."""
        script: Script = turn.agent
        async for item in script(turn):
            yield item


async def say(*words: str) -> AsyncIterator[Event | Finished]:
    """Yield one whole message made of `words` and finish with its text."""
    message_id = new_id()
    yield MessageStarted(message_id=message_id, role="assistant")
    for word in words:
        yield TextDelta(message_id=message_id, delta=word)
    yield MessageCompleted(message_id=message_id, text="".join(words))
    yield Finished(output="".join(words), model="script")
