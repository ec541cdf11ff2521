"""Messages and their parts: what was said in a thread, as it is shown (THR-4).

`native` keeps the framework's own messages beside the shown ones, so that the next turn continues exactly.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

__all__ = [
    "FilePart",
    "ImagePart",
    "Message",
    "Native",
    "OutputPart",
    "Part",
    "ReasoningPart",
    "Role",
    "SourcePart",
    "TextPart",
    "ToolCallPart",
    "ToolResultPart",
    "text_of",
]

Role = Literal["user", "assistant", "system", "tool"]


class TextPart(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """Text as it is shown."""

    text: str


class FilePart(msgspec.Struct, frozen=True, kw_only=True, tag="file"):
    """A file of the caller's, by id; its bytes are never in a message row (THR-9)."""

    file_id: str
    name: str | None = None
    media_type: str | None = None


class ImagePart(msgspec.Struct, frozen=True, kw_only=True, tag="image"):
    """An image file of the caller's, by id."""

    file_id: str
    name: str | None = None
    media_type: str | None = None


class ToolCallPart(msgspec.Struct, frozen=True, kw_only=True, tag="tool_call"):
    """A tool call the agent made."""

    call_id: str
    name: str
    arguments: Any


class ToolResultPart(msgspec.Struct, frozen=True, kw_only=True, tag="tool_result"):
    """What a tool call gave back, or its safe error text."""

    call_id: str
    name: str
    result: Any = None
    error: str | None = None


class OutputPart(msgspec.Struct, frozen=True, kw_only=True, tag="output"):
    """A structured answer."""

    output: Any


class ReasoningPart(msgspec.Struct, frozen=True, kw_only=True, tag="reasoning"):
    """What the model said it thought."""

    text: str


class SourcePart(msgspec.Struct, frozen=True, kw_only=True, tag="source"):
    """A source the answer rests on."""

    title: str
    url: str | None = None
    quote: str | None = None


Part = (
    TextPart | FilePart | ImagePart | ToolCallPart | ToolResultPart | OutputPart | ReasoningPart | SourcePart
)


class Native(msgspec.Struct, frozen=True, kw_only=True):
    """A framework's own messages of one turn, as its own JSON; data only, never code (TRU-15).

    `version` is the schema version the adapter wrote, so that a later adapter can read or refuse it.
    """

    framework: str
    version: int
    messages: msgspec.Raw


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a thread; `seq` rises by one within the thread, `parent_id` makes branches (THR-5)."""

    id: str
    thread_id: str
    run_id: str | None
    parent_id: str | None
    seq: int
    role: Role
    content: str
    parts: Sequence[Part]
    created_at: str
    metadata: dict[str, Any] = {}
    native: Native | None = None


def text_of(parts: Sequence[Part]) -> str:
    """Return the text of `parts` as one string, text parts joined as they stand."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))
