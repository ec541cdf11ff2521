"""Schemas for the OpenAPI document, made from the model's own structs, so that the document cannot drift from the wire."""

import types
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel, ConfigDict, Field, create_model

__all__ = ["mirror", "tagged"]

_CONFIG = ConfigDict(defer_build=True, protected_namespaces=())


@cache
def mirror(
    struct: type[msgspec.Struct],
    *,
    name: str | None = None,
    without: frozenset[str] = frozenset(),
    beside: tuple[tuple[str, type], ...] = (),
) -> type[BaseModel]:
    """Return a pydantic model with the fields of `struct` as they are on the wire, and those that stand `beside` them."""
    config = struct.__struct_config__
    fields: dict[str, Any] = {field: (type_, ...) for field, type_ in beside}
    if config.tag is not None:
        fields[config.tag_field or "type"] = (Literal[config.tag], ...)
    for info in msgspec.structs.fields(struct):
        if info.name in without:
            continue
        optional = config.omit_defaults and not info.required
        alias = info.encode_name if info.encode_name != info.name else None
        fields[info.name] = (_typed(info.type), Field(None if optional else ..., alias=alias))
    return create_model(name or struct.__name__, __config__=_CONFIG, __doc__=struct.__doc__, **fields)


def tagged(models: Sequence[type[BaseModel]]) -> Any:
    """Return the union of models told apart by their `type`."""
    return Annotated[Union[tuple(models)], Field(discriminator="type")]  # noqa: UP007 - the members are known at run time


def _typed(given: Any) -> Any:
    """Return the type of a field with structs mirrored, also inside unions and lists."""
    if isinstance(given, type) and issubclass(given, msgspec.Struct):
        return mirror(given)
    origin: Any = get_origin(given)
    inner = get_args(given)
    if origin in (types.UnionType, Union):
        members: list[Any] = [_typed(member) for member in inner]
        if all(
            isinstance(m, type) and issubclass(m, BaseModel) and "type" in m.model_fields for m in members
        ):
            return tagged(members)
        union: Any = Union[tuple(members)]  # noqa: UP007 - the members are known at run time
        return union
    if origin in (list, Sequence):
        item: Any = _typed(inner[0])
        listed: Any = list[item]
        return listed
    plain: Any = given  # pyright: ignore[reportUnknownVariableType] - narrowed to a type above
    return plain
