"""Counting in this process: windows that slide, and places that are held.

A window remembers when each thing was counted, so that in no span of its length, wherever it begins, there is more than
its rule says. What a rule remembers is bounded: of more partitions than `MOST_PARTITIONS` the one that was used longest
ago is forgotten, each rule for itself, so that a flood of addresses pushes out addresses only.
"""

import math
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from landline.gates.limits.rules import Rule
from landline.model.limits import LimitState
from landline.ports.clock import Clock

__all__ = ["AT_ONCE_RETRY_S", "MOST_PARTITIONS", "LocalLimits", "Verdict", "Wanted"]

MOST_PARTITIONS: Final = 50_000
"""About 300 bytes each: 15 MB a rule at the most, and 8 bytes for everything counted within its window."""

AT_ONCE_RETRY_S: Final = 1
"""Nobody knows when something that goes on will end."""

Wanted = tuple[Rule, str]
"""A rule, and whose doings it adds up here."""


class Verdict(NamedTuple):
    """Where every rule stands now; `refused` are those that are full, and then nothing was counted."""

    states: Sequence[LimitState]
    refused: Sequence[LimitState] = ()


class LocalLimits:
    """The limits of one process."""

    def __init__(self, clock: Clock, *, most: int = MOST_PARTITIONS) -> None:
        self._clock, self._most = clock, most
        self._windows: dict[str, OrderedDict[str, array[float]]] = {}
        self._places: dict[tuple[str, str], set[str]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._windows.values())) + len(self._places)

    def count(self, wanted: Sequence[Wanted]) -> Verdict:
        """Count one thing under every rule, or under none."""
        now = self._clock.steady()
        found: list[array[float]] = []
        full: list[LimitState] = []
        for rule, whose in wanted:
            entries = self._entries(rule, whose, now)
            found.append(entries)
            if len(entries) >= rule.count:
                full.append(_state(rule, entries, now))
        if full:
            return Verdict(
                [_state(rule, entries, now) for (rule, _), entries in zip(wanted, found, strict=True)], full
            )
        for entries in found:
            entries.append(now)
        return Verdict([_state(rule, entries, now) for (rule, _), entries in zip(wanted, found, strict=True)])

    def _entries(self, rule: Rule, whose: str, now: float) -> "array[float]":
        """Return what is counted within the window, oldest first."""
        table = self._windows.get(rule.name)
        if table is None:
            table = self._windows[rule.name] = OrderedDict()
        before = now - (rule.window_s or 0)
        entries = table.get(whose)
        if entries is None:
            entries = table[whose] = array("d")
            self._forget(table, whose, before)
        else:
            table.move_to_end(whose)
            if entries and entries[0] <= before:
                del entries[: bisect_right(entries, before)]
        return entries

    def _forget(self, table: "OrderedDict[str, array[float]]", new: str, before: float) -> None:
        """Drop the two that were used longest ago, where nothing of them counts any more or there are too many."""
        for _ in range(2):
            oldest = next(iter(table))
            last = table[oldest]
            if oldest == new or (len(table) <= self._most and last and last[-1] > before):
                return
            del table[oldest]

    def take(self, wanted: Sequence[Wanted], token: str) -> Verdict:
        """Hold a place under every rule, or under none; one that `token` holds already is its own."""
        held = [self._places.get((rule.name, whose), ()) for rule, whose in wanted]
        full = [
            LimitState(rule.name, rule.count, None, 0, AT_ONCE_RETRY_S)
            for (rule, _), places in zip(wanted, held, strict=True)
            if len(places) >= rule.count and token not in places
        ]
        if full:
            return Verdict(full, full)
        self.hold(wanted, token)
        return Verdict(())

    def hold(self, wanted: Sequence[Wanted], token: str) -> None:
        """Hold a place under every rule, full or not: what goes on already goes on."""
        for rule, whose in wanted:
            self._places.setdefault((rule.name, whose), set()).add(token)

    def give_back(self, wanted: Sequence[Wanted], token: str) -> None:
        """Let the places of `token` go; harmless when it holds none."""
        for rule, whose in wanted:
            key = (rule.name, whose)
            places = self._places.get(key)
            if places is not None:
                places.discard(token)
                if not places:
                    del self._places[key]


def _state(rule: Rule, entries: "array[float]", now: float) -> LimitState:
    window_s = rule.window_s or 0
    reset_s = math.ceil(entries[0] + window_s - now) if entries else window_s
    return LimitState(rule.name, rule.count, window_s, rule.count - len(entries), max(1, reset_s))
