"""The example's agents of every framework, and a plain one that says what the others' model says, in small pieces."""

import runpy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import landline

globals().update(
    {
        name: value
        for name, value in runpy.run_path(
            str(Path(__file__).parents[2] / "examples" / "all_frameworks.py")
        ).items()
        if not name.startswith("_")
    }
)

SAID = {
    "leak": "My word is top-secret, you know. And more of it.",
    "mail": "Write to joe@example.com or call +49 170 1234567. Bye.",
}


async def _speaks(run: Any) -> AsyncIterator[str]:
    said = next((text for word, text in SAID.items() if word in run.input), "Nothing.")
    for at in range(0, len(said), 3):
        yield said[at : at + 3]


speaks = landline.agent(_speaks, name="speaks")
