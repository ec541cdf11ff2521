"""Agents that say one word in pieces, cut where the input says; one whose word is blocked, one whose word is redacted."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import landline

WORD = "zqxjvkw"
BEFORE, AFTER = "My word is ", ", and that is all."


def pieces(cut: int) -> list[str]:
    """Return the answer: the word in two pieces, or letter by letter without a place to cut."""
    word = [WORD[:cut], WORD[cut:]] if cut else list(WORD)
    return [BEFORE, *word, AFTER]


async def _says(run: Any) -> AsyncIterator[str]:
    found = re.search(r"cut (\d)", run.input)
    assert found is not None
    for piece in pieces(int(found[1])):
        yield piece


blocks = landline.agent(_says, name="blocks", guards=["words@output:block"])
redacts = landline.agent(_says, name="redacts", guards=["words@output:redact"])
refuses = landline.agent(_says, name="refuses", guards=["words@input:block"])
