"""The conformance suite's agents, written for the OpenAI Agents SDK on a scripted model."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from typing import Any

from agents import Agent, RunContextWrapper, function_tool
from pydantic import BaseModel

from landline.adapters.openai_agents import OpenAIAgentsAdapter, adapter
from landline.ports.adapter import AgentSpec, ToolPolicy
from landline.testing.adapters import AdapterKit, ToolBox
from landline.testing.models.openai_agents import Asked, Call, FunctionModel, Piece, Speaks, Think
from tests.adapters.wanted_place import written

Pieces = AsyncIterator[Piece]


class Place(BaseModel):
    city: str
    people: int
    sights: list[str]


def agent_of(speaks: Speaks, *, name: str = "agent", **more: Any) -> Agent[Any]:
    return Agent(name=name, model=FunctionModel(speaks), **more)


def once(tool: str, arguments: Any = None) -> Speaks:
    """Call `tool` once, then say what it told."""

    async def speak(asked: Asked) -> Pieces:
        if asked.told:
            yield "I was told: "
            yield str(asked.told[-1][1])
        else:
            yield Call(tool, arguments or {})

    return speak


class OpenAIAgentsKit(AdapterKit):
    @property
    def adapter(self) -> OpenAIAgentsAdapter:
        return adapter

    def echo(self) -> AgentSpec:
        async def speak(asked: Asked) -> Pieces:
            *before, last = asked.prompts
            for text in before:
                yield f"Before: {text}. "
            for piece in ("You ", "said: ", last):
                await asyncio.sleep(0)
                yield piece

        return AgentSpec(agent=agent_of(speak), name="echo")

    def tools(self, box: ToolBox) -> AgentSpec:
        async def speak(asked: Asked) -> Pieces:
            match len(asked.told):
                case 0:
                    yield "Let me "
                    yield "see. "
                    yield Call("first", {"n": 1}, "first")
                    yield Call("second", {"n": 2}, "second")
                case 2:
                    yield Call("third", {"n": 3}, "third")
                case _:
                    yield "Do"
                    yield "ne."

        @function_tool
        async def first(n: int) -> int:
            box.note("first", n)
            return n * 10

        @function_tool
        def second(n: int) -> int:
            box.note("second", n)
            return n * 10

        @function_tool
        async def third(n: int) -> int:
            box.note("third", n)
            return n * 10

        return AgentSpec(agent=agent_of(speak, tools=[first, second, third]), name="tools")

    def approval(self, box: ToolBox) -> AgentSpec:
        async def speak(asked: Asked) -> Pieces:
            if not asked.told:
                yield Call("look", {"name": "a"})
                yield Call("delete", {"name": "b"})
            else:
                yield "I was told: "
                yield dict(asked.told)["delete"]

        @function_tool
        async def look(name: str) -> str:
            await asyncio.sleep(0)
            box.note("look", name)
            return f"saw {name}"

        @function_tool(needs_approval=True)
        async def delete(name: str) -> str:
            box.note("delete", name)
            return f"deleted {name}"

        return AgentSpec(agent=agent_of(speak, tools=[look, delete]), name="approval")

    def structured(self) -> AgentSpec:
        async def speak(_: Asked) -> Pieces:
            text = '{"city": "Paris", "people": 2000000, "sights": ["Louvre", "Orsay"]}'
            for start in range(0, len(text), 5):
                yield text[start : start + 5]

        return AgentSpec(agent=agent_of(speak, output_type=Place), name="structured")

    def reasoning(self) -> AgentSpec:
        async def speak(_: Asked) -> Pieces:
            yield Think("Hm, ")
            yield Think("so. ")
            yield "4"
            yield "2"

        return AgentSpec(agent=agent_of(speak), name="reasoning")

    def settings(self) -> AgentSpec:
        async def speak(asked: Asked) -> Pieces:
            yield str(asked.settings.temperature)

        return AgentSpec(agent=agent_of(speak), name="settings")

    def sees(self) -> AgentSpec:
        async def speak(asked: Asked) -> Pieces:
            for part in asked.items[-1]["content"]:
                data = part.get("image_url") or part.get("file_data")
                if data:
                    head, _, packed = data.partition(";base64,")
                    yield f"{head.removeprefix('data:')} {len(b64decode(packed))}"

        return AgentSpec(agent=agent_of(speak), name="sees")

    def handoff(self) -> AgentSpec:
        async def front_says(_: Asked) -> Pieces:
            yield Call("transfer_to_back")

        async def back_says(_: Asked) -> Pieces:
            yield "Back "
            yield "here."

        back = agent_of(back_says, name="back")
        return AgentSpec(agent=agent_of(front_says, name="front", handoffs=[back]), name="handoff")

    def failing(self, canary: str) -> AgentSpec:
        @function_tool(failure_error_function=None)
        async def broken() -> str:
            raise RuntimeError(canary)

        return AgentSpec(agent=agent_of(once("broken"), tools=[broken]), name="failing")

    def endless(self, box: ToolBox) -> AgentSpec:
        async def speak(_: Asked) -> Pieces:
            try:
                yield "one "
                box.started.set()
                await asyncio.Event().wait()
            finally:
                box.stopped.set()

        return AgentSpec(agent=agent_of(speak), name="endless")

    def endless_tool(self, box: ToolBox) -> AgentSpec:
        @function_tool
        async def wait() -> str:
            try:
                box.started.set()
                await asyncio.Event().wait()
            finally:
                box.stopped.set()
            return "never"

        return AgentSpec(agent=agent_of(once("wait"), tools=[wait]), name="endless_tool")

    def blocking_tool(self, box: ToolBox) -> AgentSpec:
        @function_tool
        def block() -> str:
            box.thread_started.set()
            box.release.wait(10)
            return "late"

        return AgentSpec(agent=agent_of(once("block"), tools=[block]), name="blocking_tool")

    def idempotent(self, box: ToolBox, *, idempotent: bool) -> AgentSpec:
        @function_tool
        async def pay() -> str:
            box.note("pay")
            return "paid"

        agent = agent_of(once("pay"), tools=[pay])
        return AgentSpec(agent=agent, name="paying", tools={"pay": ToolPolicy(idempotent=idempotent)})

    def context(self) -> AgentSpec:
        async def speak(asked: Asked) -> Pieces:
            yield str(asked.instructions)

        def say(ctx: RunContextWrapper[str], _: Agent[str]) -> str:
            return ctx.context

        return AgentSpec(agent=agent_of(speak, instructions=say), name="context")

    def brought(self) -> AgentSpec:
        return AgentSpec(agent=agent_of(once("greet", {"name": "Ada"})), name="brought")

    def wanted(self) -> AgentSpec:
        async def speak(asked: Asked) -> Pieces:
            if asked.tools and not asked.told:
                yield Call("greet", {"name": "Ada"})
            elif asked.schema is None:
                yield f"You said: {asked.prompts[-1]}"
            else:
                for piece in written(asked.prompts[-1]):
                    yield piece

        return AgentSpec(agent=agent_of(speak), name="wanted")

    def texts_of(self, native: bytes) -> Sequence[str]:
        texts: list[str] = []
        for item in json.loads(native):
            content: Any = item.get("content")
            if isinstance(content, str):
                texts.append(content)
            elif content:
                texts.append("".join(part.get("text", "") for part in content))
        return texts
