"""Tool results as plain JSON for the log, and back for the framework, the same before and after a crash."""

from functools import cache
from typing import Any, cast

import pydantic_core
from pydantic import TypeAdapter
from pydantic_ai.messages import BinaryContent, ToolReturn, ToolReturnContent

__all__ = ["dump_result", "load_result", "plain"]

_PLAIN = (str, int, bool, type(None))


# Built for the first result that needs one: both together take a twentieth of a start.
@cache
def _returns() -> TypeAdapter[ToolReturn[Any]]:
    return TypeAdapter(ToolReturn)


@cache
def _contents() -> TypeAdapter[Any]:
    return TypeAdapter(ToolReturnContent)


def dump_result(value: Any) -> tuple[Any, bytes | None]:
    """Return (what the log shows, the record that restores what it does not show).

    A result that is JSON, or a model or dataclass that becomes JSON, is shown whole and needs no record. What carries
    files, or speaks to the framework (`ToolReturn`), is shown without the files' bytes and recorded beside the log.
    """
    if isinstance(value, ToolReturn):
        whole = cast("ToolReturn[Any]", value)
        return _shown(whole.return_value), b'{"return":' + _returns().dump_json(whole) + b"}"
    if _has_files(value):
        return _shown(value), b'{"content":' + _contents().dump_json(value) + b"}"
    return plain(value), None


def load_result(shown: Any, record: bytes | None) -> Any:
    """Return what the framework is given: the shown JSON, or what the record restores."""
    if record is None:
        return shown
    kept = cast("dict[str, Any]", pydantic_core.from_json(record))
    if "return" in kept:
        return _returns().validate_json(pydantic_core.to_json(kept["return"]))
    return _contents().validate_json(pydantic_core.to_json(kept["content"]))


def plain(value: Any) -> Any:
    """Return `value` as JSON data; models and dataclasses become objects, bytes base64.

    Raises:
        PydanticSerializationError: It has no form in JSON.
    """
    if isinstance(value, _PLAIN):
        return value
    return pydantic_core.from_json(pydantic_core.to_json(value, bytes_mode="base64", inf_nan_mode="strings"))


def _has_files(value: Any) -> bool:
    if isinstance(value, BinaryContent):
        return True
    if isinstance(value, dict):
        return any(_has_files(item) for item in cast("dict[Any, Any]", value).values())
    if isinstance(value, list | tuple):
        return any(_has_files(item) for item in cast("list[Any]", value))
    return False


def _shown(value: Any) -> Any:
    if isinstance(value, BinaryContent):
        return {"kind": "binary", "media_type": value.media_type, "size": len(value.data)}
    if isinstance(value, dict):
        return {str(key): _shown(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in cast("list[Any]", value)]
    return plain(value)
