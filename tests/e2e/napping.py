"""The agents of the example, each with a sync tool that sleeps for two seconds, and one that ticks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import agents as openai_agents
from ag2 import Agent as AG2Agent
from ag2.config import OpenAIConfig
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - generics of the framework
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.openai import OpenAIChatModel

import landline

MODEL = "scripted"


def nap() -> str:
    """Sleep."""
    time.sleep(2)
    return "slept"


async def ticking() -> AsyncIterator[str]:
    for number in range(300):
        yield f"{number} "
        await asyncio.sleep(0.01)


pydantic_ai = PydanticAgent(OpenAIChatModel(MODEL), name="pydantic_ai", tools=[nap])
openai_sdk = openai_agents.Agent(
    name="openai_sdk",
    model=openai_agents.OpenAIResponsesModel(MODEL, AsyncOpenAI()),
    tools=[openai_agents.function_tool(nap)],
)
langgraph = cast("Any", create_agent)(
    ChatOpenAI(model=MODEL, stream_usage=True), tools=[nap], name="langgraph"
)
ag2 = AG2Agent("ag2", config=OpenAIConfig(model=MODEL, streaming=True), tools=[nap])
ticker = landline.agent(ticking, name="ticking")
