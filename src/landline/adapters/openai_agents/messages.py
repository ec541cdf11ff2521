"""History for the framework: a turn's own items where it wrote them, the displayed form where it did not (THR-3).

The framework's items are JSON already and are kept as they are. The bytes of users' files are never in them: the
file's id stands there, and the file is read when the turn is sent again (THR-9).
"""

import base64
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pydantic_core

from landline.model import messages as shown
from landline.model.errors import NotFound, Unsupported
from landline.ports.adapter import Line

__all__ = ["FRAMEWORK", "VERSION", "dump_native", "filled", "history_of", "input_of"]

FRAMEWORK = "openai_agents"
VERSION = 1

Item = dict[str, Any]

_FILE = "landline-file:"
_GONE = "[A file that was here has been deleted.]"
_TEXTS = ("text/", "application/json", "application/xml")


def input_of(parts: Sequence[shown.Part]) -> list[Item]:
    """Return the user's parts as input items, files by id only; none when there is nothing to say."""
    content: list[Item] = []
    for part in parts:
        match part:
            case shown.TextPart(text=text):
                content.append({"type": "input_text", "text": text})
            case shown.FilePart(file_id=file_id) | shown.ImagePart(file_id=file_id):
                content.append({"type": "input_file", "file_data": _FILE + file_id})
            case shown.OutputPart(output=output):
                content.append({"type": "input_text", "text": pydantic_core.to_json(output).decode()})
            case _:
                continue
    if all(part["type"] == "input_text" for part in content):
        text = "".join(part["text"] for part in content)
        return [{"role": "user", "content": text}] if text else []
    return [{"role": "user", "content": content}]


async def filled(items: Sequence[Item], line: Line, *, lost: bool = False) -> list[Item]:
    """Return the items with the bytes of the users' files; `lost`: a deleted file is named as such.

    Raises:
        NotFound: The caller has no such file.
        Unsupported: The framework takes no file of this kind.
    """
    return [
        {**item, "content": [await _filled(part, line, lost=lost) for part in item["content"]]}
        if item.get("role") == "user" and isinstance(item.get("content"), list)
        else item
        for item in items
    ]


async def _filled(part: Item, line: Line, *, lost: bool) -> Item:
    marker = part.get("file_data")
    if not isinstance(marker, str) or not marker.startswith(_FILE):
        return part
    try:
        name, media_type, data = await line.read_file(marker.removeprefix(_FILE))
    except NotFound:
        if not lost:
            raise
        return {"type": "input_text", "text": _GONE}
    if media_type.startswith(_TEXTS):
        return {"type": "input_text", "text": f"{name}:\n{data.decode(errors='replace')}"}
    url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    if media_type.startswith("image/"):
        return {"type": "input_image", "image_url": url, "detail": "auto"}
    if media_type.startswith(("audio/", "video/")):
        raise Unsupported(f"This agent takes no files of the type {media_type}.")
    return {"type": "input_file", "filename": name, "file_data": url}


def dump_native(items: Sequence[Any]) -> bytes:
    """Return a turn's items as JSON."""
    return pydantic_core.to_json(list(items))


async def history_of(history: Sequence[shown.Message], line: Line) -> list[Item]:
    """Return the branch before this turn as the framework's items."""
    items: list[Item] = []
    for run in _runs(history):
        whole = run[-1]
        if (native := whole.native) is None or (native.framework, native.version) != (FRAMEWORK, VERSION):
            items += [converted for message in run for converted in _convert(message)]
            continue
        own = cast("list[Item]", pydantic_core.from_json(bytes(native.messages)))
        asked_before = run[0].role == "user" and run[0].run_id != whole.run_id
        if asked_before and not any(item.get("role") == "user" for item in own):
            # The turn answered an older question again without repeating it.
            items += _convert(run[0])
        items += own
    return await filled(items, line, lost=True)


def _runs(history: Sequence[shown.Message]) -> Iterator[list[shown.Message]]:
    """Group the branch by turn. An answer to an older question (regenerate) takes that question into its group."""
    group: list[shown.Message] = []
    for message in history:
        same = bool(group) and message.run_id is not None and group[-1].run_id == message.run_id
        answers_again = len(group) == 1 and group[0].role == "user" and message.role != "user"
        if group and not same and not answers_again:
            yield group
            group = []
        group.append(message)
    if group:
        yield group


def _convert(message: shown.Message) -> Iterator[Item]:
    """Yield the displayed form as the framework's items; a call without a result is left out."""
    if message.role == "system":
        yield {"role": "system", "content": message.content}
        return
    if message.role == "user":
        yield from input_of(message.parts)
        return
    results = {part.call_id for part in message.parts if isinstance(part, shown.ToolResultPart)}
    called: set[str] = set()
    for part in message.parts:
        match part:
            case shown.ToolCallPart(call_id=call_id, name=name, arguments=arguments) if call_id in results:
                called.add(call_id)
                text = arguments if isinstance(arguments, str) else pydantic_core.to_json(arguments).decode()
                yield {"type": "function_call", "call_id": call_id, "name": name, "arguments": text}
            case shown.ToolResultPart(call_id=call_id) if call_id in called:
                yield {"type": "function_call_output", "call_id": call_id, "output": _told(part)}
            case shown.TextPart(text=text) if text:
                yield {"role": "assistant", "content": text}
            case shown.OutputPart(output=output):
                yield {"role": "assistant", "content": pydantic_core.to_json(output).decode()}
            case _:
                continue


def _told(part: shown.ToolResultPart) -> str:
    if part.error is not None:
        return part.error
    return part.result if isinstance(part.result, str) else pydantic_core.to_json(part.result).decode()
