"""History for the framework: a turn's own events where it wrote them, the displayed form where it did not (THR-3).

The bytes of users' files are never in a turn's JSON: the file's id stands there, and the file is read when the turn is
sent again (THR-9).
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pydantic_core
from ag2.events import (
    BaseEvent,
    BinaryInput,
    BinaryType,
    Input,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolCallEvent,
    ToolCallsEvent,
    ToolResult,
    ToolResultEvent,
    ToolResultsEvent,
)

from landline.adapters.ag2.codec import dump_events, load_events
from landline.model import messages as shown
from landline.model.errors import NotFound
from landline.ports.adapter import Line

__all__ = ["FRAMEWORK", "VERSION", "dump_native", "history_of", "inputs_of"]

FRAMEWORK = "ag2"
VERSION = 1

_FILE = "landline_file"
_GONE = "[A file that was here has been deleted.]"
_KINDS = {"image": BinaryType.IMAGE, "audio": BinaryType.AUDIO, "video": BinaryType.VIDEO}


async def inputs_of(parts: Sequence[shown.Part], line: Line) -> list[Input]:
    """Return the user's parts as the framework's inputs."""
    inputs: list[Input] = []
    for part in parts:
        match part:
            case shown.TextPart(text=text):
                inputs.append(TextInput(text))
            case shown.FilePart(file_id=file_id) | shown.ImagePart(file_id=file_id):
                inputs.append(await _read(file_id, line))
            case shown.OutputPart(output=output):
                inputs.append(TextInput(pydantic_core.to_json(output).decode()))
            case _:
                continue
    return inputs


async def _read(file_id: str, line: Line) -> Input:
    name, media_type, data = await line.read_file(file_id)
    kind = _KINDS.get(media_type.partition("/")[0], BinaryType.DOCUMENT)
    return BinaryInput(
        data, media_type=media_type, kind=kind, vendor_metadata={"filename": name}, metadata={_FILE: file_id}
    )


def dump_native(events: Sequence[BaseEvent]) -> bytes:
    """Return a turn's events as JSON, users' files by id only."""
    return dump_events([_without_bytes(event) for event in events])


def _without_bytes(event: BaseEvent) -> BaseEvent:
    if not isinstance(event, ModelRequest) or not any(_is_ours(part) for part in event.parts):
        return event
    emptied = [
        BinaryInput(
            b"",
            media_type=part.media_type,
            kind=part.kind,
            vendor_metadata=part.vendor_metadata,
            metadata=part.metadata,
        )
        if isinstance(part, BinaryInput) and _is_ours(part)
        else part
        for part in event.parts
    ]
    return type(event)(emptied, created_at=event.created_at)


def _is_ours(part: Input) -> bool:
    return isinstance(part, BinaryInput) and _FILE in part.metadata


async def history_of(history: Sequence[shown.Message], line: Line) -> list[BaseEvent]:
    """Return the branch before this turn as the framework's events."""
    events: list[BaseEvent] = []
    for run in _runs(history):
        whole = run[-1]
        if (native := whole.native) is None or (native.framework, native.version) != (FRAMEWORK, VERSION):
            for message in run:
                events += await _convert(message, line)
            continue
        # Read anew each time: the framework hands its events out, and what is changed in them stays with its run.
        own = load_events(bytes(native.messages))
        if (
            run[0].role == "user"
            and run[0].run_id != whole.run_id
            and not isinstance(next(iter(own), None), ModelRequest)
        ):
            events += await _convert(run[0], line)
        for event in own:
            events.append(await _with_bytes(event, line))
    return events


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


async def _with_bytes(event: BaseEvent, line: Line) -> BaseEvent:
    if not isinstance(event, ModelRequest) or not any(_is_ours(part) for part in event.parts):
        return event
    parts = [await _filled(part, line) if _is_ours(part) else part for part in event.parts]
    return type(event)(parts, created_at=event.created_at)


async def _filled(part: Input, line: Line) -> Input:
    try:
        return await _read(str(part.metadata[_FILE]), line)
    except NotFound:
        return TextInput(_GONE)


async def _convert(message: shown.Message, line: Line) -> Sequence[BaseEvent]:
    """Return the displayed form as the framework's events."""
    if message.role in ("user", "system"):
        inputs: list[Input]
        try:
            inputs = await inputs_of(message.parts, line)
        except NotFound:
            inputs = [TextInput(text) for text in (message.content, _GONE) if text]
        return [ModelRequest(inputs)] if inputs else []
    return list(_spoken(message.parts))


def _spoken(parts: Sequence[shown.Part]) -> Iterator[BaseEvent]:
    """Calls and their results alternate; a call without a result never reached the model and is left out."""
    results = {part.call_id for part in parts if isinstance(part, shown.ToolResultPart)}
    texts: list[str] = []
    calls: list[ToolCallEvent] = []
    answered: list[ToolResultEvent] = []
    for part in parts:
        if answered and not isinstance(part, shown.ToolResultPart):
            yield from _exchange(texts, calls, answered)
            texts, calls, answered = [], [], []
        match part:
            case shown.ToolCallPart(call_id=call_id, name=name, arguments=arguments) if call_id in results:
                calls.append(ToolCallEvent(name, id=call_id, arguments=json.dumps(arguments)))
            case shown.ToolResultPart() if part.call_id in {call.id for call in calls}:
                told = cast("Any", part.result if part.error is None else part.error)
                answered.append(
                    ToolResultEvent(parent_id=part.call_id, name=part.name, result=ToolResult(told))
                )
            case shown.TextPart(text=text) if text:
                texts.append(text)
            case shown.OutputPart(output=output):
                texts.append(pydantic_core.to_json(output).decode())
            case _:
                continue
    yield from _exchange(texts, calls, answered)


def _exchange(
    texts: list[str], calls: list[ToolCallEvent], answered: list[ToolResultEvent]
) -> Iterator[BaseEvent]:
    if texts or calls:
        message = ModelMessage("".join(texts)) if texts else None
        yield ModelResponse(message, tool_calls=ToolCallsEvent(calls))
    if answered:
        yield ToolResultsEvent(answered)
