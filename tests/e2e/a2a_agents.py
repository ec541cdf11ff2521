"""The agents that the tests of the A2A face talk to."""

from __future__ import annotations

import asyncio
from typing import Any

import landline
from landline.adapters.plain import PlainRun
from landline.model.messages import FilePart, ImagePart


async def echo(run: PlainRun) -> str:
    """Say the message back, piece by piece, and what was said before."""
    for message in run.history:
        if message.role == "user":
            await run.text(f"Before: {message.content}. ")
    for piece in ("You ", "said: ", run.input):
        await run.text(piece)
        await asyncio.sleep(0.01)
    return ""


async def slow(run: PlainRun) -> None:
    """Count to thirty, slowly."""
    for number in range(30):
        await run.text(f"{number} ")
        await asyncio.sleep(0.03)


async def hold(run: PlainRun) -> None:
    """Say a word and wait to be canceled."""
    await run.text("waiting")
    await asyncio.Event().wait()


async def eraser(run: PlainRun) -> None:
    """Erase what the message names, if a human agrees."""
    await run.text("Let me see. ")
    await run.text(str(await run.tool("erase", _erase, name=run.input)))


async def _erase(name: str) -> str:
    return f"Erased {name}."


async def asks(run: PlainRun) -> str:
    """Ask for a name and a colour."""
    name = await run.ask("Your name?")
    colour = await run.ask("Which colour?", kind="choice", choices=["red", "blue"])
    return f"{name} likes {colour}."


async def place(run: PlainRun) -> dict[str, Any]:
    """Answer with data."""
    await run.output({"city": "Par"})
    return {"city": "Paris", "sights": ["Louvre"]}


async def files(run: PlainRun) -> str:
    """Say which files came, and give the first one back."""
    from landline.model.events import FileAdded

    found: list[str] = []
    for part in run.parts:
        if isinstance(part, (FilePart, ImagePart)):
            name, kind, data = await run.read_file(part.file_id)
            found.append(f"{name} {kind} {len(data)}")
            await run.emit(FileAdded(message_id="", file_id=part.file_id, name=name, media_type=kind))
    return ", ".join(found)


async def broken(run: PlainRun) -> None:
    """Fail."""
    raise ValueError("canary")


agents = [
    landline.agent(echo, name="echo", title="Echo", starters=["Hello"], labels={"a2a": "default"}),
    landline.agent(slow, name="slow"),
    landline.agent(hold, name="hold"),
    landline.agent(eraser, name="eraser", tools={"erase": landline.tool(approval=True)}),
    landline.agent(asks, name="asks"),
    landline.agent(place, name="place"),
    landline.agent(files, name="files"),
    landline.agent(broken, name="broken"),
]
