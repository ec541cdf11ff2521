"""The agent that all targets serve: Pydantic AI over the real OpenAI client, at the scripted model."""

import os

from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

__all__ = ["agent"]

# The client's own pool of 1,000 connections: Pydantic AI's default one would queue streams from the 101st on.
_client = AsyncOpenAI(base_url=os.environ["BENCH_UPSTREAM"], api_key="bench", max_retries=0)
agent = Agent(
    OpenAIChatModel("bench", provider=OpenAIProvider(openai_client=_client)),
    name="bench",
    instructions="Say what you are told to say.",
)
