"""A poet to serve: `landline serve examples/haiku_adapter/poets.py`."""

from collections.abc import AsyncGenerator
from pathlib import Path

import haiku

import landline


def keep(poem: str) -> str:
    """Keep a poem in a book."""
    with Path("poems.txt").open("a", encoding="utf-8") as book:
        book.write(f"{poem}\n")
    return f"kept {poem!r}"


async def write(asked: haiku.Asked) -> AsyncGenerator[str]:
    """Answer with a poem and keep it, if the reader agrees."""
    for line in ("An old silent line\n", f"{asked.text} jumps into the line\n", "Splash! It is silent"):
        yield line
    try:
        kept = await asked.use("keep", poem=asked.text)
    except haiku.ToolFailed as failed:
        kept = str(failed)
    yield f"({kept})"


basho = landline.agent(
    haiku.Poet("basho", write, {"keep": keep}),
    name="basho",
    description="Writes a poem about what you say.",
    starters=("A frog",),
    tools={"keep": landline.tool(approval=True)},
)
