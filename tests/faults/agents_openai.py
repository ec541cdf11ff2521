"""The kill run's agent written for the OpenAI Agents SDK: the same plan and the same tools as the `model` agent."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from agents import Agent, function_tool
from agents.tool_context import ToolContext

import landline
from landline.testing.kill import Ledger
from landline.testing.models.openai_agents import Asked, Call, FunctionModel, Piece

ledger = Ledger(Path(os.environ.get("FAULTS_LEDGER", "ledger.jsonl")))

POLICIES = {"pay": landline.tool(approval=True), "stamp": landline.tool(idempotent=True)}


async def speak(asked: Asked) -> AsyncIterator[Piece]:
    """A model without a model: which tool comes next follows from the tools that have returned in this turn."""
    plan = json.loads(asked.prompts[-1])
    returned = asked.told
    todo = [("book", "stamp", "file")[number % 3] for number in range(plan["steps"])]
    todo += ["pay"] if plan["pay"] else []
    for number in range(plan["words"]):
        yield f"m{len(returned)}.{number} "
        await asyncio.sleep(plan["pause_s"])
    if len(returned) < len(todo):
        yield Call(todo[len(returned)], {"pause_s": plan["pause_s"]})
    else:
        yield f"[{plan['nonce']}] done."


async def _tool(ctx: ToolContext[Any], name: str, pause_s: float) -> str:
    with ledger.execution(ctx.context, ctx.tool_call_id, name):
        await asyncio.sleep(pause_s)
    return name


@function_tool
async def book(ctx: ToolContext[Any], pause_s: float) -> str:
    """Book."""
    return await _tool(ctx, "book", pause_s)


@function_tool
async def stamp(ctx: ToolContext[Any], pause_s: float) -> str:
    """Stamp."""
    return await _tool(ctx, "stamp", pause_s)


@function_tool
def file(ctx: ToolContext[Any], pause_s: float) -> str:
    """File, in a thread."""
    with ledger.execution(ctx.context, ctx.tool_call_id, "file"):
        time.sleep(pause_s)
    return "file"


@function_tool
async def pay(ctx: ToolContext[Any], pause_s: float) -> str:
    """Pay."""
    return await _tool(ctx, "pay", pause_s)


model_agent: Agent[Any] = Agent(
    name="model", model=FunctionModel(speak, model="faults"), tools=[book, stamp, file, pay]
)


def _run_id(caller: Any, run: Any) -> str:
    return str(run.id)


agents = [landline.agent(model_agent, name="model", tools=POLICIES, context=_run_id)]
