"""State as JSON: messages once each and by their place, plain data as it is, the rest in the framework's own form.

A list of messages is written as ranges of places in a pool, so a thread that grows costs what was added to it.
"""

import base64
import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, cast

import msgspec
import pydantic_core
from langchain_core.messages import BaseMessage, message_to_dict, messages_from_dict
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.jsonplus import (
    _create_msgpack_ext_hook as unpack_hook,  # pyright: ignore[reportPrivateUsage] - the only place to say which types may be built
)
from pydantic import BaseModel

__all__ = ["Pool", "dump_message", "is_json", "load_messages", "plain"]


class _DataTypes(set[tuple[str, ...]]):
    """The types a stored value may become: data types of modules that this process has loaded by itself (TRU-15).

    A tampered row can neither make a module load nor call anything but the constructor of a data type.
    """

    def __contains__(self, key: object) -> bool:
        module, name = cast("tuple[str, str]", key)
        found: Any = getattr(sys.modules.get(module), name, None)
        if not isinstance(found, type):
            return False
        return issubclass(found, BaseModel | Enum) or dataclasses.is_dataclass(cast("Any", found))


def _serializer() -> JsonPlusSerializer:
    made = JsonPlusSerializer(allowed_msgpack_modules=None)
    made._unpack_ext_hook = unpack_hook(_DataTypes())  # pyright: ignore[reportPrivateUsage] - the constructor takes names of modules only
    return made


_serde = _serializer()
_KINDS = ("msgpack", "bytes", "bytearray", "null")
"""What the framework's form is made of here; its older forms build more than data types."""


def dump_message(message: BaseMessage) -> bytes:
    """Return a message as JSON; what has no form in JSON (an artifact) is kept as its text."""
    return pydantic_core.to_json(message_to_dict(message), fallback=str, inf_nan_mode="strings")


def load_messages(dumped: Iterable[Any]) -> list[BaseMessage]:
    """Return the messages that `dump_message` wrote, given as JSON data."""
    return messages_from_dict(list(dumped))


def plain(value: Any) -> Any:
    """Return `value` as JSON data; models, dataclasses and messages become objects, anything else its text."""
    return pydantic_core.from_json(
        pydantic_core.to_json(value, bytes_mode="base64", inf_nan_mode="strings", fallback=str)
    )


def is_json(value: Any) -> bool:
    """Tell whether `value` is JSON data that comes back from JSON exactly as it is."""
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value)
        return type(cast("Any", value)) is dict and all(
            type(key) is str and is_json(item) for key, item in items.items()
        )
    if isinstance(value, list):
        return type(cast("Any", value)) is list and all(is_json(item) for item in cast("list[Any]", value))
    if type(value) is float:
        return value - value == 0.0
    if type(value) is int:
        return -(2**63) <= value < 2**64
    if type(value) is str:
        return value.isprintable() or _encodable(value)
    return value is None or type(value) is bool


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Pool:
    """The messages a run has seen, each in its place: first those of the thread (`base`), which are not written again.

    A message of this run that was changed in place counts as another one; those of the thread are told apart by
    identity and, when they are copies, by what they say.
    """

    def __init__(self, base: Sequence[BaseMessage]) -> None:
        self.base = len(base)
        self._messages = list(base)
        self._dumps: list[bytes | None] = [None] * len(base)
        self._by_object = {id(message): place for place, message in enumerate(self._messages)}
        self._by_id = {message.id: place for place, message in enumerate(self._messages) if message.id}
        self._new: list[bytes] = []

    def take_new(self) -> list[bytes]:
        """Return the messages that were added since the last time, as JSON."""
        new, self._new = self._new, []
        return new

    def give_back(self, dumped: Sequence[msgspec.Raw]) -> None:
        """Add what `take_new` gave in an earlier segment, to the same places."""
        for message, dump in zip(load_messages(map(msgspec.json.decode, dumped)), dumped, strict=True):
            self._add(message, bytes(dump))

    def _add(self, message: BaseMessage, dump: bytes) -> int:
        place = len(self._messages)
        self._messages.append(message)
        self._dumps.append(dump)
        self._by_object[id(message)] = place
        if message.id:
            self._by_id[message.id] = place
        return place

    def _place(self, message: BaseMessage) -> int:
        dump: bytes | None = None
        for place in (self._by_object.get(id(message)), self._by_id.get(message.id or "")):
            if place is None:
                continue
            known = self._dumps[place]
            if known is None:
                if self._messages[place] is message or self._messages[place] == message:
                    return place
                continue
            dump = dump or dump_message(message)
            if known == dump:
                return place
        dump = dump or dump_message(message)
        self._new.append(dump)
        return self._add(message, dump)

    def _ranges(self, messages: Iterable[BaseMessage]) -> list[list[int]]:
        ranges: list[list[int]] = []
        for message in messages:
            place = self._place(message)
            if ranges and ranges[-1][0] + ranges[-1][1] == place:
                ranges[-1][1] += 1
            else:
                ranges.append([place, 1])
        return ranges

    def dump(self, value: Any) -> Any:
        """Return `value` as JSON data that `load` reads."""
        if isinstance(value, BaseMessage):
            return {"m": self._place(value)}
        if is_json(value):
            return {"j": value}
        if type(value) is list:
            items = cast("list[Any]", value)
            if all(isinstance(item, BaseMessage) for item in items):
                return {"l": self._ranges(items)}
            return {"a": [self.dump(item) for item in items]}
        if type(value) is dict and all(type(key) is str for key in cast("dict[Any, Any]", value)):
            return {"d": {key: self.dump(item) for key, item in cast("dict[str, Any]", value).items()}}
        kind, data = _serde.dumps_typed(value)
        return {"t": kind, "b": base64.b64encode(data).decode()}

    def load(self, dumped: Any) -> Any:
        """Return what `dump` was given."""
        match cast("dict[str, Any]", dumped):
            case {"j": value}:
                return value
            case {"m": int(place)}:
                return self._messages[place]
            case {"l": ranges}:
                return [self._messages[at] for start, count in ranges for at in range(start, start + count)]
            case {"a": items}:
                return [self.load(item) for item in items]
            case {"d": items}:
                return {key: self.load(item) for key, item in cast("Mapping[str, Any]", items).items()}
            case {"t": kind, "b": data} if kind in _KINDS:
                return _serde.loads_typed((kind, base64.b64decode(data)))
            case _:
                raise ValueError("not a stored value")
