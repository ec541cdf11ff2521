"""The conformance suite's agents, written in AG2 on models that are functions of what they are told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from ag2 import Agent, Context, Inject
from ag2.config import LLMClient, ModelConfig, ModelProvider
from ag2.context import ConversationContext
from ag2.events import (
    BaseEvent,
    BinaryInput,
    ModelReasoning,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolCallEvent,
)
from ag2.middleware.builtin.tools.approval import approval_required
from ag2.network import Handoff, TransitionGraph
from ag2.testing import TestConfig
from ag2.tools import tool
from pydantic import BaseModel

from landline.adapters.ag2 import AG2Adapter, AG2Workflow, adapter
from landline.adapters.ag2.codec import load_events
from landline.ports.adapter import AgentSpec, ToolPolicy
from landline.testing.adapters import AdapterKit, ToolBox
from landline.testing.models.ag2 import Said, Script, ScriptConfig, call, prompts, told, words
from tests.adapters.wanted_place import written


class Place(BaseModel):
    city: str
    people: int
    sights: list[str]


@dataclass(frozen=True)
class WarmConfig(ModelConfig):
    """A config with a setting, as the framework's own have them; its model says how warm it was called."""

    temperature: float | None = None

    @property
    def provider(self) -> ModelProvider:
        return ModelProvider.OPENAI

    @property
    def model(self) -> str:
        return "warm"

    def copy(self, /, **overrides: Any) -> "WarmConfig":
        return replace(self, **overrides)

    def create(self) -> LLMClient:
        async def stream(_: Sequence[BaseEvent], __: ConversationContext) -> AsyncIterator[Said]:
            yield str(self.temperature)

        return ScriptConfig(stream).create()

    def create_files_client(self) -> Any:
        raise NotImplementedError  # abstract in AG2, which asks for it where an agent uploads files


def agent(script: Script, *tools: Any, name: str = "agent", **more: Any) -> Agent[Any]:
    return Agent(name, config=ScriptConfig(script), tools=tools, **more)


