"""The conformance suite's agents, written in Pydantic AI on its scripted models."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pydantic_core
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.exceptions import CallDeferred
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import (
    AgentInfo,
    DeltaThinkingCalls,
    DeltaThinkingPart,
    DeltaToolCall,
    DeltaToolCalls,
    FunctionModel,
)

from landline.adapters.pydantic_ai import PydanticAIAdapter, adapter
from landline.ports.adapter import AgentSpec, ToolPolicy
from landline.testing.adapters import AdapterKit, ToolBox
from tests.adapters.wanted_place import written

Deltas = AsyncIterator[str | DeltaToolCalls]


class Place(BaseModel):
    city: str
    people: int
    sights: list[str]


def calls(*named: tuple[str, dict[str, Any]]) -> DeltaToolCalls:
    """One delta that makes parallel calls; their ids are the tools' names, which repeat from turn to turn."""
    return {
        index: DeltaToolCall(name=name, json_args=pydantic_core.to_json(args).decode(), tool_call_id=name)
        for index, (name, args) in enumerate(named)
    }


def returns(messages: Sequence[ModelMessage]) -> list[ToolReturnPart]:
    """What tools told the model since the user spoke."""
    last = max(i for i, m in enumerate(messages) if any(isinstance(p, UserPromptPart) for p in m.parts))
    return [part for m in messages[last:] for part in m.parts if isinstance(part, ToolReturnPart)]


def prompts(messages: Sequence[ModelMessage]) -> list[str]:
    return [
        str(part.content)
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, UserPromptPart)
    ]


