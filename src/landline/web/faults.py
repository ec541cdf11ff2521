"""Where a request does not fit, in the client's own words: keys and indexes of what it sent."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from landline.model.errors import FieldError

__all__ = ["faults_of"]

_MOST_ERRORS: Final = 50
_MOST_CHARS: Final = 100


def faults_of(errors: Sequence[Any], given: Any, *, under: int = 0) -> list[FieldError]:
    """Return pydantic's errors as faults of `given`, which was found below the first `under` parts of their places.

    Never the input itself: it may hold what must not be echoed (TRU-17).
    """
    return [
        FieldError(
            loc=[
                *map(_short, fault["loc"][:under]),
                *map(_short, _place(fault["loc"][under:], given)),
            ],
            message=fault["msg"],
        )
        for fault in errors[:_MOST_ERRORS]
    ]


def _place(loc: Sequence[Any], given: Any) -> list[Any]:
    """Drop what pydantic puts between the keys: which branch of a union it tried."""
    place: list[Any] = []
    for nth, part in enumerate(loc, 1):
        if isinstance(given, Mapping):
            fields = cast("Mapping[Any, Any]", given)
            if part in fields:
                given = fields[part]
            elif nth < len(loc) or not str(part).isidentifier():
                continue
        elif isinstance(given, list) and isinstance(part, int) and part < len(cast("list[Any]", given)):
            given = cast("list[Any]", given)[part]
        else:
            continue
        place.append(part)
    return place


def _short(part: Any) -> str | int:
    return part if isinstance(part, int) else str(part)[:_MOST_CHARS]