class AG2Kit(AdapterKit):
    @property
    def adapter(self) -> AG2Adapter:
        return adapter

    def echo(self) -> AgentSpec:
        async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
            *before, last = prompts(messages)
            for text in before:
                yield f"Before: {text}. "
            for piece in ("You ", "said: ", last):
                await asyncio.sleep(0)
                yield piece

        return AgentSpec(agent=agent(stream), name="echo")

    def tools(self, box: ToolBox) -> AgentSpec:
        async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
            match len(told(messages)):
                case 0:
                    yield "Let me "
                    yield "see. "
                    yield call("first", n=1)
                    yield call("second", n=2)
                case 2:
                    yield call("third", n=3)
                case _:
                    yield "Do"
                    yield "ne."

        async def first(n: int) -> int:
            box.note("first", n)
            return n * 10

        def second(n: int) -> int:
            box.note("second", n)
            return n * 10

        async def third(n: int) -> int:
            box.note("third", n)
            return n * 10

        return AgentSpec(agent=agent(stream, first, second, third), name="tools")

    def approval(self, box: ToolBox) -> AgentSpec:
        async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
            results = told(messages)
            if not results:
                yield call("look", name="a")
                yield call("delete", name="b")
            else:
                yield "I was told: "
                yield words(next(result for result in results if result.name == "delete"))

        async def look(name: str) -> str:
            box.note("look", name)
            return f"saw {name}"

        @tool(middleware=[approval_required()])
        async def delete(name: str) -> str:
            box.note("delete", name)
            return f"deleted {name}"

        return AgentSpec(agent=agent(stream, look, delete), name="approval")

    def structured(self) -> AgentSpec:
        async def stream(_: Sequence[BaseEvent], __: ConversationContext) -> AsyncIterator[Said]:
            text = '{"city": "Paris", "people": 2000000, "sights": ["Louvre", "Orsay"]}'
            for start in range(0, len(text), 5):
                yield text[start : start + 5]

        return AgentSpec(agent=agent(stream, response_schema=Place), name="structured")

    def reasoning(self) -> AgentSpec:
        async def stream(_: Sequence[BaseEvent], __: ConversationContext) -> AsyncIterator[Said]:
            yield ModelReasoning("Hm, ")
            yield ModelReasoning("so. ")
            yield "4"
            yield "2"

        return AgentSpec(agent=agent(stream), name="reasoning")

    def settings(self) -> AgentSpec:
        return AgentSpec(agent=Agent("settings", config=WarmConfig()), name="settings")

    def sees(self) -> AgentSpec:
        async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
            for message in messages:
                for part in message.parts if isinstance(message, ModelRequest) else ():
                    if isinstance(part, BinaryInput):
                        yield f"{part.media_type} {len(part.data)}"

        return AgentSpec(agent=agent(stream), name="sees")

    def asks(self) -> AgentSpec:
        async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
            results = told(messages)
            yield f"Hello, {words(results[0])}." if results else call("name")

        async def name(ctx: Context) -> str:
            return await ctx.input("Your name?")

        return AgentSpec(agent=agent(stream, name), name="asks")

    def handoff(self) -> AgentSpec:
        async def front(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
            if not told(messages):
                yield call("route")

        async def back(_: Sequence[BaseEvent], __: ConversationContext) -> AsyncIterator[Said]:
            yield "Back "
            yield "here."

        async def route() -> Handoff:
            return Handoff(target="back")

        agents = [agent(front, route, name="front"), agent(back, name="back")]
        return AgentSpec(agent=AG2Workflow(agents, TransitionGraph("front")), name="handoff")

    def failing(self, canary: str) -> AgentSpec:
        async def broken() -> str:
            raise RuntimeError(canary)

        # The framework's own test config raises what a tool raised when the model is to be told of it.
        config = TestConfig(ToolCallEvent("broken", id="broken"))
        return AgentSpec(agent=Agent("failing", config=config, tools=[broken]), name="failing")

    def endless(self, box: ToolBox) -> AgentSpec:
        async def stream(_: Sequence[BaseEvent], __: ConversationContext) -> AsyncIterator[Said]:
            try:
                yield "one "
                box.started.set()
                await asyncio.Event().wait()
            finally:
                box.stopped.set()

        return AgentSpec(agent=agent(stream), name="endless")

    def endless_tool(self, box: ToolBox) -> AgentSpec:
        async def wait() -> str:
            try:
                box.started.set()
                await asyncio.Event().wait()
            finally:
                box.stopped.set()
            return "never"

        return AgentSpec(agent=agent(once("wait"), wait), name="endless_tool")

    def blocking_tool(self, box: ToolBox) -> AgentSpec:
        def block() -> str:
            box.thread_started.set()
            box.release.wait(10)
            return "late"

        return AgentSpec(agent=agent(once("block"), block), name="blocking_tool")

    def idempotent(self, box: ToolBox, *, idempotent: bool) -> AgentSpec:
        async def pay() -> str:
            box.note("pay")
            return "paid"

        return AgentSpec(
            agent=agent(once("pay"), pay), name="paying", tools={"pay": ToolPolicy(idempotent=idempotent)}
        )

    def context(self) -> AgentSpec:
        async def stream(_: Sequence[BaseEvent], context: ConversationContext) -> AsyncIterator[Said]:
            yield "".join(context.prompt)

        async def say(context: Annotated[str, Inject()]) -> str:
            return context

        return AgentSpec(agent=agent(stream, prompt=[say]), name="context")

    def brought(self) -> AgentSpec:
        return AgentSpec(agent=agent(once("greet", name="Ada")), name="brought")

    def wanted(self) -> AgentSpec:
        async def stream(
            messages: Sequence[BaseEvent], _: ConversationContext, *, options: dict[str, Any]
        ) -> AsyncIterator[Said]:
            if options["tools"] and not told(messages):
                yield call("greet", name="Ada")
            elif options.get("response_schema") is None:
                yield f"You said: {prompts(messages)[-1]}"
            else:
                for piece in written(prompts(messages)[-1]):
                    yield piece

        return AgentSpec(agent=Agent("wanted", config=ScriptConfig(stream, told_options=True)), name="wanted")

    def texts_of(self, native: bytes) -> Sequence[str]:
        texts: list[str] = []
        for event in load_events(native):
            if isinstance(event, ModelRequest):
                texts += [part.content for part in event.parts if isinstance(part, TextInput)]
            elif isinstance(event, ModelResponse) and event.content:
                texts.append(event.content)
        return texts


def once(name: str, /, **arguments: Any) -> Script:
    async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        results = told(messages)
        if results:
            yield f"I was told: {words(results[-1])}"
        else:
            yield call(name, **arguments)

    return stream
