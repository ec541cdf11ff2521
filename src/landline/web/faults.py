"""Where a request does not fit, in the client's own words: keys and indexes of what it sent."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self, cast

from pydantic import BaseModel, ModelWrapValidatorHandler, ValidationError, model_validator

from landline.model.errors import FieldError, Invalid

__all__ = ["Countable", "faults_of"]

_MOST_ERRORS: Final = 50
_MOST_LISTED: Final = 500
"""Over a kilobyte of memory each, spelled out; a body of a megabyte can have tens of thousands."""

_MOST_CHARS: Final = 100
_BRANCHES: Final = frozenset({"str", "int", "float", "bool"})
"""What pydantic calls the branches of a union that are plain types: never the name of a key that is missing."""


def _told(error: ValidationError) -> Exception:
    count = error.error_count()
    if count <= _MOST_LISTED:
        return error
    found = [FieldError(loc=["body"], message=f"{count} places do not fit.")]
    return Invalid("The request does not fit; see errors.", code="invalid_request", errors=found)


class Countable(BaseModel):
    """What a body is that strangers send: more faults than anybody reads are counted, not spelled out one by one.

    Raises:
        Invalid: In place of a ValidationError, when there are very many.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _counted(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(value)
        except ValidationError as error:
            raise _told(error) from None


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
    return _found(loc, given)[0]


def _found(loc: Sequence[Any], given: Any) -> tuple[list[Any], bool]:
    """Return the place, and whether its last part is one; the name of a branch may be a key of the input as well."""
    if not loc:
        return [], True
    part, rest = loc[0], loc[1:]
    inside, there = _inside(given, part)
    taken: list[Any] = []
    if there:
        below, whole = _found(rest, inside)
        taken = [part, *below]
        if whole:
            return taken, True
    elif not rest and isinstance(given, Mapping) and str(part).isidentifier() and part not in _BRANCHES:
        return [part], True  # a key that is missing
    below, whole = _found(rest, given) if rest else ([], False)
    return (taken if there and not whole else below), whole


def _inside(given: Any, part: Any) -> tuple[Any, bool]:
    if isinstance(given, Mapping):
        fields = cast("Mapping[Any, Any]", given)
        return fields.get(part), part in fields
    items = cast("list[Any]", given) if isinstance(given, list) else []
    there = isinstance(part, int) and part < len(items)
    return (items[part], True) if there else (None, False)


def _short(part: Any) -> str | int:
    return part if isinstance(part, int) else str(part)[:_MOST_CHARS]
