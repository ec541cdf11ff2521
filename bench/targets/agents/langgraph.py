"""LangGraph, with the agent that LangChain builds on it."""

import os
from collections.abc import AsyncIterator
from typing import Any, cast

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from bench.targets.agents import PATIENCE_S

__all__ = ["agent", "answer", "deltas"]

_model = ChatOpenAI(
    model="bench",
    base_url=os.environ["BENCH_UPSTREAM"],
    api_key=SecretStr("bench"),
    max_retries=0,
    timeout=PATIENCE_S,
    stream_usage=True,
)
agent: Any = cast("Any", create_agent)(
    _model, tools=[], system_prompt="Say what you are told to say.", name="bench"
)
_threads: dict[str, list[Any]] = {}


async def answer(text: str, thread: str | None) -> str:
    """Return the answer. A thread is a list in memory: the least that a history can cost."""
    before = _threads.get(thread, []) if thread is not None else []
    state = await agent.ainvoke({"messages": [*before, {"role": "user", "content": text}]})
    if thread is not None:
        _threads[thread] = state["messages"]
    return str(state["messages"][-1].content)


async def deltas(text: str) -> AsyncIterator[str]:
    order = {"messages": [{"role": "user", "content": text}]}
    async for chunk, _ in agent.astream(order, stream_mode="messages"):
        if chunk.content:
            yield str(chunk.content)
