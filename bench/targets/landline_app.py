"""The same agent for Landline, which finds it here by itself, one that fills a log, and one that says nothing.

BENCH_FRAMEWORK names the framework.
"""

import asyncio
import os
from importlib import import_module
from typing import Any

import landline

__all__ = ["agent", "chatter", "silent"]

agent: Any = import_module(f"bench.targets.agents.{os.environ['BENCH_FRAMEWORK']}").agent


async def _chatter(run: Any) -> str:
    """Emit as many events as the input says."""
    for number in range(int(run.input)):
        await run.emit("tick", {"number": number, "text": "as long as the token of a model"})
    return "done"


async def _silent(run: Any) -> str:
    """Say nothing until somebody stops it: its readers have nothing to read."""
    await asyncio.Event().wait()
    return ""


chatter = landline.agent(_chatter, name="chatter")
silent = landline.agent(_silent, name="silent")
