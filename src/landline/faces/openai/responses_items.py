"""Input items as what they mean, in their order; images and files in them become files of the caller's."""

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import msgspec

from landline.faces.openai.faults import Loc, fault
from landline.faces.openai.inputs import Inputs
from landline.faces.openai.responses_wire import MAX_TEXT_CHARS
from landline.model.carried import CarriedMessage
from landline.model.errors import Invalid
from landline.model.messages import (
    FilePart,
    ImagePart,
    Part,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_of,
)
from landline.web import strict_json

__all__ = ["Approval", "Call", "Entry", "Given", "Result", "Said", "history_of", "packed", "read_items"]

_MAX_ID: Final = 128
_MAX_PARTS: Final = 64
_MAX_WINDOW_BYTES: Final = 4 * 1024 * 1024
_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
_TEXTS: Final = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_SILENT: Final = frozenset({"reasoning", "mcp_approval_request", "mcp_list_tools"})
"""Items a client sends back that add nothing: thoughts, which no agent is given again, and requests of this server."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message."""

    role: Role
    parts: Sequence[Part]
    at: Loc


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, as the client tells it."""

    call_id: str
    name: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class Result:
    """What the client says a call gave."""

    call_id: str
    value: Any
    at: Loc


@dataclass(frozen=True, slots=True)
class Approval:
    """An answer to a request for approval."""

    request_id: str
    approve: bool
    reason: str | None
    at: Loc


Entry = Said | Call | Result | Approval


@dataclass(slots=True)
class Given:
    """An input: what it means, and how it is listed afterwards (without the bytes of its files)."""

    entries: list[Entry] = field(default_factory=list[Entry])
    unpacked: int = 0
    """Bytes that compaction items of this request were unpacked to."""
    shown: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


async def read_items(given: str | list[dict[str, Any]] | None, inputs: Inputs) -> Given:
    """Return an input as entries.

    Raises:
        Invalid: An item of a kind that is not taken, or one that does not fit; names it.
        TooLarge: A file over the limit.
    """
    found = Given()
    if isinstance(given, str):
        given = [{"type": "message", "role": "user", "content": given}]
    for index, item in enumerate(given or ()):
        await _read(item, ("input", index), inputs, found)
    return found


def history_of(entries: Sequence[Entry]) -> list[CarriedMessage]:
    """Return entries as a history that the client carries: calls with their results, never an approval.

    Raises:
        Invalid: A result of a call that is not in it.
    """
    results = {entry.call_id for entry in entries if isinstance(entry, Result)}
    names: dict[str, str] = {}
    found: list[CarriedMessage] = []
    for entry in entries:
        match entry:
            case Said():
                found.append(CarriedMessage(role=entry.role, parts=entry.parts))
            case Call():
                if entry.call_id in results:
                    names[entry.call_id] = entry.name
                    part = ToolCallPart(call_id=entry.call_id, name=entry.name, arguments=entry.arguments)
                    _join(found, "assistant", part)
            case Result():
                if entry.call_id not in names:
                    raise fault(
                        entry.at, f"No tool call found for function call output with call_id {entry.call_id}."
                    )
                part = ToolResultPart(call_id=entry.call_id, name=names[entry.call_id], result=entry.value)
                _join(found, "tool", part)
            case Approval():
                pass  # an approval binds to a question that is open; in a history it is nothing
    return found


def packed(history: Sequence[CarriedMessage]) -> str:
    """Return a history as the content of a compaction item: compressed and opaque, for this server to read again."""
    return base64.b64encode(zlib.compress(msgspec.json.encode(list(history)), 9)).decode()


def _unpacked(content: Any, at: Loc, found: Given) -> list[CarriedMessage]:
    if not isinstance(content, str) or len(content) > _MAX_WINDOW_BYTES:
        raise fault(at, "a compaction item has the encrypted_content that this server gave")
    try:
        unpacker = zlib.decompressobj()
        # A small body may unpack to anything: no more than a body may have is taken out of all of them.
        left = _MAX_WINDOW_BYTES - found.unpacked
        data = unpacker.decompress(base64.b64decode(content, validate=True), left + 1)
        found.unpacked += len(data)
        if not unpacker.eof or len(data) > left:
            raise fault(at, "the compacted window is too large")
        window = msgspec.convert(strict_json.parse(data), list[CarriedMessage])
    except (binascii.Error, ValueError, zlib.error, msgspec.MsgspecError, Invalid) as error:
        if isinstance(error, Invalid) and error.code != "invalid_json":
            raise
        raise fault(at, "this compaction item was not made by this server") from None
    if any(len(text_of(message.parts)) > MAX_TEXT_CHARS for message in window):
        raise fault(at, f"a message may have {MAX_TEXT_CHARS} characters of text")
    return window


def _join(found: list[CarriedMessage], role: Role, part: Part) -> None:
    kinds = {type(given) for given in found[-1].parts} if found and found[-1].role == role else set[Any]()
    if kinds == {type(part)}:
        found[-1] = CarriedMessage(role=role, parts=[*found[-1].parts, part])
    else:
        found.append(CarriedMessage(role=role, parts=[part]))


async def _read(item: dict[str, Any], at: Loc, inputs: Inputs, found: Given) -> None:
    kind = item.get("type", "message")
    shown = item
    match kind:
        case "message":
            said, content = await _message(item, at, inputs)
            found.entries.append(said)
            shown = {**item, "type": "message", "content": content}
        case "function_call" | "mcp_call":
            key = "call_id" if kind == "function_call" else "id"
            call = Call(_text(item, key, at), _text(item, "name", at), _arguments(item, at))
            found.entries.append(call)
            if kind == "mcp_call":
                result = item.get("error") or item.get("output")
                found.entries.append(Result(call.call_id, result, at))
        case "function_call_output":
            found.entries.append(Result(_text(item, "call_id", at), _output(item.get("output"), at), at))
        case "mcp_approval_response":
            approve, reason = item.get("approve"), item.get("reason")
            if not isinstance(approve, bool) or not isinstance(reason, str | None):
                raise fault(at, "an approval says approve: true or false, and perhaps a reason")
            found.entries.append(Approval(_text(item, "approval_request_id", at), approve, reason, at))
        case "compaction":
            found.entries += [
                entry
                for message in _unpacked(item.get("encrypted_content"), at, found)
                for entry in _entries(message, at)
            ]
        case str() if kind in _SILENT:
            pass
        case "item_reference":
            raise fault(at, "items are not kept by their ids; send the item, or previous_response_id")
        case _:
            raise fault(at, f"items of the type {str(kind)[:64]!r} are not taken", code="unsupported_item")
    found.shown.append(shown)


def _entries(message: CarriedMessage, at: Loc) -> list[Entry]:
    """Return a message of a compacted window as it was told."""
    found: list[Entry] = []
    said: list[Part] = []
    for part in message.parts:
        match part:
            case TextPart() | ImagePart() | FilePart():
                said.append(part)
                continue
            case ToolCallPart():
                entry = Call(part.call_id, part.name, part.arguments)
            case ToolResultPart():
                entry = Result(part.call_id, part.result if part.error is None else part.error, at)
            case _:
                continue
        found += [*([Said(message.role, said, at)] if said else []), entry]
        said = []
    return [*found, *([Said(message.role, said, at)] if said else [])]


async def _message(item: dict[str, Any], at: Loc, inputs: Inputs) -> tuple[Said, list[dict[str, Any]]]:
    role = _ROLES.get(str(item.get("role")))
    if role is None:
        raise fault((*at, "role"), "a message is of a user, assistant, system or developer")
    content = item.get("content")
    if isinstance(content, str):
        content = [{"type": "output_text" if role == "assistant" else "input_text", "text": content}]
    if not isinstance(content, list) or not 0 < len(cast("list[Any]", content)) <= _MAX_PARTS:
        raise fault((*at, "content"), f"a message has text, or 1 to {_MAX_PARTS} parts")
    parts: list[Part] = []
    shown: list[dict[str, Any]] = []
    for index, part in enumerate(cast("list[Any]", content)):
        taken, listed = await _part(part, (*at, "content", index), inputs, role)
        parts.append(taken)
        shown.append(listed)
    if sum(len(part.text) for part in parts if isinstance(part, TextPart)) > MAX_TEXT_CHARS:
        raise fault((*at, "content"), f"a message may have {MAX_TEXT_CHARS} characters of text")
    return Said(role, parts, at), shown


async def _part(part: Any, at: Loc, inputs: Inputs, role: Role) -> tuple[Part, dict[str, Any]]:
    given = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
    kind = given.get("type")
    if not isinstance(kind, str):
        raise fault((*at, "type"), "content has a type")
    if kind in _TEXTS:
        return TextPart(text=_text(given, "text", at, most=MAX_TEXT_CHARS)), given
    if kind == "refusal":
        return TextPart(text=_text(given, "refusal", at, most=MAX_TEXT_CHARS)), given
    if role == "user" and kind == "input_image":
        image = await inputs.image(
            at=at, url=_maybe(given, "image_url", at), file_id=_maybe(given, "file_id", at)
        )
        return image, {"type": kind, "detail": given.get("detail") or "auto", "file_id": image.file_id}
    if role == "user" and kind == "input_file":
        if given.get("file_url") is not None:
            raise fault(
                (*at, "file_url"), "this server fetches nothing; send file_data", code="unsupported_url"
            )
        name = _maybe(given, "filename", at)
        file = await inputs.file(
            at=at, data=_maybe(given, "file_data", at), file_id=_maybe(given, "file_id", at), name=name
        )
        return file, {"type": kind, "file_id": file.file_id, "filename": name}
    raise fault(at, f"content of the type {str(kind)[:64]!r} is not taken here", code="unsupported_content")


def _output(output: Any, at: Loc) -> Any:
    """Return a call's result: text, as it stands."""
    if isinstance(output, str):
        return output
    parts = cast("list[Any]", output) if isinstance(output, list) else []
    texts: list[str] = []
    for part in parts:
        given = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
        if str(given.get("type")) not in _TEXTS or not isinstance(given.get("text"), str):
            raise fault((*at, "output"), "the output of a call is text", code="unsupported_content")
        texts.append(given["text"])
    if not parts:
        raise fault((*at, "output"), "the output of a call is text", code="unsupported_content")
    return "".join(texts)


def _arguments(item: dict[str, Any], at: Loc) -> Any:
    given = item.get("arguments") or "{}"
    try:
        return strict_json.parse(given.encode("utf-8", "surrogatepass") if isinstance(given, str) else b"")
    except Invalid:
        raise fault((*at, "arguments"), "the arguments of a call are JSON in a string") from None


def _text(item: dict[str, Any], key: str, at: Loc, *, most: int = _MAX_ID) -> str:
    value = item.get(key)
    if not isinstance(value, str) or len(value) > most:
        raise fault((*at, key), f"this is text of at most {most} characters")
    return value


def _maybe(item: dict[str, Any], key: str, at: Loc) -> str | None:
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        raise fault((*at, key), "this is text")
    return value
