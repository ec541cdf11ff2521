"""What the guards of an agent say of a text together: asked one after the other, and one answer made of theirs."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from landline.model.errors import LandlineError, Unavailable
from landline.model.events import GuardTripped
from landline.ports.guards import Guard, Span, Stage, Verdict

__all__ = ["UNAVAILABLE", "Judge", "Judged", "Rule", "Words"]

logger = logging.getLogger(__name__)

NEAR, WIDE = 64, 2_000
"""Characters before a piece of a stream that guards see: where a word begins shows in one, what a sentence means does not."""

UNAVAILABLE = {"unavailable": True}
"""What a flag says of a guard that could not judge."""

_LEAST_NUMBER = 10**6
"""Numbers in JSON from here on are looked at as text: card and telephone numbers have at least seven digits."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A guard, and the stages at which it is asked."""

    guard: Guard
    stages: frozenset[Stage]


@dataclass(slots=True)
class Judged:
    """A text as it may go on, with what guards said of it. `cuts` are the places that were redacted, in the text judged."""

    text: str
    tripped: list[GuardTripped] = field(default_factory=list[GuardTripped])
    blocked_by: str | None = None
    cuts: Sequence[Span] = ()


@dataclass(slots=True)
class Words:
    """JSON data as it may go on, with what guards said of the texts in it."""

    data: Any
    changed: bool = False
    tripped: list[GuardTripped] = field(default_factory=list[GuardTripped])
    blocked_by: str | None = None


