"""Agents whose answers are the same each time, one for each thing the AI SDK's wire can say; the message says the rest."""

from __future__ import annotations

import asyncio
from typing import Any

import landline
from landline.adapters.plain import PlainRun
from landline.model.messages import FilePart, ImagePart

__all__ = ["agents"]

WORDS = 12


async def ui_talk(run: PlainRun) -> None:
    """Think, look something up, name a source, and say the message back word by word, `slowly` if it says so."""
    pause_s = 0.15 if "slowly" in run.input else 0.005
    await run.reasoning("I should ")
    await run.reasoning("look it up.")
    await run.text("Let me see. ")
    found = await run.tool("look_up", _look_up, query=run.input)
    await run.emit("mood", {"glad": True})
    await run.source("The book", url="https://example.com/book", quote="as it is written")
    for number in range(WORDS):
        await run.text(f"{found} {number} ")
        await asyncio.sleep(pause_s)


async def _look_up(query: str) -> str:
    return f"({len(query)})"


async def ui_erase(run: PlainRun) -> str:
    """Erase what the message names, if a human agrees."""
    try:
        erased = await run.tool("erase", _erase, name=run.input)
    except Exception as error:  # as an owner would write it: a denial is told, whatever class it has
        return f"Not erased: {error}"
    return f"Done: {erased}"


async def _erase(name: str) -> str:
    return f"erased {name}"


async def ui_client(run: PlainRun) -> str:
    """Call every tool that the client brought, one after the other, and say what they gave."""
    given = [f"{tool.name}={await run.mcp(tool.name, about=run.input)}" for tool in run.mcp_tools]
    return "; ".join(given)


async def ui_ask(run: PlainRun) -> str:
    """Ask for a name and a colour, in words."""
    name = await run.ask("What is your name?")
    colour = await run.ask("Which colour?", kind="choice", choices=["red", "blue"])
    return f"{name} likes {colour}"


async def ui_shape(run: PlainRun) -> dict[str, Any]:
    """Give a structured answer, piece by piece."""
    await run.output({"city": "Rome"})
    return {"city": "Rome", "people": len(run.input)}


async def ui_files(run: PlainRun) -> str:
    """Tell what the message carries."""
    carried = [part for part in run.parts if isinstance(part, FilePart | ImagePart)]
    read = [await run.read_file(part.file_id) for part in carried]
    return f"{run.input}: " + ", ".join(f"{name} {media_type} {len(data)}" for name, media_type, data in read)


async def ui_fail(run: PlainRun) -> str:
    """Say a word and fail."""
    await run.text("Well")
    raise RuntimeError("a secret of the server")


agents = [
    landline.agent(ui_talk, name="ui_talk"),
    landline.agent(ui_erase, name="ui_erase", tools={"erase": landline.tool(approval=True)}),
    landline.agent(ui_client, name="ui_client"),
    landline.agent(ui_ask, name="ui_ask"),
    landline.agent(ui_shape, name="ui_shape"),
    landline.agent(ui_files, name="ui_files"),
    landline.agent(ui_fail, name="ui_fail"),
]
