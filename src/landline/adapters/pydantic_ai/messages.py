"""History for the framework: a turn's own messages where it wrote them, the displayed form where it did not (THR-3).

Parsed turns are kept by message id, so that a warm thread is not parsed again (PRF-5). The bytes of users' files are
never in a turn's JSON: the file's id stands there, and the file is read when the turn is sent again (THR-9).
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, cast

import pydantic_core
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from typing_extensions import TypeIs

from landline.model import messages as shown
from landline.model.errors import NotFound
from landline.ports.adapter import Line

__all__ = ["FRAMEWORK", "VERSION", "dump_native", "history_of", "prompt_of"]

FRAMEWORK = "pydantic_ai"
VERSION = 1

_FILE = "landline-file:"
_GONE = "[A file that was here has been deleted.]"
_KEPT_TURNS = 4_096

_parsed: OrderedDict[str, list[ModelMessage]] = OrderedDict()


async def prompt_of(parts: Sequence[shown.Part], line: Line) -> str | list[UserContent] | None:
    """Return the user's parts as a prompt, or None when there is nothing to say."""
    content: list[UserContent] = []
    for part in parts:
        match part:
            case shown.TextPart(text=text):
                content.append(text)
            case shown.FilePart(file_id=file_id) | shown.ImagePart(file_id=file_id):
                content.append(await _read(file_id, line))
            case shown.OutputPart(output=output):
                content.append(pydantic_core.to_json(output).decode())
            case _:
                continue
    if all(isinstance(item, str) for item in content):
        return "".join(cast("list[str]", content)) or None
    return content


async def _read(file_id: str, line: Line) -> BinaryContent:
    _, media_type, data = await line.read_file(file_id)
    return BinaryContent(data=data, media_type=media_type, identifier=_FILE + file_id)


def dump_native(messages: list[ModelMessage]) -> bytes:
    """Return a turn's messages as the framework's JSON, users' files by id only."""
    return ModelMessagesTypeAdapter.dump_json([_without_bytes(message) for message in messages])


def _without_bytes(message: ModelMessage) -> ModelMessage:
    if not isinstance(message, ModelRequest) or not any(_files(part) for part in message.parts):
        return message
    parts = [
        replace(part, content=[_emptied(item) if _is_ours(item) else item for item in part.content])
        if isinstance(part, UserPromptPart) and _files(part)
        else part
        for part in message.parts
    ]
    return replace(message, parts=parts)


def _emptied(item: BinaryContent) -> BinaryContent:
    # Not `replace`: it would lose the identifier, which the framework keeps under an alias.
    return BinaryContent(data=b"", media_type=item.media_type, identifier=item.identifier)


def _is_ours(item: object) -> TypeIs[BinaryContent]:
    return isinstance(item, BinaryContent) and item.identifier.startswith(_FILE)


def _files(part: object) -> bool:
    return (
        isinstance(part, UserPromptPart)
        and not isinstance(part.content, str)
        and any(_is_ours(item) for item in part.content)
    )


async def history_of(history: Sequence[shown.Message], line: Line) -> list[ModelMessage]:
    """Return the branch before this turn as the framework's messages."""
    messages: list[ModelMessage] = []
    for run in _runs(history):
        whole = run[-1]
        if (native := whole.native) is None or (native.framework, native.version) != (FRAMEWORK, VERSION):
            messages += [converted for message in run async for converted in _convert(message, line)]
            continue
        if run[0].role == "user" and run[0].run_id != whole.run_id and not _has_prompt(whole):
            # The turn answered an older question again without repeating it.
            messages += [converted async for converted in _convert(run[0], line)]
        for message in _parse(whole):
            messages.append(await _with_bytes(message, line))
    return messages


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


def _parse(message: shown.Message) -> list[ModelMessage]:
    """Return copies of the turn's messages: what a history processor changes in them stays with its own run."""
    kept = _parsed.get(message.id)
    if kept is None:
        assert message.native is not None
        kept = _parsed[message.id] = ModelMessagesTypeAdapter.validate_json(bytes(message.native.messages))
        while len(_parsed) > _KEPT_TURNS:
            _parsed.popitem(last=False)
    else:
        _parsed.move_to_end(message.id)
    return [_copied(one) for one in kept]


def _copied(message: ModelMessage) -> ModelMessage:
    twin = copy(message)
    twin.parts = list(cast("list[Any]", message.parts))
    return twin


def _has_prompt(message: shown.Message) -> bool:
    first = _parse(message)[:1]
    return bool(first) and any(isinstance(part, UserPromptPart) for part in first[0].parts)


async def _with_bytes(message: ModelMessage, line: Line) -> ModelMessage:
    if not isinstance(message, ModelRequest) or not any(_files(part) for part in message.parts):
        return message
    parts: list[Any] = []
    for part in message.parts:
        if isinstance(part, UserPromptPart) and _files(part):
            content = [await _filled(item, line) for item in part.content]
            parts.append(replace(part, content=content))
        else:
            parts.append(part)
    return replace(message, parts=parts)


async def _filled(item: Any, line: Line) -> Any:
    if not _is_ours(item):
        return item
    try:
        return await _read(item.identifier.removeprefix(_FILE), line)
    except NotFound:
        return _GONE


async def _convert(message: shown.Message, line: Line) -> AsyncIterator[ModelMessage]:
    """Yield the displayed form as the framework's messages."""
    match message.role:
        case "system":
            yield ModelRequest(parts=[SystemPromptPart(content=message.content)])
        case "user":
            if (prompt := await _prompt_or_gone(message, line)) is not None:
                yield ModelRequest(parts=[UserPromptPart(content=prompt)])
        case _:
            for converted in _spoken(message.parts):
                yield converted


async def _prompt_or_gone(message: shown.Message, line: Line) -> Any:
    try:
        return await prompt_of(message.parts, line)
    except NotFound:
        return "\n".join(text for text in (message.content, _GONE) if text)


def _spoken(parts: Sequence[shown.Part]) -> Iterator[ModelMessage]:
    """Calls and their results alternate; a call without a result never reached the model and is left out."""
    results = {part.call_id: part for part in parts if isinstance(part, shown.ToolResultPart)}
    said: list[TextPart | ToolCallPart] = []
    answered: list[ToolReturnPart] = []
    for part in parts:
        if answered and not isinstance(part, shown.ToolResultPart):
            yield ModelResponse(parts=said)
            yield ModelRequest(parts=answered)
            said, answered = [], []
        match part:
            case shown.ToolCallPart(call_id=call_id, name=name, arguments=arguments) if call_id in results:
                said.append(ToolCallPart(tool_name=name, args=arguments, tool_call_id=call_id))
            case shown.ToolResultPart() if part.call_id in _ids(said):
                answered.append(_returned(part))
            case shown.TextPart(text=text) if text:
                said.append(TextPart(content=text))
            case shown.OutputPart(output=output):
                said.append(TextPart(content=pydantic_core.to_json(output).decode()))
            case _:
                continue
    if said:
        yield ModelResponse(parts=said)
    if answered:
        yield ModelRequest(parts=answered)


def _ids(said: Sequence[TextPart | ToolCallPart]) -> set[str]:
    return {part.tool_call_id for part in said if isinstance(part, ToolCallPart)}


def _returned(part: shown.ToolResultPart) -> ToolReturnPart:
    if part.error is not None:
        return ToolReturnPart(
            tool_name=part.name, content=part.error, tool_call_id=part.call_id, outcome="failed"
        )
    return ToolReturnPart(tool_name=part.name, content=part.result, tool_call_id=part.call_id)
