"""Pydantic AI."""

import os
from collections.abc import AsyncIterator

from openai import AsyncOpenAI
from pydantic_ai import Agent, ModelMessage
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from bench.targets.agents import PATIENCE_S

__all__ = ["agent", "answer", "deltas"]

# The client's own pool of 1,000 connections: Pydantic AI's default one would queue streams from the 101st on.
_client = AsyncOpenAI(
    base_url=os.environ["BENCH_UPSTREAM"], api_key="bench", max_retries=0, timeout=PATIENCE_S
)
agent = Agent(
    OpenAIChatModel("bench", provider=OpenAIProvider(openai_client=_client)),
    name="bench",
    instructions="Say what you are told to say.",
)
_threads: dict[str, list[ModelMessage]] = {}


async def answer(text: str, thread: str | None) -> str:
    """Return the answer. A thread is a list in memory: the least that a history can cost."""
    if thread is None:
        return (await agent.run(text)).output
    result = await agent.run(text, message_history=_threads.get(thread))
    _threads[thread] = result.all_messages()
    return result.output


async def deltas(text: str) -> AsyncIterator[str]:
    async with agent.run_stream(text) as result:
        # Without the default debounce, which holds each token back for up to 100 ms.
        async for delta in result.stream_text(delta=True, debounce_by=None):
            yield delta
