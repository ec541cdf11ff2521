"""The guard `words`: words, phrases and expressions that an owner does not want to be said.

`word` is a whole word, `word*`, `*word` and `*word*` also its compounds, `two words` a phrase, `/…/` an expression (see
`patterns`). Large and small, wide and narrow letters are the same, and so is what has invisible characters in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from landline.gates.guards.folded import Folded, fold
from landline.gates.guards.patterns import Bounded, bounded
from landline.ports.guards import Action, Span, Stage, Verdict

__all__ = ["WordGuard"]

EVERYWHERE: frozenset[Stage] = frozenset({"input", "output", "tool_input", "tool_output"})


@dataclass(frozen=True, slots=True)
class _Entry:
    """One word or phrase; `open_left` and `open_right` tell that a longer word may hold it."""

    text: str
    open_left: bool
    open_right: bool


class WordGuard:
    """Finds the words of a list.

    Raises:
        ValueError: The list is empty, or an entry is not one.
    """

    name = "words"
    stages = EVERYWHERE
    whole = False

    def __init__(self, words: Iterable[str], action: Action = "block") -> None:
        self._action: Action = action
        entries, self._expressions = list[_Entry](), list[Bounded]()
        for word in words:
            if len(word) > 2 and word.startswith("/") and word.endswith("/"):
                self._expressions.append(bounded(fold(word[1:-1]).text))
            else:
                entries.append(_entry(word))
        if not entries and not self._expressions:
            raise ValueError("the guard `words` needs words: guard_words lists them")
        self._by_first: dict[str, list[_Entry]] = {}
        for entry in entries:
            self._by_first.setdefault(entry.text[0], []).append(entry)
        self._beginnings = {entry.text[:end] for entry in entries for end in range(1, len(entry.text) + 1)}
        self._longest = max((len(entry.text) for entry in entries), default=0)
        self._widest = max((one.longest for one in self._expressions), default=0)

    def settled(self, text: str, start: int) -> int:
        """Return where the last characters that may be the beginning of a word begin."""
        folded = fold(text, case=True)
        size = len(folded.text)
        # One more than the longest: whether a word ends here shows with what comes next.
        free = max(0, size - self._widest - 1) if self._expressions else size
        for at in range(max(0, size - self._longest), size):
            if folded.text[at:] in self._beginnings:
                free = min(free, at)
                break
        return max(start, min(folded.start(free), len(text)))

    async def check(self, text: str, stage: Stage, start: int = 0) -> Verdict:
        """Judge `text`; see the port."""
        folded = fold(text, case=True)
        spans = list(self._words(folded, folded.at(start)))
        if self._expressions:
            plain = fold(text)
            for one in self._expressions:
                spans += [
                    Span(start=plain.start(found.start()), end=plain.end(found.end()), label="word")
                    for found in one.pattern.finditer(plain.text, plain.at(start))
                    if found.end() > found.start()
                ]
        return Verdict(action=self._action, spans=spans) if spans else Verdict()

    def _words(self, folded: Folded, start: int) -> Iterator[Span]:
        text = folded.text
        for at in range(start, len(text)):
            for entry in self._by_first.get(text[at], ()):
                end = at + len(entry.text)
                if not text.startswith(entry.text, at):
                    continue
                if not entry.open_left and at and text[at - 1].isalnum():
                    continue
                if not entry.open_right and end < len(text) and text[end].isalnum():
                    continue
                yield Span(start=folded.start(at), end=folded.end(end), label="word")


def _entry(word: str) -> _Entry:
    core = fold(word.strip().removeprefix("*").removesuffix("*"), case=True).text.strip()
    if not core or "*" in core:
        raise ValueError(f"{word!r} is no word; a * stands at its beginning or end only")
    stripped = word.strip()
    return _Entry(core, stripped.startswith("*"), stripped.endswith("*"))


def words_of(lines: Sequence[str]) -> list[str]:
    """Return the entries of a file: one a line, without empty ones and what begins with `#`."""
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