class PydanticAIKit(AdapterKit):
    @property
    def adapter(self) -> PydanticAIAdapter:
        return adapter

    def echo(self) -> AgentSpec:
        async def stream(messages: list[ModelMessage], _: AgentInfo) -> Deltas:
            *before, last = prompts(messages)
            for text in before:
                yield f"Before: {text}. "
            for piece in ("You ", "said: ", last):
                await asyncio.sleep(0)
                yield piece

        return AgentSpec(agent=Agent(FunctionModel(stream_function=stream)), name="echo")

    def tools(self, box: ToolBox) -> AgentSpec:
        async def stream(messages: list[ModelMessage], _: AgentInfo) -> Deltas:
            match len(returns(messages)):
                case 0:
                    yield "Let me "
                    yield "see. "
                    yield calls(("first", {"n": 1}), ("second", {"n": 2}))
                case 2:
                    yield calls(("third", {"n": 3}))
                case _:
                    yield "Do"
                    yield "ne."

        agent = Agent(FunctionModel(stream_function=stream))

        @agent.tool_plain
        async def first(n: int) -> int:
            box.note("first", n)
            return n * 10

        @agent.tool_plain
        def second(n: int) -> int:
            box.note("second", n)
            return n * 10

        @agent.tool_plain
        async def third(n: int) -> int:
            box.note("third", n)
            return n * 10

        return AgentSpec(agent=agent, name="tools")

    def approval(self, box: ToolBox) -> AgentSpec:
        async def stream(messages: list[ModelMessage], _: AgentInfo) -> Deltas:
            told = returns(messages)
            if not told:
                yield calls(("look", {"name": "a"}), ("delete", {"name": "b"}))
            else:
                yield "I was told: "
                yield str(next(part.content for part in told if part.tool_name == "delete"))

        agent = Agent(FunctionModel(stream_function=stream))

        @agent.tool_plain
        async def look(name: str) -> str:
            box.note("look", name)
            return f"saw {name}"

        @agent.tool_plain(requires_approval=True)
        async def delete(name: str) -> str:
            box.note("delete", name)
            return f"deleted {name}"

        return AgentSpec(agent=agent, name="approval")

    def structured(self) -> AgentSpec:
        async def stream(_: list[ModelMessage], info: AgentInfo) -> Deltas:
            text = '{"city": "Paris", "people": 2000000, "sights": ["Louvre", "Orsay"]}'
            yield {0: DeltaToolCall(name=info.output_tools[0].name, tool_call_id="out")}
            for start in range(0, len(text), 5):
                yield {0: DeltaToolCall(json_args=text[start : start + 5])}

        return AgentSpec(
            agent=Agent(FunctionModel(stream_function=stream), output_type=Place), name="structured"
        )

    def reasoning(self) -> AgentSpec:
        async def stream(_: list[ModelMessage], __: AgentInfo) -> AsyncIterator[str | DeltaThinkingCalls]:
            yield {0: DeltaThinkingPart(content="Hm, ")}
            yield {0: DeltaThinkingPart(content="so. ")}
            yield "4"
            yield "2"

        return AgentSpec(agent=Agent(FunctionModel(stream_function=stream)), name="reasoning")

    def settings(self) -> AgentSpec:
        async def stream(_: list[ModelMessage], info: AgentInfo) -> Deltas:
            yield str((info.model_settings or {}).get("temperature"))

        return AgentSpec(agent=Agent(FunctionModel(stream_function=stream)), name="settings")

    def sees(self) -> AgentSpec:
        async def stream(messages: list[ModelMessage], _: AgentInfo) -> Deltas:
            for part in messages[-1].parts:
                if isinstance(part, UserPromptPart):
                    for item in part.content:
                        if isinstance(item, BinaryContent):
                            yield f"{item.media_type} {len(item.data)}"

        return AgentSpec(agent=Agent(FunctionModel(stream_function=stream)), name="sees")

    def asks(self) -> AgentSpec:
        async def stream(messages: list[ModelMessage], _: AgentInfo) -> Deltas:
            told = returns(messages)
            if told:
                yield f"Hello, {told[0].content}."
            else:
                yield calls(("name", {"question": "Your name?"}))

        agent = Agent(FunctionModel(stream_function=stream))

        @agent.tool_plain
        async def name(question: str) -> str:
            raise CallDeferred(kind="question")

        return AgentSpec(agent=agent, name="asks")

    def failing(self, canary: str) -> AgentSpec:
        async def stream(_: list[ModelMessage], __: AgentInfo) -> Deltas:
            yield calls(("broken", {}))

        agent = Agent(FunctionModel(stream_function=stream))

        @agent.tool_plain
        async def broken() -> str:
            raise RuntimeError(canary)

        return AgentSpec(agent=agent, name="failing")

    def endless(self, box: ToolBox) -> AgentSpec:
        async def stream(_: list[ModelMessage], __: AgentInfo) -> Deltas:
            try:
                yield "one "
                box.started.set()
                await asyncio.Event().wait()
            finally:
                box.stopped.set()

        return AgentSpec(agent=Agent(FunctionModel(stream_function=stream)), name="endless")

    def endless_tool(self, box: ToolBox) -> AgentSpec:
        agent = Agent(FunctionModel(stream_function=_once("wait")))

        @agent.tool_plain
        async def wait() -> str:
            try:
                box.started.set()
                await asyncio.Event().wait()
            finally:
                box.stopped.set()
            return "never"

        return AgentSpec(agent=agent, name="endless_tool")

    def blocking_tool(self, box: ToolBox) -> AgentSpec:
        agent = Agent(FunctionModel(stream_function=_once("block")))

        @agent.tool_plain
        def block() -> str:
            box.thread_started.set()
            box.release.wait(10)
            return "late"

        return AgentSpec(agent=agent, name="blocking_tool")

    def idempotent(self, box: ToolBox, *, idempotent: bool) -> AgentSpec:
        agent = Agent(FunctionModel(stream_function=_once("pay")))

        @agent.tool_plain
        async def pay() -> str:
            box.note("pay")
            return "paid"

        return AgentSpec(agent=agent, name="paying", tools={"pay": ToolPolicy(idempotent=idempotent)})

    def context(self) -> AgentSpec:
        async def stream(_: list[ModelMessage], info: AgentInfo) -> Deltas:
            yield str(info.instructions)

        agent = Agent(FunctionModel(stream_function=stream), deps_type=str)

        @agent.instructions
        def say(ctx: RunContext[str]) -> str:
            return ctx.deps

        return AgentSpec(agent=agent, name="context")

    def steered(self) -> AgentSpec:
        async def stream(messages: list[ModelMessage], _: AgentInfo) -> Deltas:
            if any(isinstance(part, ToolReturnPart) for message in messages for part in message.parts):
                yield " ".join(f"Also: {text}" for text in prompts(messages)[1:]) or "That is all."
            else:
                yield calls(("look", {}))

        agent = Agent(FunctionModel(stream_function=stream))

        @agent.tool_plain
        async def look() -> str:
            return "seen"

        return AgentSpec(agent=agent, name="steered", tools={"look": ToolPolicy(idempotent=True)})

    def brought(self) -> AgentSpec:
        return AgentSpec(
            agent=Agent(FunctionModel(stream_function=_once("greet", {"name": "Ada"}))), name="brought"
        )

    def wanted(self) -> AgentSpec:
        async def stream(messages: list[ModelMessage], info: AgentInfo) -> Deltas:
            if info.function_tools and not returns(messages):
                yield calls(("greet", {"name": "Ada"}))
            elif info.output_tools:
                yield {0: DeltaToolCall(name=info.output_tools[0].name, tool_call_id="out")}
                for piece in written(prompts(messages)[-1]):
                    yield {0: DeltaToolCall(json_args=piece)}
            else:
                yield f"You said: {prompts(messages)[-1]}"

        return AgentSpec(agent=Agent(FunctionModel(stream_function=stream)), name="wanted")

    def texts_of(self, native: bytes) -> Sequence[str]:
        return [
            str(part.content)
            for message in ModelMessagesTypeAdapter.validate_json(native)
            for part in message.parts
            if isinstance(part, UserPromptPart | TextPart)
        ]


def _once(tool: str, arguments: dict[str, Any] | None = None) -> Any:
    async def stream(messages: list[ModelMessage], _: AgentInfo) -> Deltas:
        told = returns(messages)
        if told:
            yield f"I was told: {told[0].content}"
        else:
            yield calls((tool, arguments or {}))

    return stream
