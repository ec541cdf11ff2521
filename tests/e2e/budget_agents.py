"""Agents that never come to an end by themselves: tool loops in each framework, and pairs that call each other."""

from __future__ import annotations

import os
from typing import Any, cast

import agents as openai_agents
import httpx
from ag2 import Agent as AG2Agent
from ag2.config import OpenAIConfig
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - generics of the framework
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.openai import OpenAIChatModel

import landline
from landline.adapters.plain import PlainRun

MODEL = "scripted"
HERE = os.environ["BUDGET_SERVER"]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def plain(run: PlainRun) -> None:
    """Call a tool for ever."""
    while True:
        await run.tool("add", add, a=2, b=3)


pydantic_ai = PydanticAgent(OpenAIChatModel(MODEL), name="pydantic_ai", tools=[add])
openai_sdk = openai_agents.Agent(
    name="openai_sdk",
    model=openai_agents.OpenAIResponsesModel(MODEL, AsyncOpenAI()),
    tools=[openai_agents.function_tool(add)],
)
langgraph = cast("Any", create_agent)(
    ChatOpenAI(model=MODEL, stream_usage=True), tools=[add], name="langgraph"
)
ag2 = AG2Agent("ag2", config=OpenAIConfig(model=MODEL, streaming=True), tools=[add])


async def _call(agent: str) -> str:
    async with httpx.AsyncClient(base_url=HERE, timeout=30) as client:
        answer = await client.post("/api/v1/runs", json={"agent": agent, "input": "go", "mode": "wait"})
        return answer.text


async def ask_pong() -> str:
    """Ask the other agent."""
    return await _call("pong")


async def ask_ping() -> str:
    """Ask the other agent."""
    return await _call("ping")


ping = PydanticAgent(OpenAIChatModel(MODEL), name="ping", tools=[ask_pong])
pong = PydanticAgent(OpenAIChatModel(MODEL), name="pong", tools=[ask_ping])

agents: list[Any] = [
    landline.agent(plain, name="plain"),
    pydantic_ai,
    openai_sdk,
    landline.agent(langgraph, name="langgraph", tools={"add": landline.tool(idempotent=True)}),
    ag2,
    ping,
    pong,
    landline.agent(landline.remote(HERE, agent="tock"), name="tick"),
    landline.agent(landline.remote(HERE, agent="tick"), name="tock"),
    landline.agent(landline.remote(f"{HERE}/a2a/tock2", protocol="a2a"), name="tick2"),
    landline.agent(landline.remote(f"{HERE}/a2a/tick2", protocol="a2a"), name="tock2"),
]
