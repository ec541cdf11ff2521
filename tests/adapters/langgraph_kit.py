"""The conformance suite's agents, written with LangChain's `create_agent` on a scripted chat model."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import langchain.agents
import langgraph.func
import langgraph.graph
import msgspec
from langchain.agents.middleware import ModelRequest, dynamic_prompt
from langchain.agents.structured_output import ToolStrategy
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    messages_from_dict,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from pydantic import BaseModel, ConfigDict

from landline.adapters.langgraph import LangGraphAdapter, adapter
from landline.ports.adapter import AgentSpec, ToolPolicy
from landline.testing.adapters import AdapterKit, ToolBox

create_agent = cast("Any", langchain.agents).create_agent
StateGraph = cast("Any", langgraph.graph).StateGraph
entrypoint = cast("Any", langgraph.func).entrypoint
task = cast("Any", langgraph.func).task
"""The framework's own, whose generics are in part unknown to a type checker."""

Calls = list[tuple[str, dict[str, Any]]]
Deltas = AsyncIterator[str | Calls]
Script = Callable[[list[BaseMessage]], Deltas]


class Place(BaseModel):
    """A place."""

    city: str
    people: int
    sights: list[str]


class Scripted(BaseChatModel):
    """A chat model that streams what its script says: text, and calls whose ids are the tools' names."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    script: Any
    temperature: float | None = None

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, Any]:
        return self

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        count = 0
        async for delta in self.script(messages):
            count += 1
            if isinstance(delta, str):
                yield ChatGenerationChunk(message=AIMessageChunk(content=delta))
            else:
                chunks = [
                    {"name": name, "args": msgspec.json.encode(args).decode(), "id": name, "index": index}
                    for index, (name, args) in enumerate(delta)
                ]
                yield ChatGenerationChunk(
                    message=AIMessageChunk(content="", tool_call_chunks=cast("Any", chunks))
                )
        usage = {"input_tokens": len(messages), "output_tokens": count, "total_tokens": len(messages) + count}
        metadata = {"model_name": "scripted-1", "finish_reason": "stop"}
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="", usage_metadata=usage, response_metadata=metadata)  # pyright: ignore[reportArgumentType] - a TypedDict
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        async def whole() -> list[str | Calls]:
            return [delta async for delta in self.script(messages)]

        deltas = asyncio.run(whole())
        calls = [call for delta in deltas if not isinstance(delta, str) for call in delta]
        message = AIMessage(
            content="".join(delta for delta in deltas if isinstance(delta, str)),
            tool_calls=[{"name": name, "args": args, "id": name} for name, args in calls],
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def prompts(messages: Sequence[BaseMessage]) -> list[str]:
    return [str(message.text) for message in messages if isinstance(message, HumanMessage)]


def returns(messages: Sequence[BaseMessage]) -> list[ToolMessage]:
    """What tools told the model since the user spoke."""
    last = max(i for i, message in enumerate(messages) if isinstance(message, HumanMessage))
    return [message for message in messages[last:] if isinstance(message, ToolMessage)]


def next_node(state: dict[str, Any]) -> str:
    """Go on to the tools that the last message calls, or end."""
    return "tools" if state["messages"][-1].tool_calls else "__end__"


def once(name: str) -> Script:
    async def stream(messages: list[BaseMessage]) -> Deltas:
        if told := returns(messages):
            yield f"I was told: {told[0].content}"
        else:
            yield [(name, {})]

    return stream


async def echo(messages: list[BaseMessage]) -> Deltas:
    *before, last = prompts(messages)
    for text in before:
        yield f"Before: {text}. "
    for piece in ("You ", "said: ", last):
        await asyncio.sleep(0)
        yield piece


class LangGraphKit(AdapterKit):
    @property
    def adapter(self) -> LangGraphAdapter:
        return adapter

    def echo(self) -> AgentSpec:
        return AgentSpec(agent=create_agent(Scripted(script=echo)), name="echo")

    def tools(self, box: ToolBox) -> AgentSpec:
        async def stream(messages: list[BaseMessage]) -> Deltas:
            match len(returns(messages)):
                case 0:
                    yield "Let me "
                    yield "see. "
                    yield [("first", {"n": 1}), ("second", {"n": 2})]
                case 2:
                    yield [("third", {"n": 3})]
                case _:
                    yield "Do"
                    yield "ne."

        @tool
        async def first(n: int) -> int:
            """First."""
            box.note("first", n)
            return n * 10

        @tool
        def second(n: int) -> int:
            """Second."""
            box.note("second", n)
            return n * 10

        @tool
        async def third(n: int) -> int:
            """Third."""
            box.note("third", n)
            return n * 10

        return AgentSpec(agent=create_agent(Scripted(script=stream), [first, second, third]), name="tools")

    def approval(self, box: ToolBox) -> AgentSpec:
        async def stream(messages: list[BaseMessage]) -> Deltas:
            told = returns(messages)
            if not told:
                yield [("look", {"name": "a"}), ("delete", {"name": "b"})]
            else:
                yield "I was told: "
                yield str(next(message.content for message in told if message.name == "delete"))

        @tool
        async def look(name: str) -> str:
            """Look."""
            box.note("look", name)
            return f"saw {name}"

        @tool
        async def delete(name: str) -> str:
            """Delete."""
            box.note("delete", name)
            return f"deleted {name}"

        return AgentSpec(
            agent=create_agent(Scripted(script=stream), [look, delete]),
            name="approval",
            tools={"delete": ToolPolicy(approval=True)},
        )

    def structured(self) -> AgentSpec:
        async def stream(_: list[BaseMessage]) -> Deltas:
            yield [("Place", {"city": "Paris", "people": 2_000_000, "sights": ["Louvre", "Orsay"]})]

        agent = create_agent(Scripted(script=stream), response_format=ToolStrategy(Place))
        return AgentSpec(agent=agent, name="structured")

    def failing(self, canary: str) -> AgentSpec:
        @tool
        async def broken() -> str:
            """Break."""
            raise RuntimeError(canary)

        return AgentSpec(agent=create_agent(Scripted(script=once("broken")), [broken]), name="failing")

    def endless(self, box: ToolBox) -> AgentSpec:
        async def stream(_: list[BaseMessage]) -> Deltas:
            try:
                yield "one "
                box.started.set()
                await asyncio.Event().wait()
            finally:
                box.stopped.set()

        return AgentSpec(agent=create_agent(Scripted(script=stream)), name="endless")

    def endless_tool(self, box: ToolBox) -> AgentSpec:
        @tool
        async def wait() -> str:
            """Wait."""
            try:
                box.started.set()
                await asyncio.Event().wait()
            finally:
                box.stopped.set()
            return "never"

        return AgentSpec(agent=create_agent(Scripted(script=once("wait")), [wait]), name="endless_tool")

    def blocking_tool(self, box: ToolBox) -> AgentSpec:
        @tool
        def block() -> str:
            """Block."""
            box.thread_started.set()
            box.release.wait(10)
            return "late"

        return AgentSpec(agent=create_agent(Scripted(script=once("block")), [block]), name="blocking_tool")

    def idempotent(self, box: ToolBox, *, idempotent: bool) -> AgentSpec:
        @tool
        async def pay() -> str:
            """Pay."""
            box.note("pay")
            return "paid"

        return AgentSpec(
            agent=create_agent(Scripted(script=once("pay")), [pay]),
            name="paying",
            tools={"pay": ToolPolicy(idempotent=idempotent)},
        )

    def context(self) -> AgentSpec:
        async def stream(messages: list[BaseMessage]) -> Deltas:
            yield next(str(message.text) for message in messages if isinstance(message, SystemMessage))

        @dynamic_prompt
        def say(request: ModelRequest[Any]) -> str:
            return str(request.runtime.context)

        return AgentSpec(
            agent=create_agent(Scripted(script=stream), middleware=[say], context_schema=str), name="context"
        )

    def texts_of(self, native: bytes) -> Sequence[str]:
        turn = msgspec.json.decode(native)
        return [
            str(message.text)
            for message in messages_from_dict(turn["messages"])
            if isinstance(message, HumanMessage | AIMessage) and message.text
        ]
