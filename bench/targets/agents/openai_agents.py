"""The OpenAI Agents SDK."""

import os
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI

from bench.targets.agents import PATIENCE_S

__all__ = ["agent", "answer", "deltas"]

# By default it sends every run to OpenAI, which is not what is measured.
set_tracing_disabled(True)
_client = AsyncOpenAI(
    base_url=os.environ["BENCH_UPSTREAM"], api_key="bench", max_retries=0, timeout=PATIENCE_S
)
agent = Agent(
    name="bench",
    instructions="Say what you are told to say.",
    model=OpenAIChatCompletionsModel("bench", _client),
)
_threads: dict[str, list[Any]] = {}


async def answer(text: str, thread: str | None) -> str:
    """Return the answer. A thread is a list in memory: the least that a history can cost."""
    if thread is None:
        return str((await Runner.run(agent, text)).final_output)
    before = _threads.get(thread, [])
    result = await Runner.run(agent, [*before, {"role": "user", "content": text}])
    _threads[thread] = result.to_input_list()
    return str(result.final_output)


async def deltas(text: str) -> AsyncIterator[str]:
    async for event in Runner.run_streamed(agent, text).stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            yield event.data.delta
