"""Agents without a model that do what the clients of AG-UI look for."""

from __future__ import annotations

import asyncio

import landline
from landline.adapters.plain import PlainRun
from landline.model.messages import FilePart, ImagePart


async def talk(run: PlainRun) -> None:
    """Think, and say the message back word by word, with how much was said before."""
    await run.reasoning("They said ")
    await run.reasoning("something. ")
    for word in f"{len(run.history)} before: {run.input}".split():
        await run.text(f"{word} ")
        await asyncio.sleep(0.01)


async def painter(run: PlainRun) -> str:
    """Let the client paint, twice, and tell what it said."""
    first = await run.mcp("paint", color="red")
    second = await run.mcp("paint", color="blue")
    return f"It is {first} and {second}."


async def eraser(run: PlainRun) -> str:
    """Erase what the message names, if a human agrees."""
    await run.text("Let me see. ")
    await run.end_message()
    return await run.tool("erase", _erase, name=run.input)


async def _erase(name: str) -> str:
    return f"Erased {name}."


async def asker(run: PlainRun) -> str:
    """Ask for a name and a color."""
    name = await run.ask("What is your name?")
    color = await run.ask("Which color?", kind="choice", choices=["red", "blue"])
    return f"{name} likes {color}."


async def grower(run: PlainRun) -> dict[str, object]:
    """Answer with an object that grows."""
    await run.output({"city": "Bern"})
    await run.output({"city": "Bern", "people": 146_000})
    return {"city": "Bern", "people": 146_000}


async def busy(run: PlainRun) -> str:
    """Tell of everything beside text: progress, a source, an event of its own."""
    await run.text("Look. ")
    await run.source("The book", url="https://example.org/book")
    await run.emit("weather", {"sky": "blue"})
    await run.end_message()
    return await run.tool("count", _count, upto=2)


async def _count(upto: int) -> str:
    return str(list(range(upto)))


async def slow(run: PlainRun) -> None:
    """Say a word every moment, for a minute."""
    for number in range(600):
        await run.text(f"{number} ")
        await asyncio.sleep(0.1)


async def broken(run: PlainRun) -> None:
    """Say something and fail."""
    await run.text("So far ")
    raise RuntimeError("a secret")


async def reader(run: PlainRun) -> str:
    """Tell of what came along."""
    named = [part.file_id for part in run.parts if isinstance(part, FilePart | ImagePart)]
    found = [await run.read_file(file_id) for file_id in named]
    return f"{run.input} {[(kind, len(data)) for _, kind, data in found]}"


agents = [
    landline.agent(talk, name="talk"),
    landline.agent(painter, name="painter"),
    landline.agent(eraser, name="eraser", tools={"erase": landline.tool(approval=True)}),
    landline.agent(asker, name="asker"),
    landline.agent(grower, name="grower"),
    landline.agent(busy, name="busy"),
    landline.agent(slow, name="slow"),
    landline.agent(broken, name="broken"),
    landline.agent(reader, name="reader"),
]
