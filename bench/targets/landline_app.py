"""The same agent for Landline, which finds it here by itself, and one that fills a log with events for the replay."""

from typing import Any

import landline
from bench.targets.agent import agent

__all__ = ["agent", "chatter"]


async def _chatter(run: Any) -> str:
    """Emit as many events as the input says."""
    for number in range(int(run.input)):
        await run.emit("tick", {"number": number, "text": "as long as the token of a model"})
    return "done"


chatter = landline.agent(_chatter, name="chatter")
