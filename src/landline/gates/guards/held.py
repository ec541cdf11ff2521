"""Text that is held back until it can be judged: one stream of deltas in, and out what may be told of it.

What guards cannot judge yet (the beginning of a word, a number that may go on) waits. A word is found however it is cut
into deltas, and no part of it is told before.
"""

from dataclasses import dataclass, field

from landline.gates.guards.judge import Judge, Judged

__all__ = ["Cut", "Held"]

GROWTH = 16
"""What is held is judged again when it grew by 1/16, which keeps the work linear in the length of what is held.

Up to 512 characters it is judged with each delta.
"""
ALWAYS = 512


@dataclass(frozen=True, slots=True)
class Cut:
    """A place that was redacted: `at` in the text that was told, `shown` characters there, `said` in the original."""

    at: int
    shown: int
    said: int


@dataclass(slots=True)
class Held:
    """One stream. `before` is what an earlier segment let through of it; `cuts` are the redacted places of all of it."""

    judge: Judge
    before: str = ""
    cuts: list[Cut] = field(default_factory=list[Cut])
    waiting: str = ""
    _told: list[str] = field(default_factory=list[str])
    _length: int = 0
    _context: str = ""
    _looked: int = 0

    def __post_init__(self) -> None:
        self._told, self._length = [self.before], len(self.before)
        self._context = self.before[-self.judge.context :]

    @property
    def told(self) -> str:
        """All that was let through."""
        return "".join(self._told)

    async def more(self, delta: str) -> Judged:
        """Take more text and return what may be told now."""
        self.waiting += delta
        if len(self.waiting) > ALWAYS and len(self.waiting) - self._looked < self._looked // GROWTH:
            return Judged(text="")
        self._looked = len(self.waiting)
        text, start = self._context + self.waiting, len(self._context)
        return await self._let_through(text, start, self.judge.settled(text, start))

    async def rest(self) -> Judged:
        """The stream has ended: return what may be told of what was held back."""
        text, start = self._context + self.waiting, len(self._context)
        return await self._let_through(text, start, len(text))

    async def _let_through(self, text: str, start: int, settled: int) -> Judged:
        judged, reached = await self.judge.reach(text, start, settled)
        if judged.blocked_by is not None:
            self.waiting = ""
            judged.text = ""
            return judged
        at, last = self._length, start
        for cut in judged.cuts:
            at += cut.start - last
            shown = len(cut.label) + 2
            self.cuts.append(Cut(at, shown, cut.end - cut.start))
            at, last = at + shown, cut.end
        self._told.append(judged.text)
        self._length += len(judged.text)
        self._context = text[max(0, reached - self.judge.context) : reached]
        self.waiting = text[reached:]
        self._looked = min(self._looked, len(self.waiting))
        return judged
