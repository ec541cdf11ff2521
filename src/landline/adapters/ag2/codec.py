"""AG2's events as JSON and back, lossless for the framework's own classes and safe for everybody's data (TRU-15).

The framework's own reader makes an object of any class that a dictionary in the data names. Tool results and inputs are
other people's dictionaries, so theirs are escaped here, and only classes of the libraries listed below are ever made.
"""

import base64
import importlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, cast
from uuid import UUID

import pydantic_core
from ag2.events import BaseEvent
from pydantic import BaseModel

__all__ = ["dump_events", "load_events", "pack", "unpack"]

_KIND = "$ag2"
"""The one key that marks what is not plain data; a plain dictionary that has it is wrapped."""

_MADE = (
    "ag2.events.",
    "ag2.config.",
    "ag2.compact",
    "ag2.network.handoff",
    "openai.types.",
    "anthropic.types.",
    "google.genai.types",
    "mistralai.",
)
"""Where the classes live that reading may make: the framework's events and what its providers' events carry."""

_PLAIN = (str, int, float, bool, type(None))


def dump_events(events: list[BaseEvent]) -> bytes:
    """Return `events` as JSON. Events of classes that cannot be read back are left out."""
    return pydantic_core.to_json([pack(event) for event in events if _can_be_made(type(event))])


def load_events(stored: bytes) -> list[BaseEvent]:
    """Return what `dump_events` wrote, new objects each time."""
    kept = cast("list[Any]", pydantic_core.from_json(stored))
    return [cast("BaseEvent", unpack(one)) for one in kept]


def pack(value: Any) -> Any:
    """Return `value` as JSON data that `unpack` turns back into it; objects of unknown classes become plain data."""
    if isinstance(value, Enum):
        member = cast("Any", value)
        return (
            _tagged("enum", member, member.value)
            if _can_be_made(cast("type[Any]", type(member)))
            else pack(member.value)
        )
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return _pack_mapping(cast("Mapping[Any, Any]", value))
    if isinstance(value, list | tuple):
        return [pack(item) for item in cast("list[Any]", value)]
    return _pack_object(value)


def _pack_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    packed = {str(key): pack(item) for key, item in value.items()}
    return {_KIND: "dict", "data": packed} if _KIND in packed else packed


def _pack_object(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return {_KIND: "bytes", "data": base64.b64encode(value).decode()}
    if isinstance(value, UUID):
        return {_KIND: "uuid", "data": str(value)}
    if isinstance(value, BaseException):
        return {_KIND: "error", "data": type(value).__name__}
    if not _can_be_made(cast("type[Any]", type(value))):
        return pack(pydantic_core.to_jsonable_python(value, bytes_mode="base64", fallback=str))
    if isinstance(value, BaseEvent):
        shown = {name: pack(item) for name, item in value.__dict__.items() if not name.startswith("_")}
        return _tagged("event", value, shown)
    if isinstance(value, BaseModel):
        return _tagged(
            "model", value, pack(value.model_dump(mode="json", warnings=False, exclude_unset=True))
        )
    if is_dataclass(value) and not isinstance(value, type):
        return _tagged("record", value, {one.name: pack(getattr(value, one.name)) for one in fields(value)})
    return pack(pydantic_core.to_jsonable_python(value, bytes_mode="base64", fallback=str))


def _tagged(kind: str, value: Any, data: Any) -> dict[str, Any]:
    cls = cast("type[Any]", type(value))
    return {_KIND: kind, "class": f"{cls.__module__}:{cls.__qualname__}", "data": data}


def unpack(value: Any) -> Any:
    """Return what `pack` was given.

    Raises:
        ValueError: It names a class that data may not name.
    """
    if isinstance(value, list):
        return [unpack(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    packed = cast("dict[str, Any]", value)
    kind, data = packed.get(_KIND), packed.get("data")
    match kind:
        case None:
            return {key: unpack(item) for key, item in packed.items()}
        case "dict":
            return {key: unpack(item) for key, item in cast("dict[str, Any]", data).items()}
        case "bytes":
            return base64.b64decode(cast("str", data))
        case "uuid":
            return UUID(cast("str", data))
        case "error":
            return RuntimeError(cast("str", data))
        case _:
            return _make(str(kind), _class(str(packed.get("class"))), data)


def _make(kind: str, cls: type[Any], data: Any) -> Any:
    if kind == "model" and issubclass(cls, BaseModel):
        return cls.model_validate(unpack(data))
    if kind == "enum" and issubclass(cls, Enum):
        return cls(data)
    if (kind == "event" and issubclass(cls, BaseEvent)) or (kind == "record" and is_dataclass(cls)):
        return cls(**{name: unpack(item) for name, item in cast("dict[str, Any]", data).items()})
    raise ValueError(f"the stored messages name the class {cls.__qualname__} as a {kind}")


def _class(name: str) -> type[Any]:
    module, _, qualname = name.partition(":")
    if not _is_listed(module):
        raise ValueError(f"the stored messages name the class {name}")
    found: Any = importlib.import_module(module)
    for step in qualname.split("."):
        found = getattr(found, step)
    if not isinstance(found, type):
        raise TypeError(f"the stored messages name {name}, which is no class")
    # A module's own imports are within reach too, and are not meant.
    if not _is_listed(found.__module__):
        raise ValueError(f"the stored messages name the class {name}")
    return cast("type[Any]", found)


def _is_listed(module: str) -> bool:
    return any(module == one.rstrip(".") or module.startswith(one) for one in _MADE)


def _can_be_made(cls: type[Any]) -> bool:
    return _is_listed(cls.__module__) and "<locals>" not in cls.__qualname__
