"""What a Pydantic AI agent says, as messages: reasoning, structured output, answers that are taken back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypedDict, cast

import pytest
from pydantic import BaseModel, Field
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from pydantic_ai.output import NativeOutput, PromptedOutput, TextOutput, ToolOutput

from landline.adapters.pydantic_ai import adapter
from landline.adapters.pydantic_ai.partial import NOTHING, Shape
from landline.model import events as log
from landline.ports.adapter import AgentSpec, Finished
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of


class Person(BaseModel):
    name: str
    age: int = Field(ge=0)
    tags: list[str] = []


def scripted(*responses: list[Any]) -> FunctionModel:
    """A model whose k-th response is these deltas; `{tool}` in a call's name stands for the output tool."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        for delta in responses[sum(message.kind == "response" for message in messages)]:
            await asyncio.sleep(0)
            if isinstance(delta, dict):
                for call in cast("dict[int, Any]", delta).values():
                    if isinstance(call, DeltaToolCall) and call.name == "{tool}":
                        call.name = info.output_tools[0].name
            yield delta

    return FunctionModel(stream_function=stream)


def output(text: str, size: int = 4) -> list[Any]:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return [
        {0: DeltaToolCall(name="{tool}", tool_call_id="out")},
        *({0: DeltaToolCall(json_args=p)} for p in pieces),
    ]


async def go(agent: Agent[None, Any], line: MemoryLine | None = None) -> tuple[MemoryLine, Finished]:
    line = line or MemoryLine()
    async with asyncio.timeout(5):
        finished = await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), "hi"))
    check_grammar(line.events)
    return line, finished


def kinds(line: MemoryLine) -> list[str]:
    """The kinds of events, runs of the same kind as one."""
    found = [event.type for event in line.events]
    return [kind for at, kind in enumerate(found) if at == 0 or found[at - 1] != kind]


@pytest.mark.contract("ADP-2", "EVT-3")
async def test_reasoning_belongs_to_the_message_that_follows() -> None:
    agent = Agent(
        scripted(
            [{0: DeltaThinkingPart(content="let me ")}, {0: DeltaThinkingPart(content="think")}, "a", "b"]
        )
    )
    line, finished = await go(agent)
    assert finished.output == "ab"
    assert "".join(event.delta for event in line.of(log.ReasoningDelta)) == "let me think"
    assert kinds(line) == ["message.started", "reasoning.delta", "text.delta", "usage", "message.completed"]
    assert len({getattr(event, "message_id", None) for event in line.events} - {None}) == 1


@pytest.mark.contract("ADP-2")
async def test_reasoning_before_an_output_is_in_the_outputs_message() -> None:
    agent = Agent(
        scripted([{1: DeltaThinkingPart(content="hm")}, *output('{"name": "Ann", "age": 3}')]),
        output_type=Person,
    )
    line, _ = await go(agent)
    assert kinds(line) == [
        "message.started",
        "reasoning.delta",
        "output.partial",
        "usage",
        "output.partial",
        "message.completed",
    ]


@pytest.mark.contract("ADP-2")
@pytest.mark.parametrize("wrap", [NativeOutput, PromptedOutput])
async def test_output_as_json_text_is_output_and_not_talk(wrap: Any) -> None:
    agent: Agent[None, Any] = Agent(
        scripted(['{"name": "A', 'nn", "age', '": 3, "tags', '": ["x"]}']), output_type=wrap(Person)
    )
    line, finished = await go(agent)
    assert finished.output == {"name": "Ann", "age": 3, "tags": ["x"]}
    assert line.of(log.TextDelta) == []
    partials = [event.output for event in line.of(log.OutputPartial)]
    assert partials[0] == {"name": "A"}
    assert partials[-1] == finished.output
    assert line.messages()[-1][1] == '{"name":"Ann","age":3,"tags":["x"]}'


@pytest.mark.contract("ADP-2")
async def test_talk_before_an_output_is_a_message_of_its_own() -> None:
    calls = output('{"name": "Ann", "age": 3}')
    calls = [{1: next(iter(delta.values()))} for delta in calls]
    line, _ = await go(Agent(scripted(["Here ", "it is.", *calls]), output_type=Person))
    assert [text for _, text, _ in line.messages()] == ["Here it is.", '{"name":"Ann","age":3,"tags":[]}']


