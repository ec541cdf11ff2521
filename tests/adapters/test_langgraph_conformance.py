"""LangGraph passes the suite that every adapter passes."""

from typing import Any

import pytest

from landline.ports.adapter import AgentSpec, BroughtTool, ToolPolicy
from landline.testing.adapters import AdapterConformance
from tests.adapters.langgraph_kit import LangGraphKit
from tests.adapters.test_langgraph_brought import ADD, agent_of


class TestLangGraph(AdapterConformance):
    kit = LangGraphKit()

    @pytest.mark.contract("ADP-6")
    async def test_brought_tools_are_called(self) -> None:
        """The published suite has no test of `mcp`; those against a real server are in `test_langgraph_brought`."""
        self.need("mcp")

        async def call(arguments: Any) -> Any:
            return arguments["a"] + arguments["b"]

        add = BroughtTool(name="add", description=None, parameters={}, policy=ToolPolicy(), call=call)
        _, finished = await self.run(AgentSpec(agent=agent_of(ADD), name="a"), tools=[add])
        assert finished.output == "3"
