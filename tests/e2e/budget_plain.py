"""A plain function that calls its tool for ever, slowly enough to be killed in between."""

from __future__ import annotations

import asyncio

import landline
from landline.adapters.plain import PlainRun


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    await asyncio.sleep(0.02)
    return a + b


async def loop(run: PlainRun) -> None:
    """Call a tool for ever."""
    while True:
        await run.tool("add", add, a=2, b=3)


agents = [landline.agent(loop, name="loop", tools={"add": landline.tool(idempotent=True)})]
