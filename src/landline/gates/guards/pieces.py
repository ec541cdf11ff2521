"""Text that an agent cuts over several events of one name, each of which comes whole and is told at once.

Nothing is held back here: a status that shows with the next one only would be none. What a guard blocks is found when its
last piece comes, which is never told, so that no log ever has all of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from landline.gates.guards.judge import NEAR, Judge, Judged

__all__ = ["Pieces"]

MOST_PLACES = 1_000
"""Places that are remembered, by event and by key in its data; beyond this the oldest is forgotten."""


class Pieces:
    """The ends of the strings that a run's events said last, by the name of the event and their place in its data."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._ends: dict[str, str] = {}

    async def blocked(self, name: str, data: Any) -> Judged | None:
        """Return what guards say of a word that ends in `data` and began in events before, if they block it."""
        for place, text in _strings(data, name):
            before = self._ends.pop(place, "")
            if before:
                judged = await self._judge.across(before, text)
                if judged.blocked_by is not None:
                    return judged
            while len(self._ends) >= MOST_PLACES:
                del self._ends[next(iter(self._ends))]
            self._ends[place] = (before + text)[-NEAR:]
        return None


def _strings(data: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield the strings in JSON data, each with its place."""
    if isinstance(data, str):
        if data:
            yield place, data
    elif isinstance(data, Mapping):
        for key, value in cast("Mapping[str, Any]", data).items():
            yield from _strings(value, f"{place}\0{key}")
    elif isinstance(data, (list, tuple)):
        for index, value in enumerate(cast("list[Any]", data)):
            yield from _strings(value, f"{place}\0{index}")
