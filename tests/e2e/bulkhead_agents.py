"""Agents that hold their place until a file of the name in the message is there, of two upstreams."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import landline
from landline.adapters.plain import PlainRun

FOLDER = Path(os.environ.get("BULKHEAD_FOLDER", "."))


async def hold(run: PlainRun) -> str:
    """Say that it began, and go on until it may end."""
    await run.text("began ")
    while not (FOLDER / run.input).exists():  # noqa: ASYNC110 - another process makes the file
        await asyncio.sleep(0.01)
    return "began done"


agents = [
    landline.agent(hold, name="hold", upstream="openai"),
    landline.agent(hold, name="elsewhere", upstream="local"),
]
