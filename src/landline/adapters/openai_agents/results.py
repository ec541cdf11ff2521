"""Tool results as plain JSON for the log, and back for the framework, the same before and after a crash."""

from collections.abc import Mapping
from typing import Any, cast

import pydantic_core
from agents import ToolOutputFileContent, ToolOutputImage, ToolOutputText
from pydantic import BaseModel

__all__ = ["Told", "as_json", "dump_result", "load_result", "plain"]

_PLAIN = (str, int, float, bool, type(None))
_PARTS = (ToolOutputText, ToolOutputImage, ToolOutputFileContent)
_BYTES = ("image_url", "file_data")


class Told(str):
    """What a model was told of a result, with the result as the log shows it."""

    __slots__ = ("shown",)

    shown: Any


def plain(value: Any) -> Any:
    """Return `value` as JSON data; models and dataclasses become objects, bytes base64.

    Raises:
        PydanticSerializationError: It has no form in JSON.
    """
    if isinstance(value, Told):
        return value.shown
    if type(value) in _PLAIN:
        return value
    return pydantic_core.from_json(pydantic_core.to_json(value, bytes_mode="base64", inf_nan_mode="strings"))


def dump_result(value: Any) -> tuple[Any, bytes | None]:
    """Return (what the log shows, the record that restores what it does not show).

    The framework tells the model `str(result)`, which for anything but plain JSON differs from what the log shows.
    Images and files go to the model whole and are shown without their bytes.
    """
    if (parts := _parts_of(value)) is not None:
        record = pydantic_core.to_json({"parts": parts})
        shown = [{k: v for k, v in part.items() if k not in _BYTES} for part in parts]
        return shown if isinstance(value, list | tuple) else shown[0], record
    if _is_plain(value):
        return value, None
    try:
        shown = plain(value)
    except (pydantic_core.PydanticSerializationError, ValueError):
        shown = str(value)
    return shown, pydantic_core.to_json({"text": str(value)})


def load_result(shown: Any, record: bytes | None) -> Any:
    """Return what the framework is given in the place of the result."""
    if record is None:
        return shown
    kept = cast("dict[str, Any]", pydantic_core.from_json(record))
    if "parts" in kept:
        return kept["parts"]
    told = Told(kept["text"])
    told.shown = shown
    return told


def as_json(result: Any) -> str:
    """Return the result of a brought tool as the model is to read it: the SDK would write data in Python's words."""
    return result if isinstance(result, str) else pydantic_core.to_json(result).decode()


def _parts_of(value: Any) -> list[dict[str, Any]] | None:
    items = list(cast("list[Any]", value)) if isinstance(value, list | tuple) else [value]
    if not items or not all(isinstance(item, _PARTS) for item in items):
        return None
    return [cast("BaseModel", item).model_dump(mode="json", exclude_none=True) for item in items]


def _is_plain(value: Any) -> bool:
    """Tell whether JSON gives the same value back, so that its text is the same too."""
    if type(value) is dict:
        items = cast("Mapping[Any, Any]", value).items()
        return all(type(key) is str and _is_plain(item) for key, item in items)
    if type(value) is list:
        return all(_is_plain(item) for item in cast("list[Any]", value))
    if type(value) is float:
        return value - value == 0
    return type(value) in _PLAIN
