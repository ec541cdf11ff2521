"""The smallest served agent: `landline serve examples/hello.py`."""

from collections.abc import AsyncIterator
from typing import Any

import landline


async def hello(run: Any) -> AsyncIterator[str]:
    """Say back what was said."""
    for word in f"You said: {run.input}".split(" "):
        yield f"{word} "


agent = landline.agent(hello, name="hello", starters=["Good morning"])
