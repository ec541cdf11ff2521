"""From what an agent says to what a telegraph can send: a pure function."""

import re

__all__ = ["telegram"]


def telegram(text: str) -> str:
    """Return `text` in capitals, with STOP for the end of a sentence and nothing that costs extra."""
    sentences = (re.sub(r"[^\w\s]", "", part) for part in re.split(r"[.!?\n]+", text))
    words = [" ".join(sentence.upper().split()) for sentence in sentences]
    return "".join(f"{sentence} STOP\n" for sentence in words if sentence)
