"""Structured output so far: from the JSON that has come, the largest part that is valid as a partial (EVT-3).

A field that is whole must be valid; the one being written counts as far as it has come, and is left out while what is
there of it is not valid. Validators of whole models run on the final output only.
"""

import dataclasses
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, cast, get_origin, get_type_hints

import msgspec
import pydantic_core
from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError

__all__ = ["NOTHING", "Shape", "shape_of", "snapshot"]

_OPEN_NUMBER = re.compile(r"[-+0-9.eE]+$")
_FENCE = re.compile(r"^\s*```(?:json)?\s*")

NOTHING = msgspec.UNSET
_ENVELOPE = "response"


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """What output text becomes: `key` is the envelope around a value that is not an object."""

    type_: Any
    key: str | None = None

    def read(self, text: str) -> Any:
        """Return the output so far, or `NOTHING` while there is nothing valid to show."""
        # A number at the very end may have more digits to come.
        text = _OPEN_NUMBER.sub("", _FENCE.sub("", text))
        try:
            data = pydantic_core.from_json(text, allow_partial="trailing-strings")
        except ValueError:
            return NOTHING
        return self.pick(data)

    def pick(self, data: Any) -> Any:
        """Return the output in `data`, the JSON so far."""
        if self.key is not None:
            if not isinstance(data, Mapping) or self.key not in data:
                return NOTHING
            data = cast("Mapping[str, Any]", data)[self.key]
        return snapshot(self.type_, data)


def shape_of(schema: Any) -> Shape | None:
    """Return the shape of an output schema, or None for one that does not say its type (one of the owner's own).

    That a type stands in an envelope is not part of the framework's public names; if it cannot be told, only the final
    output is shown.
    """
    if (type_ := getattr(schema, "__landline_partial__", None)) is not None:
        return Shape(type_)
    wrapped = getattr(schema, "_is_wrapped", None)
    if wrapped is None or not hasattr(schema, "output_type"):
        return None
    return Shape(schema.output_type, _ENVELOPE if wrapped else None)


def snapshot(type_: Any, data: Any) -> Any:
    """Return what of `data` is valid as a partial `type_`, as JSON data, or `NOTHING`."""
    record = _record_of(type_)
    if record is None or not isinstance(data, Mapping):
        return _validated(_adapter(type_), data, partial=True)
    given = cast("Mapping[str, Any]", data)
    last = next(reversed(list(given)), None)
    shown: dict[str, Any] = {}
    for name, shown_name, annotation in record:
        if name not in given:
            continue
        value = (
            snapshot(annotation, given[name])
            if name == last
            else _validated(_adapter(annotation), given[name], partial=False)
        )
        if value is not NOTHING:
            shown[shown_name] = value
    return shown or NOTHING


def _validated(adapter: TypeAdapter[Any] | None, data: Any, *, partial: bool) -> Any:
    if adapter is None:
        return NOTHING
    try:
        value = adapter.validate_python(
            data, experimental_allow_partial="trailing-strings" if partial else False
        )
        return adapter.dump_python(value, mode="json", by_alias=True)
    except (ValidationError, pydantic_core.PydanticSerializationError):
        return NOTHING


@lru_cache(maxsize=512)
def _cached_adapter(type_: Any) -> TypeAdapter[Any] | None:
    try:
        return TypeAdapter(type_)
    except PydanticUserError:
        return None


def _adapter(type_: Any) -> TypeAdapter[Any] | None:
    try:
        return _cached_adapter(type_)
    except TypeError:  # an annotation that cannot be hashed, such as one holding a dict of examples
        return TypeAdapter(type_)


def _record_of(type_: Any) -> tuple[tuple[str, str, Any], ...] | None:
    return _fields(type_) if isinstance(type_, type) and get_origin(type_) is None else None


@lru_cache(maxsize=256)
def _fields(type_: Any) -> tuple[tuple[str, str, Any], ...] | None:
    """Return (name in JSON, name when shown, annotation) of each field, or None for what has no fields."""
    if issubclass(type_, BaseModel):
        if type_.__pydantic_root_model__:
            return None
        return tuple(
            (
                field.alias if isinstance(field.alias, str) else name,
                field.serialization_alias or field.alias or name,
                Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation,
            )
            for name, field in type_.model_fields.items()
        )
    if dataclasses.is_dataclass(type_) or hasattr(type_, "__required_keys__"):
        return tuple((name, name, hint) for name, hint in get_type_hints(type_, include_extras=True).items())
    return None
