r"""Expressions of the owner's that cannot take for ever: a small part of the usual language, with its cost known.

Allowed are characters, classes, `.`, the ends of words (`\b`), groups with alternatives, and `?`, `{n}` and `{n,m}` after
one character, class or group without another of them inside. `*`, `+`, references and looking around are refused, so the
longest match is known, which is also what a stream must be held back by, and so is the most ways to try at one place.
"""

import re
from dataclasses import dataclass

__all__ = ["Bounded", "bounded"]

MOST_WAYS = 1_000
"""Ways to try a match at one place: what bounds the time a character costs. An expression for words needs a few."""

LONGEST = 256
"""Characters of the longest match."""

_REPEAT = re.compile(r"\{(\d{1,3})(?:,(\d{1,3}))?\}")
_CLASSES = "dDwWsS"


@dataclass(frozen=True, slots=True)
class Bounded:
    """An expression that was read: `longest` is the length of its longest match."""

    pattern: re.Pattern[str]
    longest: int


@dataclass(slots=True)
class _Size:
    longest: int = 0
    ways: int = 1
    repeats: bool = False


def bounded(source: str) -> Bounded:
    """Read an expression; capital and small letters are the same.

    Raises:
        ValueError: It is no expression, or one that is not allowed here; says what to write instead.
    """
    try:
        compiled = re.compile(source, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"/{source}/ is no regular expression: {error}") from None
    reader = _Reader(source)
    size = reader.alternatives()
    if reader.at < len(source):
        raise ValueError(f"/{source}/: a bracket is closed that was not opened")
    if size.longest > LONGEST:
        raise ValueError(f"/{source}/ may match {size.longest} characters; {LONGEST} are the most")
    if size.ways > MOST_WAYS:
        raise ValueError(f"/{source}/ has {size.ways} ways to match at one place; {MOST_WAYS} are the most")
    if compiled.match(""):
        raise ValueError(f"/{source}/ matches nothing at all, everywhere")
    return Bounded(compiled, size.longest)


class _Reader:
    """Reads from left to right what `re` has accepted, and counts."""

    def __init__(self, source: str) -> None:
        self._source, self.at = source, 0

    def _refuse(self, what: str) -> ValueError:
        return ValueError(f"/{self._source}/: {what}")

    def alternatives(self) -> _Size:
        found = self._sequence()
        while self.at < len(self._source) and self._source[self.at] == "|":
            self.at += 1
            other = self._sequence()
            found.longest = max(found.longest, other.longest)
            found.ways += other.ways
            found.repeats = found.repeats or other.repeats
        return found

    def _sequence(self) -> _Size:
        whole = _Size()
        while self.at < len(self._source) and self._source[self.at] not in "|)":
            item = self._repeated(self._item())
            whole.longest += item.longest
            whole.ways *= item.ways
            whole.repeats = whole.repeats or item.repeats
            if whole.ways > MOST_WAYS * MOST_WAYS:
                break_at = self.at
                raise self._refuse(f"too many ways to match before character {break_at}")
        return whole

    def _item(self) -> _Size:
        char = self._source[self.at]
        self.at += 1
        match char:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case "\\":
                return self._escape()
            case "*" | "+":
                raise self._refuse(f"{char} has no end; write {{1,20}}")
            case "^" | "$":
                return _Size()
            case _:
                return _Size(longest=1)

    def _group(self) -> _Size:
        if self._source.startswith("?:", self.at):
            self.at += 2
        elif self._source.startswith("?", self.at):
            raise self._refuse("groups are written (…) or (?:…)")
        inner = self.alternatives()
        self.at += 1  # the bracket that closes it: `re` has seen that there is one
        return inner

    def _class(self) -> _Size:
        if self._source.startswith("^", self.at):
            self.at += 1
        first = True
        while first or self._source[self.at] != "]":
            first = False
            self.at += 2 if self._source[self.at] == "\\" else 1
        self.at += 1
        return _Size(longest=1)

    def _escape(self) -> _Size:
        char = self._source[self.at]
        self.at += 1
        if char in "bB":
            return _Size()
        if char in _CLASSES or not char.isalnum():
            return _Size(longest=1)
        raise self._refuse(f"\\{char} is not for guards")

    def _repeated(self, item: _Size) -> _Size:
        source = self._source
        if self.at >= len(source):
            return item
        char, least, most = source[self.at], 1, 1
        if char in "*+":
            raise self._refuse(f"{char} has no end; write {{1,20}}")
        if char == "?":
            least, most = 0, 1
            self.at += 1
        elif (repeat := _REPEAT.match(source, self.at)) is not None:
            least = int(repeat[1])
            most = int(repeat[2]) if repeat[2] is not None else least
            self.at = repeat.end()
        elif char == "{":
            raise self._refuse("write {n} or {n,m}; a { of the text is \\{")
        else:
            return item
        if source.startswith(("?", "+"), self.at):
            raise self._refuse("a repeat has no ending of its own")
        if item.repeats and most > 1:
            raise self._refuse("a repeat inside a repeat")
        ways = (most - least + 1) * item.ways**most if item.ways > 1 else most - least + 1
        return _Size(longest=item.longest * most, ways=ways, repeats=True)
