"""A chat completion's messages into history and input: pure but for the files in them, which `Inputs` keeps."""

from collections.abc import Sequence
from typing import Any, Final

from landline.faces.openai import chat_wire as wire
from landline.faces.openai.faults import Loc, fault
from landline.faces.openai.inputs import Inputs
from landline.model.carried import CarriedMessage
from landline.model.errors import Invalid
from landline.model.ids import fingerprint
from landline.model.messages import Part, TextPart, ToolCallPart, ToolResultPart
from landline.web import strict_json

__all__ = ["answered", "data_chars", "on_thread", "stateless"]

MAX_INPUT_CHARS: Final = 200_000
GO_ON: Final = "Go on from the results of the tools."
"""What a run is asked when a history of strangers' making ends in results of tools: a run needs an input."""

_MAX_CALL_ID: Final = 40


def answered(messages: Sequence[wire.Message]) -> dict[str, str]:
    """Return the results that the messages end with, by their call's id; nothing when they end otherwise."""
    found: dict[str, str] = {}
    for message in reversed(messages):
        if not isinstance(message, wire.ToolMessage):
            break
        found[message.tool_call_id] = _text(message.content)
    return dict(reversed(found.items()))


async def on_thread(
    messages: Sequence[wire.Message], inputs: Inputs
) -> tuple[list[CarriedMessage], list[Part]]:
    """Return the client's instructions, and the last thing the user said: all that is taken where there is a thread.

    Raises:
        Invalid: The messages end with something else: on a thread nobody but the agent makes answers and results.
    """
    said = [message for message in messages if not isinstance(message, wire.SystemMessage)]
    if not said or not isinstance(said[-1], wire.UserMessage):
        raise fault(
            ("messages", len(messages) - 1, "role"),
            "on a thread the last message must be the user's, or the results of calls that the thread waits for",
            code="forged_history",
        )
    index = max(index for index, message in enumerate(messages) if message is said[-1])
    instructions = [
        CarriedMessage(role="system", parts=[TextPart(text=_text(message.content))])
        for message in messages
        if isinstance(message, wire.SystemMessage)
    ]
    return instructions, await _said(said[-1], inputs, at=("messages", index, "content"))


def data_chars(messages: Sequence[wire.Message]) -> int:
    """Return how much of a request is the data of its images and files, which has a limit of its own."""
    count = 0
    for message in messages:
        if isinstance(message, wire.UserMessage) and not isinstance(message.content, str):
            for part in message.content:
                match part:
                    case wire.ImagePart(image_url=image):
                        count += len(image.url)
                    case wire.FilePart(file=file):
                        count += len(file.file_data or "")
                    case _:
                        pass
    return count


async def stateless(
    messages: Sequence[wire.Message], inputs: Inputs
) -> tuple[list[CarriedMessage], list[Part]]:
    """Return the history that the request carries, and its input: what the user said last.

    Raises:
        Invalid: The order of the messages makes no sense.
    """
    asked = _asked(messages)
    history: list[CarriedMessage] = []
    given: list[Part] = [TextPart(text=GO_ON)]
    index = 0
    while index < len(messages):
        message = messages[index]
        if index == asked:
            given = await _input(message, inputs, at=("messages", index, "content"))
            index += 1
        elif isinstance(message, wire.AssistantMessage):
            parts, index = _exchange(messages, index)
            history += [CarriedMessage(role="assistant", parts=parts)] if parts else []
        elif isinstance(message, wire.ToolMessage):
            said = "a result must follow the call it belongs to"
            raise fault(("messages", index, "tool_call_id"), said)
        else:
            history.append(await _carried(message, inputs, at=("messages", index, "content")))
            index += 1
    return history, given


def _asked(messages: Sequence[wire.Message]) -> int | None:
    """Return the place of the input: the last message, but for instructions behind it; None after results of tools."""
    index = len(messages) - 1
    while isinstance(messages[index], wire.SystemMessage) and index:
        index -= 1
    match messages[index]:
        case wire.UserMessage():
            return index
        case wire.SystemMessage():
            return len(messages) - 1  # instructions and nothing else are what is asked
        case wire.ToolMessage():
            return None
        case _:
            said = "the last message must be the user's or a tool's: no agent goes on with an answer that it began"
            raise fault(("messages", index, "role"), said)


