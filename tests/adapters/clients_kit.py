"""Agents of each framework on its real model client, whose other end is a scripted upstream."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import agents as openai_sdk
from ag2 import Agent as AG2Agent
from ag2.config import OpenAIConfig, OpenAIResponsesConfig
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic import BaseModel, SecretStr
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from landline.adapters import ag2, langgraph, openai_agents, pydantic_ai
from landline.ports.adapter import Adapter, AgentSpec, Finished
from landline.testing.adapters import check_grammar
from landline.testing.line import MemoryLine, drive, turn_of
from landline.testing.upstream import ScriptedUpstream, Text
from tests.adapters.langgraph_kit import create_agent

MakeAgent = Callable[..., Any]
"""Takes an upstream, `timeout_s`, the agent's `tools` as functions, and what else its framework takes."""

ADAPTERS: dict[str, Adapter] = {
    "pydantic_ai": pydantic_ai.adapter,
    "openai_agents": openai_agents.adapter,
    "langgraph": langgraph.adapter,
    "ag2": ag2.adapter,
}
ANSWER = Text("one two three four")


class Place(BaseModel):
    """A place."""

    city: str
    people: int


async def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def agents_on(framework: str, wire: str, stack: AsyncExitStack) -> MakeAgent:
    """Return what makes agents on a wire, `chat` or `responses`; their clients are closed with `stack`."""
    chat = wire == "chat"

    def client(url: str, timeout_s: float) -> AsyncOpenAI:
        made = AsyncOpenAI(base_url=url, api_key="test", max_retries=0, timeout=timeout_s)
        stack.push_async_callback(made.close)
        return made

    def make(upstream: ScriptedUpstream, *, timeout_s: float = 5.0, tools: Any = (add,), **more: Any) -> Any:
        url = upstream.base_url
        match framework:
            case "pydantic_ai":
                kind = OpenAIChatModel if chat else OpenAIResponsesModel
                model = kind("gpt-4o", provider=OpenAIProvider(openai_client=client(url, timeout_s)))
                return PydanticAgent(model, tools=tools, **more)
            case "openai_agents":
                sdk = openai_sdk.OpenAIChatCompletionsModel if chat else openai_sdk.OpenAIResponsesModel
                model = sdk("gpt-4o", openai_client=client(url, timeout_s))
                own: list[Any] = [openai_sdk.function_tool(each) for each in tools]
                return openai_sdk.Agent(name="a", model=model, tools=own, **more)
            case "langgraph":
                model = ChatOpenAI(
                    model="gpt-4o", base_url=url, api_key=SecretStr("test"), max_retries=0, timeout=timeout_s,
                    stream_usage=True, use_responses_api=not chat,
                )  # fmt: skip
                return create_agent(model, [tool(each) for each in tools], **more)
            case "ag2":
                config = OpenAIConfig if chat else OpenAIResponsesConfig
                made = config("gpt-4o", api_key="test", base_url=url, timeout=timeout_s, max_retries=0)
                return AG2Agent("a", config=made, tools=tools, **more)
            case _:
                raise LookupError(framework)

    return make


async def go(
    adapter: Adapter, agent: Any, line: MemoryLine | None = None, given: Any = "hi", **more: Any
) -> tuple[MemoryLine, Finished]:
    """Let an agent answer; return its line and its end."""
    line = line or MemoryLine()
    async with asyncio.timeout(10):
        finished = await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), given, **more))
    check_grammar(line.events)
    return line, finished
