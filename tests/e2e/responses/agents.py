"""The agents that tests of the Responses wire are served: plain functions; words in the user's text say what they do."""

from __future__ import annotations

import asyncio
from typing import Any

import landline
from landline.adapters.plain import PlainRun
from landline.model.events import UsageReported


async def model(run: PlainRun) -> Any:
    """Answer as a model would that has the client's tools."""
    said = run.input
    if "think" in said:
        await run.reasoning("Let me ")
        await run.reasoning("think.")
    for word, do in _WORDS.items():
        if word in said:
            return await do(run)
    calls = [run.mcp(tool.name, location="Rome") for tool in run.mcp_tools]
    if calls:
        results = [await call for call in calls]  # one after the other: two responses that wait
        return "The tools say " + " and ".join(str(result) for result in results) + "."
    for piece in ("You said: ", said[:3], said[3:]):
        await run.text(piece)
        await asyncio.sleep(0)
    await run.emit(UsageReported(input_tokens=3, output_tokens=4, total_tokens=7))
    return None


async def _fail(run: PlainRun) -> None:
    await run.text("Well, ")
    raise RuntimeError("secret")


async def _wait(run: PlainRun) -> None:
    await run.text("waiting")
    await asyncio.Event().wait()


async def _slow(run: PlainRun) -> None:
    for number in range(20):
        await run.text(f"{number} ")
        await asyncio.sleep(0.05)


async def _history(run: PlainRun) -> str:
    return " | ".join(f"{message.role}: {message.content}" for message in run.history) or "nothing"


async def _approve(run: PlainRun) -> str:
    return str(await run.tool("erase", _erase, name="milk"))


async def _look(run: PlainRun) -> str:
    return f"It is {await run.tool('look_up', _look_up, what='milk')}."


async def _name(run: PlainRun) -> str:
    return f"Hello {await run.ask('What is your name?')}."


async def _json(run: PlainRun) -> dict[str, Any]:
    return {"city": "Rome", "degrees": 21}


_WORDS = {
    "fail": _fail, "wait": _wait, "slow": _slow, "history": _history, "approve": _approve, "look up": _look,
    "name me": _name, "json": _json,
}  # fmt: skip


async def _erase(name: str) -> str:
    return f"Erased {name}."


async def _look_up(what: str) -> str:
    return f"plenty of {what}"


agents = [
    landline.agent(model, name="model", tools={"erase": landline.tool(approval=True)}),
    landline.agent(model, name="other"),
]
