"""The agents that the kill run serves. Every tool writes both its ends to a ledger that the server knows nothing of.

The message is a plan in JSON: {nonce, steps, words, pause_s, ask, pay}; the same plan always says the same text.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
import uuid
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

import landline
from landline.adapters.plain import PlainRun
from landline.ports.adapter import ToolRaised
from landline.testing.kill import Ledger

ledger = Ledger(Path(os.environ.get("FAULTS_LEDGER", "ledger.jsonl")))

IDEMPOTENT = ("stamp",)
"""Tools and steps that may run again when nobody knows whether they did."""

POLICIES = {"pay": landline.tool(approval=True), "stamp": landline.tool(idempotent=True)}


async def perform(run: PlainRun, name: str, pause_s: float) -> dict[str, Any]:
    with ledger.execution(run.id, str(run.call_id), name) as ordinal:
        await asyncio.sleep(pause_s)
    return {"name": name, "ordinal": ordinal}


def perform_in_a_thread(run: PlainRun, name: str, pause_s: float) -> dict[str, Any]:
    with ledger.execution(run.id, str(run.call_id), name) as ordinal:
        time.sleep(pause_s)
    return {"name": name, "ordinal": ordinal}


async def plain(run: PlainRun) -> None:
    """Stream words, take steps, pay if a human agrees, and ask a question if the plan says so."""
    plan = json.loads(run.input)
    pause_s = float(plan["pause_s"])
    await run.text(f"[{plan['nonce']}] ")
    for number in range(plan["steps"]):
        await _words(run, plan["words"], pause_s)
        name = ("book", "stamp", "file")[number % 3]
        fn = perform_in_a_thread if name == "file" else perform
        await _tolerant(partial(run.step, name, fn, run, name, pause_s, idempotent=name in IDEMPOTENT))
    if plan["ask"]:
        colour = await run.ask("Which colour?", kind="choice", choices=["red", "blue"])
        await run.text(f"{colour} ")
    if plan["pay"]:
        await _tolerant(partial(run.tool, "pay", partial(_pay, run, pause_s), amount=len(plan["nonce"])))
    await run.text("done.")


async def _words(run: PlainRun, count: int, pause_s: float) -> None:
    for number in range(count):
        await run.text(f"w{number} ")
        await asyncio.sleep(pause_s)


async def _pay(run: PlainRun, pause_s: float, amount: int) -> dict[str, Any]:
    return {**await perform(run, "pay", pause_s), "amount": amount}


async def _tolerant(call: Any) -> None:
    """A human may deny a call, or decide that one of unknown outcome does not run again: the turn goes on."""
    with contextlib.suppress(ToolRaised):
        await call()


# -- Pydantic AI


async def _speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """A model without a model: which tool comes next follows from the tools that have returned in this turn."""
    plan, returned = _so_far(messages)
    todo = [("book", "stamp", "file")[number % 3] for number in range(plan["steps"])]
    todo += ["pay"] if plan["pay"] else []
    for number in range(plan["words"]):
        yield f"m{len(returned)}.{number} "
        await asyncio.sleep(plan["pause_s"])
    if len(returned) < len(todo):
        name = todo[len(returned)]
        arguments = {"pause_s": plan["pause_s"]}
        yield {0: DeltaToolCall(name, json.dumps(arguments), tool_call_id=f"call_{uuid.uuid4().hex[:24]}")}
    else:
        yield f"[{plan['nonce']}] done."


def _so_far(messages: list[ModelMessage]) -> tuple[dict[str, Any], list[str]]:
    """Return the plan of the newest user message and the tools that returned since."""
    plan: dict[str, Any] = {}
    returned: list[str] = []
    for message in messages:
        for part in message.parts:
            if isinstance(part, UserPromptPart) and isinstance(part.content, str):
                plan, returned = json.loads(part.content), []
            elif isinstance(part, ToolReturnPart):
                returned.append(part.tool_name)
    return plan, returned


model_agent = Agent(FunctionModel(stream_function=_speak, model_name="faults"), deps_type=str)


async def _tool(ctx: RunContext[str], name: str, pause_s: float) -> str:
    with ledger.execution(ctx.deps, str(ctx.tool_call_id), name):
        await asyncio.sleep(pause_s)
    return name


@model_agent.tool
async def book(ctx: RunContext[str], pause_s: float) -> str:
    """Book."""
    return await _tool(ctx, "book", pause_s)


@model_agent.tool
async def stamp(ctx: RunContext[str], pause_s: float) -> str:
    """Stamp."""
    return await _tool(ctx, "stamp", pause_s)


@model_agent.tool
def file(ctx: RunContext[str], pause_s: float) -> str:
    """File, in a thread."""
    with ledger.execution(ctx.deps, str(ctx.tool_call_id), "file"):
        time.sleep(pause_s)
    return "file"


@model_agent.tool
async def pay(ctx: RunContext[str], pause_s: float) -> str:
    """Pay."""
    return await _tool(ctx, "pay", pause_s)


def _run_id(caller: Any, run: Any) -> str:
    return str(run.id)


agents = [
    landline.agent(plain, name="plain", tools=POLICIES),
    landline.agent(model_agent, name="model", tools=POLICIES, context=_run_id),
]
