"""Text as guards read it: one form for what looks alike, with the way back to the places in the text itself.

Full-width and other compatibility forms become plain letters (NFKC), characters that cannot be seen are left out, any run
of white space is one space. What is split by an invisible character, or written wide, is found all the same.
"""

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Folded", "fold"]

_SPACES = re.compile(r"\s{2,}|[\t\n\r\f\v]")


@dataclass(frozen=True, slots=True)
class Folded:
    """The `text` that is searched, and where each of its characters comes from; `starts` None is one to one."""

    text: str
    length: int
    starts: list[int] | None = None

    def start(self, at: int) -> int:
        """Return the place in the text itself of the character `at`."""
        if self.starts is None:
            return at
        return self.starts[at] if at < len(self.starts) else self.length

    def end(self, at: int) -> int:
        """Return where the character before `at` ends in the text itself: where the next other one begins."""
        if self.starts is None:
            return at
        own = self.starts[at - 1]
        later = bisect_right(self.starts, own, at - 1)
        return self.starts[later] if later < len(self.starts) else self.length

    def at(self, place: int) -> int:
        """Return the first character that comes from `place` of the text itself or later."""
        return place if self.starts is None else bisect_right(self.starts, place - 1)


def fold(text: str, *, case: bool = False) -> Folded:
    """Return `text` as it is searched; with `case` capital and small letters are the same."""
    if text.isascii() and not _SPACES.search(text):
        return Folded(text.lower() if case else text, len(text))
    folded, starts = list[str](), list[int]()
    for start, piece in _pieces(text):
        if piece.isspace():
            shown = " "
        else:
            shown = _shown(piece, case=case)
        if shown == " " and folded and folded[-1] == " ":
            continue
        folded += shown
        starts += [start] * len(shown)
    return Folded("".join(folded), len(text), starts)


def _pieces(text: str) -> list[tuple[int, str]]:
    """Split into characters, each with the marks that change it."""
    pieces: list[tuple[int, str]] = []
    for start, char in enumerate(text):
        if pieces and not char.isascii() and (unicodedata.combining(char) or "\u1160" <= char <= "\u11ff"):
            before, piece = pieces[-1]
            pieces[-1] = (before, piece + char)
        else:
            pieces.append((start, char))
    return pieces


@lru_cache(maxsize=4096)
def _shown(piece: str, *, case: bool) -> str:
    seen = "".join(char for char in piece if unicodedata.category(char) != "Cf" and not _hidden(char))
    seen = unicodedata.normalize("NFKC", seen)
    return unicodedata.normalize("NFKC", seen.casefold()) if case else seen


def _hidden(char: str) -> bool:
    """Tell the characters that are drawn as nothing and are not of the format category."""
    return char in "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0" or "\ufe00" <= char <= "\ufe0f"
