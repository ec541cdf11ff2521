"""An agent of each framework for the tests of AG-UI: one tool of its own, one that needs an approval, tools of clients."""

import os
from typing import Any, cast

import agents as openai_agents
from ag2 import Agent as AG2Agent
from ag2.config import OpenAIConfig
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - generics of the framework
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic import BaseModel, SecretStr
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

import landline
from landline.adapters.langgraph.brought import BroughtTools

MODEL = os.environ["OPENAI_MODEL"]
KEY = os.environ["OPENAI_API_KEY"]
POLICIES = {"erase": landline.tool(approval=True)}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def erase(name: str) -> str:
    """Erase something."""
    return f"Erased {name}."


class Place(BaseModel):
    """A place."""

    city: str
    people: int


model = OpenAIChatModel(MODEL, provider=OpenAIProvider(api_key=KEY))
pydantic_ai = PydanticAgent(model, tools=[add, erase])
placed = PydanticAgent(model, output_type=Place)

openai_sdk = openai_agents.Agent(
    name="openai_sdk",
    model=openai_agents.OpenAIResponsesModel(MODEL, AsyncOpenAI(api_key=KEY)),
    tools=[openai_agents.function_tool(add), openai_agents.function_tool(erase)],
)

langgraph = cast("Any", create_agent)(
    ChatOpenAI(model=MODEL, api_key=SecretStr(KEY), stream_usage=True),
    tools=[add, erase],
    middleware=[BroughtTools()],
)

ag2 = AG2Agent("ag2", config=OpenAIConfig(model=MODEL, api_key=KEY, streaming=True), tools=[add, erase])

agents: list[Any] = [
    landline.agent(pydantic_ai, name="pydantic_ai", tools=POLICIES),
    landline.agent(openai_sdk, name="openai_sdk", tools=POLICIES),
    landline.agent(langgraph, name="langgraph", tools=POLICIES),
    landline.agent(ag2, name="ag2", tools=POLICIES),
    landline.agent(placed, name="placed"),
]
