"""Tool results as plain JSON for the log, and back for the framework, the same before and after a crash."""

import json
from typing import Any, cast

import pydantic_core
from ag2.events import (
    BinaryInput,
    DataInput,
    TextInput,
    ToolCallEvent,
    ToolErrorEvent,
    ToolResult,
    ToolResultEvent,
)

from landline.adapters.ag2.codec import pack, unpack

__all__ = [
    "arguments_of",
    "dump_error",
    "dump_result",
    "edited",
    "is_broken",
    "load_error",
    "load_result",
    "plain",
    "readable",
    "text_of",
]

_BROKEN = "$not_an_object"
_PLAIN = (str, int, bool, type(None))


def plain(value: Any) -> Any:
    """Return `value` as JSON data; models and dataclasses become objects, bytes base64.

    Raises:
        PydanticSerializationError: It has no form in JSON.
    """
    if isinstance(value, _PLAIN):
        return value
    return pydantic_core.from_json(pydantic_core.to_json(value, bytes_mode="base64", inf_nan_mode="strings"))


def dump_result(result: ToolResult) -> tuple[Any, bytes | None]:
    """Return (what the log shows, the record that restores what it does not show).

    One text, or data that is JSON or becomes it, is shown whole and needs no record. What carries files, several parts,
    metadata or words for the framework (a handoff, the last word of a turn) is recorded beside the log.
    """
    shown = [_shown(part) for part in result.parts]
    record = None
    if len(shown) != 1 or result.final or result.metadata or not _restorable(result.parts[0], shown[0]):
        record = pydantic_core.to_json(
            {"parts": pack(result.parts), "final": result.final, "metadata": pack(result.metadata)}
        )
    return (shown[0] if len(shown) == 1 else shown), record


def load_result(shown: Any, record: bytes | None) -> ToolResult:
    """Return what the framework is given: the shown JSON, or what the record restores."""
    if record is None:
        return ToolResult(shown)
    kept = cast("dict[str, Any]", pydantic_core.from_json(record))
    return ToolResult(
        parts=unpack(kept["parts"]), final=bool(kept["final"]), metadata=unpack(kept["metadata"])
    )


def dump_error(error: ToolErrorEvent) -> bytes:
    """Return the record of what the model is told of a tool that failed; the log shows none of it."""
    return pydantic_core.to_json({"error": pack(error.result.parts)})


def load_error(event: ToolCallEvent, record: bytes | None, error: Exception) -> ToolErrorEvent:
    """Return the failure as the model was told of it; without a record, with the text of `error`."""
    parts: list[Any] = [] if record is None else unpack(pydantic_core.from_json(record)["error"])
    told = ToolResult(parts=parts or [str(error)])
    return ToolErrorEvent(parent_id=event.id, name=event.name, error=error, result=told)


def arguments_of(event: ToolCallEvent) -> dict[str, Any]:
    """Return the call's arguments as JSON data; of what is no object, its text under a name of its own."""
    try:
        arguments = json.loads(event.arguments or "{}")
    except ValueError:
        arguments = None
    return cast("dict[str, Any]", arguments) if isinstance(arguments, dict) else {_BROKEN: event.arguments}


def readable(event: ToolCallEvent, call_id: str) -> ToolCallEvent:
    """Return the call under `call_id`, with arguments that can be sent back.

    Some of AG2's clients cannot send what is no JSON: the turn would end there, and the model would not hear of it.
    """
    arguments = arguments_of(event)
    if call_id == event.id and _BROKEN not in arguments:
        return event
    return ToolCallEvent(
        event.name,
        id=call_id,
        arguments=json.dumps(arguments) if _BROKEN in arguments else event.arguments,
        vendor_metadata=event.vendor_metadata,
    )


def is_broken(event: ToolCallEvent) -> bool:
    """Tell whether the model's arguments for this call were no JSON object."""
    return set(arguments_of(event)) == {_BROKEN}


def edited(event: ToolCallEvent, arguments: dict[str, Any]) -> ToolCallEvent:
    """Return the same call with other arguments."""
    return ToolCallEvent(
        event.name,
        id=event.id,
        arguments=json.dumps(arguments),
        vendor_metadata=event.vendor_metadata,
        source=event.source,
    )


def text_of(result: ToolResultEvent) -> str:
    """Return what a result tells the model, as text."""
    shown = [_shown(part) for part in result.result.parts]
    return "\n".join(one if isinstance(one, str) else pydantic_core.to_json(one).decode() for one in shown)


def _shown(part: Any) -> Any:
    match part:
        case TextInput(content=text):
            return text
        case DataInput(data=data):
            return plain(data)
        case BinaryInput(data=data, media_type=media_type):
            return {"kind": "binary", "media_type": str(media_type), "size": len(data)}
        case _:
            return pydantic_core.to_jsonable_python(pack(part), fallback=str)


def _restorable(part: Any, shown: Any) -> bool:
    if isinstance(part, TextInput):
        return not part.metadata
    data = part.data if isinstance(part, DataInput) and not part.metadata else part
    return not isinstance(shown, str) and pydantic_core.to_json(
        pack(data), fallback=str
    ) == pydantic_core.to_json(shown)
