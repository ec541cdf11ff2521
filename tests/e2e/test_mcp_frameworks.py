"""The MCP face between frameworks: agents of each served as tools, and agents of two that use such tools."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypedDict

import mcp_types as types
import pytest
from agents import Agent as OpenAIAgent
from agents import Runner
from agents.mcp import MCPServerStreamableHttp
from agents.testing import ScriptedModel, assistant_message, function_call
from langgraph.graph import START, StateGraph
from mcp import Client
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.test import TestModel

import landline
from tests.e2e.mcp_line import Line, line

pytestmark = pytest.mark.contract("FACE-11")


class State(TypedDict):
    input: str
    output: str


def erase(name: str) -> str:
    """Erase it."""
    return f"Erased {name}."


def say(state: State) -> dict[str, str]:
    return {"output": state["input"]}


def of_frameworks() -> list[Any]:
    graph = StateGraph(State)
    graph.add_node("say", say)  # pyright: ignore[reportUnknownMemberType] - untyped there
    graph.add_edge(START, "say")
    careful = PydanticAgent(TestModel(call_tools=["erase"]), name="careful", tools=[erase])
    return [
        landline.agent(PydanticAgent(TestModel(custom_output_text="from pydantic")), name="pydantic"),
        landline.agent(careful, name="careful", tools={"erase": landline.tool(approval=True)}),
        landline.agent(
            OpenAIAgent(name="o", model=ScriptedModel([[assistant_message("from openai")]] * 4)),
            name="openai",
        ),
        landline.agent(graph.compile(), name="graph"),  # pyright: ignore[reportUnknownMemberType] - untyped there
    ]


@pytest.fixture
async def found(tmp_path: Path) -> AsyncIterator[Line]:
    async with line(tmp_path, agents=of_frameworks()) as served:
        yield served


@pytest.mark.parametrize("wire", ["auto", "legacy"])
async def test_agents_of_every_framework_are_tools(found: Line, wire: Any) -> None:
    forms: list[str] = []

    async def fill_in(context: Any, params: Any) -> types.ElicitResult:
        forms.append(params.message)
        return types.ElicitResult(action="accept", content={"approve": True})

    async with Client(found.url, mode=wire, elicitation_callback=fill_in) as client:
        for name, said in (("pydantic", "from pydantic"), ("openai", "from openai")):
            result = await client.call_tool(name, {"message": "hi"})
            assert result.structured_content["output"] == said
        graph = await client.call_tool("graph", {"message": '{"input": "hi"}'})
        assert not graph.is_error
        careful = await client.call_tool("careful", {"message": "x"})
        assert "Erased a." in careful.structured_content["output"]
    assert len(forms) == 1
    assert 'erase {"name":"a"}' in forms[0]


async def test_pydantic_ai_uses_an_agent_as_a_tool(tmp_path: Path) -> None:
    async with line(tmp_path) as served:
        agent = PydanticAgent(TestModel(call_tools=["echo"]), toolsets=[MCPToolset(served.url)])
        async with agent:
            result = await agent.run("Use the tool.")
        assert '"status":"completed"' in result.output
        assert '"output":"a"' in result.output


async def test_the_openai_agents_sdk_uses_an_agent_as_a_tool(tmp_path: Path) -> None:
    async with line(tmp_path) as served:
        model = ScriptedModel(
            [
                [function_call("echo", '{"message": "from a model"}', call_id="c1")],
                [assistant_message("done")],
            ]
        )
        async with MCPServerStreamableHttp({"url": served.url}, name="line") as server:
            agent = OpenAIAgent(name="asker", model=model, mcp_servers=[server])
            result = await Runner.run(agent, "Use the tool.")
        outputs = [item.output for item in result.new_items if item.type == "tool_call_output_item"]
        assert "from a model" in str(outputs)
        assert result.final_output == "done"
