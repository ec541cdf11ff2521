"""The agents the end-to-end tests are served: plain functions whose message says what they do, as JSON."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import landline
from landline.adapters.plain import PlainRun

POLICIES = {"erase": landline.tool(approval=True)}


async def echo(run: PlainRun) -> str:
    """Say the message back."""
    return run.input


async def words(run: PlainRun) -> None:
    """Say {words} words of {size} bytes, {pause_s} apart, with a step after every {step_every}; tell the true tail."""
    plan: dict[str, Any] = {"words": 10, "size": 4, "pause_s": 0.0, "step_every": 0, **json.loads(run.input)}
    for number in range(plan["words"]):
        await run.text(f"{number} ".ljust(plan["size"], "."))
        if plan["pause_s"] or number % 16 == 0:
            await asyncio.sleep(plan["pause_s"])
        if plan["step_every"] and number % plan["step_every"] == 0:
            await run.step("count", _count, number, idempotent=True)


async def _count(number: int) -> int:
    return number


async def eraser(run: PlainRun) -> str:
    """Erase what the message names, if a human agrees."""
    await run.text("Let me see. ")
    erased = await run.tool("erase", _erase, name=run.input)
    return f"Let me see. {erased}"


async def _erase(name: str) -> str:
    return f"Erased {name}."


async def hold(run: PlainRun) -> None:
    """Say a word and wait to be cancelled."""
    await run.text("waiting")
    await asyncio.Event().wait()


async def collector(_: PlainRun) -> str:
    """Tell after how many new objects the garbage collector looks, and whether it leaves alone what was there first."""
    return f"{gc.get_threshold()[0]} {gc.get_freeze_count() > 0}"


async def listener(run: PlainRun) -> None:
    """Say what it is told meanwhile, until it is told to stop."""
    heard: list[str] = []
    while "stop" not in heard:
        for text in await run.inputs():
            heard.append(text)
            await run.text(f"[{text}]")
        await asyncio.sleep(0.02)


agents = [
    landline.agent(echo, name="echo"),
    landline.agent(words, name="words"),
    landline.agent(eraser, name="eraser", tools=POLICIES),
    landline.agent(hold, name="hold"),
    landline.agent(listener, name="listener"),
    landline.agent(collector, name="collector"),
]
