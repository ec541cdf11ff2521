"""The agent that a chain of servers serves: the last one does the work, each one before it calls the next (D7)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import landline
from landline.adapters.plain import PlainRun

NEXT = os.environ.get("CHAIN_NEXT")
LEDGER = Path(os.environ.get("CHAIN_LEDGER", "ledger.txt"))


async def work(run: PlainRun) -> None:
    """Say words, look something up, erase it if a human agrees, say words again."""
    for number in range(15):
        await run.text(f"a{number} ")
        await asyncio.sleep(0.03)
    await run.step("look", _done, "look")
    erased = await run.tool("erase", _erase, name=run.input)
    for number in range(15):
        await run.text(f"b{number} ")
        await asyncio.sleep(0.03)
    await run.text(str(erased))


async def _done(what: str) -> str:
    with LEDGER.open("a") as ledger:  # noqa: ASYNC230 - one short line, and the test reads it from outside
        ledger.write(f"{what}\n")
    return what


async def _erase(name: str) -> str:
    await _done("erase")
    return f"Erased {name}."


if NEXT is None:
    agents = [landline.agent(work, name="work", tools={"erase": landline.tool(approval=True)})]
else:
    agents = [landline.agent(landline.remote(NEXT, agent="work"), name="work")]
