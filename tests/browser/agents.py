"""What the pages are tested with: an agent that speaks slowly, and one whose every word is hostile."""

from __future__ import annotations

import asyncio
from typing import Any

import landline
from landline.adapters.plain import PlainRun

HOSTILE = (
    '<img src=x onerror="window.hacked=1"> <script>window.hacked=1</script> ![a](http://evil.invalid/a.png) '
    '<svg onload="window.hacked=1"></svg> <iframe src="javascript:window.hacked=1"></iframe> '
    "[go](javascript:window.hacked=1) <style>body{display:none}</style>\u202e"
)
WORDS = 60


async def slow(run: PlainRun) -> None:
    """Count to sixty, a word at a time, with a step now and then."""
    for number in range(WORDS):
        if not run.replaying:
            await asyncio.sleep(0.05)
        await run.text(f"word{number} ")


async def hostile(run: PlainRun) -> str:
    """Put markup wherever a model or a tool can put words."""
    await run.reasoning(HOSTILE)
    await run.text(HOSTILE)
    await run.tool("look<img src=x onerror=window.hacked=1>", _look, query=HOSTILE)
    await run.source(HOSTILE, url="http://evil.invalid/source")
    await run.ask(HOSTILE, kind="choice", choices=[HOSTILE, "other"])
    await run.output({HOSTILE: HOSTILE})
    return HOSTILE


async def _look(query: str) -> str:
    return query


async def failing(run: PlainRun) -> None:
    """Fail after a few words."""
    await run.text("I begin and ")
    raise RuntimeError("secret internals")


async def wide(run: PlainRun) -> None:
    """Say what has no place to break a line."""
    await run.text("x" * 2_000)
    await run.tool("wide" * 20, _wide, text="y" * 2_000)


async def _wide(text: str) -> dict[str, Any]:
    return {"z" * 300: text}


agents = [
    landline.agent(slow, name="slow"),
    landline.agent(hostile, name="hostile", title=HOSTILE, starters=[HOSTILE]),
    landline.agent(failing, name="failing"),
    landline.agent(wide, name="wide"),
]
