"""What the agents of the suite's `wanted` answer, as a model writes it."""

from collections.abc import Iterator

__all__ = ["written"]

_PLACE = '{"city": "Paris", "people": 2000000, "sights": ["Louvre", "Orsay"]}'
_MISFIT = '{"city": 7}'


def written(text: str) -> Iterator[str]:
    """Yield the answer to `text` in small pieces."""
    whole = _MISFIT if text == "misfit" else _PLACE
    for start in range(0, len(whole), 5):
        yield whole[start : start + 5]
