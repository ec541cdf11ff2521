"""Agents that use a real MCP server: two calls, the second of which does not return."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

import landline
from landline.adapters.plain import PlainRun
from landline.ports.adapter import ToolRaised

notes = landline.mcp(os.environ["NOTES_URL"], name="notes")


async def plain(run: PlainRun) -> str:
    """Add, then wait for what never comes."""
    three = await run.mcp("add", a=1, b=2)
    try:
        await run.mcp("wait")
    except ToolRaised as raised:
        return f"{three}, {raised.code}"
    return "never"


async def script(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    told = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    if not told:
        yield {0: DeltaToolCall(name="add", json_args='{"a": 1, "b": 2}', tool_call_id="one")}
    elif len(told) == 1:
        yield {0: DeltaToolCall(name="wait", json_args="{}", tool_call_id="two")}
    else:
        yield f"{told[0].content}, {told[1].outcome}"


agents = [
    landline.agent(plain, name="plain", mcp=[notes]),
    landline.agent(Agent(FunctionModel(stream_function=script)), name="model", mcp=[notes]),
]
