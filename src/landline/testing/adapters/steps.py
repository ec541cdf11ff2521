"""What the suite's tests share: the kit under test, one turn on a new line, and taking a run up again."""

import asyncio
from typing import Any

import pytest

from landline.model.events import ToolCalled, ToolCompleted
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.testing.adapters.kit import AdapterKit
from landline.testing.line import MemoryLine, drive, turn_of

__all__ = ["BOUND_S", "PROVES", "STOP_S", "Steps", "results_of"]

BOUND_S = 5.0
STOP_S = 1.0
PROVES = "proves"
"""Where a test's instance keeps the capabilities it is about."""


class Steps:
    """A kit and the ways to drive its agents."""

    kit: AdapterKit

    def need(self, *capabilities: str) -> None:
        """Skip the test when the adapter does not declare what it is about."""
        missing = {name for name in capabilities if not self.has(name)}
        if missing:
            pytest.skip(f"not declared: {', '.join(sorted(missing))}")

    def has(self, capability: str) -> bool:
        """Tell whether the adapter declares it; asking makes the test one of those that prove it (see `matrix`)."""
        vars(self).setdefault(PROVES, []).append(capability)
        return capability in self.kit.adapter.capabilities

    async def run(self, spec: AgentSpec, text: str = "hi", **given: Any) -> tuple[MemoryLine, Finished]:
        """Run one turn on a new line."""
        line = MemoryLine()
        async with asyncio.timeout(BOUND_S):
            return line, await drive(self.kit.adapter, line, turn_of(line, spec, text, **given))

    async def until_suspended(self, spec: AgentSpec, **given: Any) -> MemoryLine:
        """Run until questions are open."""
        line = MemoryLine()
        with pytest.raises(Suspended):
            async with asyncio.timeout(BOUND_S):
                await drive(self.kit.adapter, line, turn_of(line, spec, "hi", **given))
        assert line.questions
        return line

    async def resume(self, spec: AgentSpec, line: MemoryLine, **given: Any) -> tuple[MemoryLine, Finished]:
        """Take the run up again, now that its questions are answered."""
        line = line.resumed()
        async with asyncio.timeout(BOUND_S):
            return line, await drive(self.kit.adapter, line, turn_of(line, spec, "hi", **given))


def results_of(line: MemoryLine) -> dict[str, Any]:
    """Return the results of the finished calls, by tool."""
    names = {event.call_id: event.name for event in line.of(ToolCalled)}
    return {names[event.call_id]: event.result for event in line.of(ToolCompleted)}
