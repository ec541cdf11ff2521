"""The displayed thread as a conversation for an OpenAI-compatible endpoint; other agents' tool calls stay out."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from landline.model.errors import NotFound
from landline.model.events import encode
from landline.model.messages import ImagePart, OutputPart, Part, TextPart
from landline.ports.adapter import Line, Turn

__all__ = ["conversation_of"]

_GONE = "[An image that was here has been deleted.]"


async def conversation_of(turn: Turn, path: str) -> list[dict[str, Any]]:
    """Return history and input as messages with a role and a content.

    Raises:
        NotFound: An image of the input is gone.
    """
    chat = path.endswith("completions")
    found: list[dict[str, Any]] = []
    for message in turn.history:
        if message.role == "tool":
            continue
        user = message.role == "user"
        content = await _content(message.parts, turn.line, chat=chat, images=user, forgiving=True)
        if content:
            found.append({"role": message.role, "content": content})
    content = await _content(turn.input, turn.line, chat=chat, images=True, forgiving=False)
    found.append({"role": "user", "content": content})
    return found


async def _content(
    parts: Sequence[Part], line: Line, *, chat: bool, images: bool, forgiving: bool
) -> str | list[dict[str, Any]]:
    """Return a text, or, with images, the endpoint's own parts."""
    content: list[dict[str, Any]] = []
    text_type = "text" if chat else "input_text"
    for part in parts:
        match part:
            case TextPart(text=text) if text:
                content.append({"type": text_type, "text": text})
            case OutputPart(output=output):
                content.append({"type": text_type, "text": encode(output).decode()})
            case ImagePart(file_id=file_id) if images:
                content.append(await _image(file_id, line, chat=chat, forgiving=forgiving))
            case _:
                continue
    if all(item["type"] == text_type for item in content):
        return "".join(item["text"] for item in content)
    return content


async def _image(file_id: str, line: Line, *, chat: bool, forgiving: bool) -> dict[str, Any]:
    try:
        _, media_type, data = await line.read_file(file_id)
    except NotFound:
        if not forgiving:
            raise
        return {"type": "text" if chat else "input_text", "text": _GONE}
    url = f"data:{media_type};base64,{b64encode(data).decode()}"
    if chat:
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "input_image", "image_url": url}