class Judge:
    """Asks the guards of one stage. With `fail_open` text passes that a guard cannot judge."""

    def __init__(
        self, rules: Iterable[Rule], stage: Stage, *, fail_open: bool = False, timeout_s: float = 10.0
    ) -> None:
        self._guards = [rule.guard for rule in rules if stage in rule.stages]
        self._stage: Stage = stage
        self._fail_open, self._timeout_s = fail_open, timeout_s
        self.context = WIDE if self.whole else NEAR

    def __bool__(self) -> bool:
        return bool(self._guards)

    def apart(self) -> "list[Judge]":
        """Return judges of the same guards: those that find places together, each that judges text as a whole by itself."""
        local = [guard for guard in self._guards if not guard.whole]
        groups = [local, *([guard] for guard in self._guards if guard.whole)]
        stages: frozenset[Stage] = frozenset({self._stage})
        return [
            Judge(
                [Rule(guard, stages) for guard in group],
                self._stage,
                fail_open=self._fail_open,
                timeout_s=self._timeout_s,
            )
            for group in groups
            if group
        ]

    @property
    def whole(self) -> bool:
        """Whether one of its guards judges text as a whole."""
        return any(guard.whole for guard in self._guards)

    def settled(self, text: str, start: int) -> int:
        """Return up to where all guards can judge `text`, of which more will come."""
        return min((guard.settled(text, start) for guard in self._guards), default=len(text))

    async def text(self, text: str) -> Judged:
        """Judge a text that is whole.

        Raises:
            Unavailable: A guard cannot judge now (`guard_unavailable`).
        """
        return (await self.reach(text, 0, len(text)))[0]

    async def reach(self, text: str, start: int, settled: int) -> tuple[Judged, int]:
        """Judge `text` from `start` to `settled`, or to where something begins that lies across it.

        Returns:
            What may go on in its place, and up to where that goes; `cuts` are places in `text`.
        """
        if settled <= start:
            return Judged(text=""), start
        found = [(guard, await self._ask(guard, text, start)) for guard in self._guards if not guard.whole]
        spans = [span for _, verdict in found for span in verdict.spans]
        moved = True
        while moved:  # what lies across the end is left for later, and so is what that reaches into
            crossing = [span.start for span in spans if span.start < settled < span.end]
            moved = bool(crossing)
            settled = min(crossing, default=settled)
        settled = max(settled, start)
        if settled > start:
            found += [
                (guard, await self._ask(guard, text[:settled], start))
                for guard in self._guards
                if guard.whole
            ]
        return self._judged(text, start, settled, found), settled

    async def across(self, before: str, text: str) -> Judged:
        """Judge what begins in `before`, which was told, and ends in `text`: only what guards block there counts."""
        at, both = len(before), before + text
        found: list[tuple[Guard, Verdict]] = []
        for guard in self._guards:
            verdict = await self._ask(guard, both, 0) if not guard.whole else Verdict()
            spans = [replace(span, start=at) for span in verdict.spans if span.start < at < span.end]
            if verdict.action == "block" and spans:
                found.append((guard, replace(verdict, spans=spans)))
        return self._judged(both, at, len(both), found)

    def _judged(self, text: str, start: int, settled: int, found: Sequence[tuple[Guard, Verdict]]) -> Judged:
        judged, cuts = Judged(text=""), list[Span]()
        for guard, verdict in found:
            spans = [span for span in verdict.spans if start <= span.start and span.end <= settled]
            if verdict.action == "allow" or (verdict.spans and not spans):
                continue
            judged.tripped.append(self._tripped(guard, verdict, spans))
            if verdict.action == "block":
                judged.blocked_by = judged.blocked_by or guard.name
            elif verdict.action == "redact":
                cuts += spans or [Span(start=start, end=settled, label="withheld")]
        judged.cuts = _merged(cuts)
        judged.text = _without(text, start, settled, judged.cuts)
        return judged

    def _tripped(self, guard: Guard, verdict: Verdict, spans: Sequence[Span]) -> GuardTripped:
        info: Any = verdict.info
        if spans:
            counted = {"found": dict(Counter(span.label for span in spans))}
            info = {**counted, **cast("Mapping[str, Any]", info)} if isinstance(info, Mapping) else counted
        return GuardTripped(guard=guard.name, stage=self._stage, action=verdict.action, info=info)

    async def _ask(self, guard: Guard, text: str, start: int) -> Verdict:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await guard.check(text, self._stage, start)
        except Exception as error:  # a guard is anybody's code, or somebody's server
            logger.warning("the guard %s could not judge: %s", guard.name, type(error).__name__)
            if not isinstance(error, (LandlineError, TimeoutError)):
                logger.debug("the guard %s raised", guard.name, exc_info=error)
            if self._fail_open:
                return Verdict(action="flag", info=UNAVAILABLE)
            raise Unavailable(
                f"The guard {guard.name} cannot judge now, and nothing passes without it.",
                code="guard_unavailable",
                retry_after_s=5,
            ) from error

    async def data(self, data: Any) -> Words:
        """Judge the texts in JSON data, each by itself: names of fields too, and numbers as long as a card's.

        Raises:
            Unavailable: A guard cannot judge now (`guard_unavailable`).
        """
        words = Words(data=data)
        words.data = await self._walk(data, words)
        return words

    async def _walk(self, data: Any, words: Words) -> Any:
        if isinstance(data, str):
            return await self._leaf(data, words)
        if isinstance(data, (list, tuple)):
            return [await self._walk(item, words) for item in cast("list[Any]", data)]
        if isinstance(data, Mapping):
            fields: dict[str, Any] = {}
            for name, item in cast("Mapping[str, Any]", data).items():
                shown = await self._leaf(name, words)
                while shown in fields:
                    shown += "_"
                fields[shown] = await self._walk(item, words)
            return fields
        if isinstance(data, (int, float)) and not isinstance(data, bool) and abs(data) >= _LEAST_NUMBER:
            shown = f"{data:.0f}" if isinstance(data, float) and data.is_integer() else str(data)
            seen = await self._leaf(shown, words)
            return data if seen == shown else seen
        return data

    async def _leaf(self, text: str, words: Words) -> str:
        if not text:
            return text
        judged = await self.text(text)
        words.tripped += judged.tripped
        words.blocked_by = words.blocked_by or judged.blocked_by
        words.changed = words.changed or bool(judged.cuts)
        return judged.text


def _merged(cuts: Iterable[Span]) -> list[Span]:
    """Return the places in order, those that touch each other's text as one; the first one's label stays."""
    merged: list[Span] = []
    for cut in sorted(cuts, key=lambda span: (span.start, -span.end)):
        if merged and cut.start < merged[-1].end:
            last = merged[-1]
            merged[-1] = Span(start=last.start, end=max(last.end, cut.end), label=last.label)
        else:
            merged.append(cut)
    return merged


def _without(text: str, start: int, settled: int, cuts: Sequence[Span]) -> str:
    shown, at = list[str](), start
    for cut in cuts:
        shown += (text[at : cut.start], f"[{cut.label}]")
        at = cut.end
    shown.append(text[at:settled])
    return "".join(shown)
