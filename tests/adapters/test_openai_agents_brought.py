"""Tools that Landline brings to OpenAI agents, where the SDK has ways of its own; the rest is in test_brought_tools."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from agents import FunctionTool, function_tool

from landline.adapters.openai_agents import adapter
from landline.model import events as log
from landline.model.errors import Unsupported
from landline.ports.adapter import AgentSpec, BroughtTool, Finished, ToolPolicy
from landline.testing.adapters import check_grammar
from landline.testing.line import MemoryLine, drive, turn_of
from landline.testing.models.openai_agents import Asked, Call, FunctionModel, Speaks
from tests.adapters.openai_agents_kit import Pieces, agent_of, once

# Not what strict mode takes: an optional property, and objects that hold more than is named.
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "more": {"type": "object"}},
    "required": ["name"],
}


class Greets:
    """A brought tool that keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.tool = BroughtTool(
            name="greet", description="Say hello.", parameters=SCHEMA, policy=ToolPolicy(), call=self.greet
        )

    async def greet(self, arguments: Mapping[str, Any]) -> Any:
        self.calls.append(arguments)
        return {"said": "hello"}


class Listening(FunctionModel):
    """Keeps the tools themselves that it was told of."""

    def __init__(self, speaks: Speaks) -> None:
        super().__init__(speaks)
        self.tools: list[FunctionTool] = []

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        self.tools.extend(args[3])
        async for event in super().stream_response(*args, **kwargs):
            yield event


async def go(agent: Any, *tools: BroughtTool) -> tuple[MemoryLine, Finished]:
    line = MemoryLine()
    async with asyncio.timeout(5):
        finished = await drive(
            adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), "hi", tools=tools)
        )
    check_grammar(line.events)
    return line, finished


@pytest.mark.contract("ADP-6", "AGT-3")
async def test_the_model_is_told_the_schema_as_it_is_and_the_agent_is_left_alone() -> None:
    greets = Greets()
    agent = agent_of(once("greet", {"name": "Ada"}))
    agent.model = model = Listening(once("greet", {"name": "Ada"}))
    _, finished = await go(agent, greets.tool)
    told = model.tools[0]
    assert (told.name, told.description, told.strict_json_schema) == ("greet", "Say hello.", False)
    assert told.params_json_schema == SCHEMA
    assert finished.output == 'I was told: {"said":"hello"}'
    assert greets.calls == [{"name": "Ada"}]
    assert agent.tools == []


@pytest.mark.contract("ADP-6")
async def test_an_agent_that_is_handed_to_has_its_own_tools_only() -> None:
    offered: dict[str, list[str]] = {}

    async def front_says(asked: Asked) -> Pieces:
        offered["front"] = list(asked.tools)
        yield Call("greet", {"name": "Ada"}) if not asked.told else Call("transfer_to_back")

    async def back_says(asked: Asked) -> Pieces:
        offered["back"] = list(asked.tools)
        yield "Back here."

    back = agent_of(back_says, name="back")
    greets = Greets()
    await go(agent_of(front_says, name="front", handoffs=[back]), greets.tool)
    assert offered == {"front": ["greet"], "back": []}
    assert len(greets.calls) == 1


@pytest.mark.contract("ADP-6")
@pytest.mark.parametrize("arguments", ['{"name": ', '["Ada"]'])
async def test_arguments_that_are_no_object_are_told_to_the_model_and_not_sent(arguments: str) -> None:
    greets = Greets()
    line, finished = await go(agent_of(once("greet", arguments)), greets.tool)
    assert greets.calls == []
    assert str(finished.output).startswith("I was told: greet was not called: the arguments")
    assert [end.error.code for end in line.of(log.ToolFailed)] == ["invalid_arguments"]


@pytest.mark.contract("ADP-6")
async def test_a_brought_tool_does_not_take_the_place_of_the_agents_own() -> None:
    @function_tool
    async def greet(name: str) -> str:
        return name

    greets = Greets()
    with pytest.raises(Unsupported) as refused:
        await go(agent_of(once("greet", {"name": "Ada"}), tools=[greet]), greets.tool)
    assert refused.value.code == "tool_name_taken"
    assert greets.calls == []
