"""One agent of each framework in one server: `landline serve examples/all_frameworks.py`.

All use the model OPENAI_MODEL at OPENAI_BASE_URL with OPENAI_API_KEY; without a key they load, and their runs fail with a
clear code. Each framework is an extra of Landline: `pip install "landline[pydantic-ai,openai-agents,langgraph,ag2]"`.
"""

import os
from typing import Any, cast

import agents as openai_agents
from ag2 import Agent as AG2Agent
from ag2.config import OpenAIConfig
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - generics of the framework
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic import SecretStr
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

import landline

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5.2")
KEY = os.environ.get("OPENAI_API_KEY", "none")
BRIEF = "Be kind and brief. Add numbers with the tool."


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def hello(run: Any) -> str:
    """A plain function: say back what was said."""
    await run.step("thinking", add, 1, 1)
    return f"You said: {run.input}"


pydantic_ai = PydanticAgent(
    OpenAIChatModel(MODEL, provider=OpenAIProvider(api_key=KEY)),
    name="pydantic_ai",
    instructions=BRIEF,
    tools=[add],
)

openai_sdk = openai_agents.Agent(
    name="openai_sdk",
    instructions=BRIEF,
    model=openai_agents.OpenAIResponsesModel(MODEL, AsyncOpenAI(api_key=KEY)),
    tools=[openai_agents.function_tool(add)],
)

langgraph = cast("Any", create_agent)(
    ChatOpenAI(model=MODEL, api_key=SecretStr(KEY), stream_usage=True),
    tools=[add],
    system_prompt=BRIEF,
    name="langgraph",
)

ag2 = AG2Agent("ag2", BRIEF, config=OpenAIConfig(model=MODEL, api_key=KEY, streaming=True), tools=[add])

agents: list[Any] = [landline.agent(hello, name="hello"), pydantic_ai, openai_sdk, langgraph, ag2]
