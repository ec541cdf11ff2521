"""What is served behind the doors: one agent that answers, and one that asks before it does."""

from typing import Any

import landline


async def _talk(run: Any) -> str:
    return f"said {run.input}"


async def _asks(run: Any) -> str:
    allowed = await run.ask("Shall I?", kind="approval", tool="erase", arguments={"what": "all"})
    return "done" if allowed else "left"


talk = landline.agent(_talk, name="talk")
asks = landline.agent(_asks, name="asks")