async def _input(message: wire.Message, inputs: Inputs, *, at: Loc) -> list[Part]:
    if isinstance(message, wire.SystemMessage):
        return [TextPart(text=_filled(_text(message.content), at=at))]
    assert isinstance(message, wire.UserMessage)
    return await _said(message, inputs, at=at)


async def _said(message: wire.UserMessage, inputs: Inputs, *, at: Loc) -> list[Part]:
    parts = await _parts(message, inputs, at=at)
    if not any(not isinstance(part, TextPart) or part.text for part in parts):
        raise fault(at, "it is empty")
    if sum(len(part.text) for part in parts if isinstance(part, TextPart)) > MAX_INPUT_CHARS:
        raise fault(at, f"an input may have {MAX_INPUT_CHARS} characters of text")
    return parts


async def _carried(message: wire.Message, inputs: Inputs, *, at: Loc) -> CarriedMessage:
    if isinstance(message, wire.SystemMessage):
        return CarriedMessage(role="system", parts=[TextPart(text=_text(message.content))])
    assert isinstance(message, wire.UserMessage)
    return CarriedMessage(role="user", parts=await _parts(message, inputs, at=at))


async def _parts(message: wire.UserMessage, inputs: Inputs, *, at: Loc) -> list[Part]:
    if isinstance(message.content, str):
        return [TextPart(text=message.content)]
    return [await _part(part, inputs, at=(*at, index)) for index, part in enumerate(message.content)]


async def _part(part: wire.UserPart, inputs: Inputs, *, at: Loc) -> Part:
    match part:
        case wire.TextPart():
            return TextPart(text=part.text)
        case wire.ImagePart():
            return await inputs.image(at=(*at, "image_url", "url"), url=part.image_url.url)
        case wire.FilePart(file=file):
            return await inputs.file(
                at=(*at, "file"), data=file.file_data, file_id=file.file_id, name=file.filename
            )
        case wire.AudioPart():
            raise fault((*at, "input_audio"), "sound is not taken", code="unsupported_parameter")


def _exchange(messages: Sequence[wire.Message], index: int) -> tuple[list[Part], int]:
    """Return an answer with the results of the calls it made, and the place behind them.

    Ours is one message for both; an id too long for some models' wires is shortened, the same in call and result.
    """
    said = messages[index]
    assert isinstance(said, wire.AssistantMessage)
    text = _spoken(said)
    parts: list[Part] = [TextPart(text=text)] if text else []
    calls = {call.id: call for call in said.tool_calls or ()}
    for place, call in enumerate(calls.values()):
        at = ("messages", index, "tool_calls", place, "function", "arguments")
        parts.append(
            ToolCallPart(
                call_id=_short(call.id),
                name=call.function.name,
                arguments=_arguments(call.function.arguments, at=at),
            )
        )
    behind, open_calls = index + 1, set(calls)
    while behind < len(messages) and isinstance(result := messages[behind], wire.ToolMessage):
        if result.tool_call_id not in open_calls:
            said_ = "no call before it has this id, or it has its result already"
            raise fault(("messages", behind, "tool_call_id"), said_)
        open_calls.discard(result.tool_call_id)
        call = calls[result.tool_call_id]
        parts.append(
            ToolResultPart(call_id=_short(call.id), name=call.function.name, result=_text(result.content))
        )
        behind += 1
    if open_calls:
        raise fault(("messages", index, "tool_calls"), "each call must be followed by its result")
    return parts, behind


def _spoken(message: wire.AssistantMessage) -> str:
    content = message.content
    if isinstance(content, list):
        content = "".join(part.text if isinstance(part, wire.TextPart) else part.refusal for part in content)
    return content or message.refusal or ""


def _arguments(text: str, *, at: Loc) -> Any:
    try:
        return strict_json.parse(text.encode()) if text.strip() else {}
    except (Invalid, UnicodeEncodeError):
        raise fault(at, "the arguments of a call are JSON as text") from None


def _short(call_id: str) -> str:
    return call_id if len(call_id) <= _MAX_CALL_ID else f"call_{fingerprint(call_id.encode())[:32]}"


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _filled(text: str, *, at: Loc) -> str:
    if not text:
        raise fault(at, "it is empty")
    if len(text) > MAX_INPUT_CHARS:
        raise fault(at, f"an input may have {MAX_INPUT_CHARS} characters of text")
    return text