@pytest.mark.contract("ADP-2", "FACE-17")
async def test_an_output_the_agent_rejects_is_taken_back() -> None:
    responses = [output('{"name": "Bob", "age": 3}'), output('{"name": "Ann", "age": 3}')]
    agent = Agent(scripted(*responses), output_type=Person)

    @agent.output_validator
    def only_ann(person: Person) -> Person:
        if person.name != "Ann":
            raise ModelRetry("Ann only")
        return person

    line, finished = await go(agent)
    assert finished.output["name"] == "Ann"
    assert [event.reason for event in line.of(log.MessageRetracted)] == ["rejected"]
    assert len(line.messages()) == 1
    for index in range(len(line.events)):
        struck = MemoryLine(crash_at=index)
        with contextlib.suppress(Crashed):
            await drive(adapter, struck, turn_of(struck, AgentSpec(agent=agent, name="a"), "hi"))
        again, finished = await go(agent, struck.resumed())
        assert [text for _, text, _ in again.messages()] == ['{"name":"Ann","age":3,"tags":[]}']


async def test_plain_values_are_outputs_too() -> None:
    line, finished = await go(Agent(scripted(output('{"response": [1, 20, 3]}')), output_type=list[int]))
    assert finished.output == [1, 20, 3]
    assert [event.output for event in line.of(log.OutputPartial)][-1] == [1, 20, 3]


async def test_an_output_function_runs_once_and_its_result_is_the_output() -> None:
    ran: list[str] = []

    def shout(name: str) -> str:
        ran.append(name)
        return name.upper()

    agent = Agent(scripted(output('{"name": "ann"}')), output_type=ToolOutput(shout))
    line, finished = await go(agent)
    assert (finished.output, ran) == ("ANN", ["ann"])
    assert [event.output for event in line.of(log.OutputPartial)] == ["ANN"]
    assert line.messages()[-1][1] == "ANN"

    _, finished = await go(Agent(scripted(["ann"]), output_type=TextOutput(shout)))
    assert finished.output == "ANN"


class Draft(TypedDict, total=False):
    title: str
    lines: list[int]


class Outer(BaseModel):
    who: Person
    when: int


PARTIALS: list[tuple[Any, str, Any]] = [
    (Person, '{"name": "An', {"name": "An"}),
    (Person, '{"name": "Ann", "age": 1', {"name": "Ann"}),
    (Person, '{"name": "Ann", "age": -1, "tags": ["a", "b', {"name": "Ann", "tags": ["a", "b"]}),
    (Person, '{"na', NOTHING),
    (Person, "not json", NOTHING),
    (Outer, '{"who": {"name": "A', {"who": {"name": "A"}}),
    (Outer, '{"who": {"name": 5}, "when": 3}', {"when": 3}),
    (Draft, '{"title": "t", "lines": [1, 2', {"title": "t", "lines": [1]}),
    (list[Person], '[{"name": "a", "age": 1}, {"name": "b"', [{"name": "a", "age": 1, "tags": []}]),
]


@pytest.mark.contract("EVT-3")
@pytest.mark.parametrize(("type_", "text", "expected"), PARTIALS)
async def test_a_partial_holds_what_is_valid_so_far(type_: Any, text: str, expected: Any) -> None:
    assert Shape(type_).read(text) == expected


async def test_a_response_that_a_capability_puts_in_place_takes_the_streamed_text_back() -> None:
    from pydantic_ai.capabilities import AbstractCapability
    from pydantic_ai.messages import ModelResponse, TextPart

    class Replace(AbstractCapability[Any]):
        async def wrap_model_request(self, ctx: Any, *, request_context: Any, handler: Any) -> ModelResponse:
            await handler(request_context)
            return ModelResponse(parts=[TextPart("better")])

    agent = Agent(scripted(["wor", "se"]), capabilities=[Replace()])
    line, finished = await go(agent)
    assert finished.output == "better"
    assert [text for _, text, _ in line.messages()] == ["better"]
    assert [event.reason for event in line.of(log.MessageRetracted)] == ["replaced"]


async def test_replies_to_tools_come_after_what_was_said_before_them() -> None:
    """The order of the log is the order of things: no tool starts while its response is still being spoken."""
    agent = Agent(
        scripted(["one ", "two ", {1: DeltaToolCall(name="t", json_args="{}", tool_call_id="t")}], ["three"])
    )
    line = MemoryLine()
    seen: list[int] = []

    @agent.tool_plain
    async def t() -> str:
        seen.append(len(line.of(log.MessageCompleted)))
        return "ok"

    await go(agent, line)
    assert seen == [1]
