"""A conversation as AG-UI messages, for MESSAGES_SNAPSHOT: of stored messages, and of a run while it is being told."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from landline.model.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

__all__ = ["CONTEXT", "Transcript", "content_of", "json_text", "past_messages", "renamed", "result_id"]

CONTEXT = "\n\nFrom the application, for context:\n"
"""How the part begins that carries a request's `context` to the agent; it is not shown to the client again."""

Shown = dict[str, Any]


def result_id(call_id: str) -> str:
    """Return the id of the tool message that holds the result of a call."""
    return f"{call_id}:result"


def json_text(value: object) -> str:
    """Return a tool's result as text: text as it is, all else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def content_of(parts: Sequence[Part]) -> str | list[Shown]:
    """Return a user's parts as the content of a message; files are named by their ids at `landline`."""
    shown: list[Shown] = []
    for part in parts:
        match part:
            case TextPart(text=text) if not text.startswith(CONTEXT):
                shown.append({"type": "text", "text": text})
            case ImagePart(file_id=id_):
                shown.append({"type": "image", "source": _source(id_)})
            case FilePart(file_id=id_):
                shown.append({"type": "document", "source": _source(id_)})
            case _:
                pass
    if all(part["type"] == "text" for part in shown):
        return "".join(part["text"] for part in shown)
    return shown


def _source(file_id: str) -> Shown:
    return {"type": "file", "value": file_id, "provider": "landline"}


class Transcript:
    """What a run has said so far, as the client's list of messages holds it after the same events."""

    def __init__(self) -> None:
        self._messages: dict[str, Shown] = {}
        self._text: dict[str, list[str]] = {}

    def user(self, message_id: str, parts: Sequence[Part]) -> None:
        """Take in what the user said in between."""
        self._messages[message_id] = {"id": message_id, "role": "user", "content": content_of(parts)}

    def open(self, message_id: str) -> None:
        """Begin an assistant's message."""
        self._messages[message_id] = {"id": message_id, "role": "assistant"}
        self._text[message_id] = []

    def say(self, message_id: str, delta: str) -> None:
        """Add to an assistant's message."""
        self._text[message_id].append(delta)

    def call(self, call_id: str, name: str, arguments: str) -> None:
        """Take in a tool call; the client keeps it in a message of its own, by the call's id."""
        function = {"name": name, "arguments": arguments}
        calls = [{"id": call_id, "type": "function", "function": function}]
        self._messages[call_id] = {"id": call_id, "role": "assistant", "toolCalls": calls}

    def result(self, call_id: str, content: str) -> None:
        """Take in what a tool call gave."""
        id_ = result_id(call_id)
        self._messages[id_] = {"id": id_, "role": "tool", "toolCallId": call_id, "content": content}

    def drop(self, message_id: str) -> None:
        """Forget a message that was taken back."""
        self._messages.pop(message_id, None)
        self._text.pop(message_id, None)

    def messages(self) -> list[Shown]:
        """Return all of it, in order."""
        return [
            {**shown, "content": "".join(self._text[id_])} if id_ in self._text else shown
            for id_, shown in self._messages.items()
        ]


def past_messages(rows: Iterable[Message], names: Mapping[str, str]) -> list[Shown]:
    """Return stored messages as a client that followed them live would hold them; `names` are the client's own ids."""
    shown: list[Shown] = []
    for row in rows:
        if row.role == "user":
            shown.append({"id": row.id, "role": "user", "content": content_of(row.parts)})
        elif row.role == "assistant":
            shown += _assistant(row)
    return renamed(shown, names)


def renamed(shown: Iterable[Shown], names: Mapping[str, str]) -> list[Shown]:
    """Return messages under the ids that the client gave them."""
    return [{**message, "id": names.get(message["id"], message["id"])} for message in shown]


def _assistant(row: Message) -> list[Shown]:
    said = Transcript()
    for part in row.parts:
        match part:
            case ToolCallPart(call_id=id_, name=name, arguments=arguments):
                said.call(id_, name, msgspec.json.encode(arguments).decode())
            case ToolResultPart(call_id=id_, result=result, error=error):
                said.result(id_, error if error is not None else json_text(result))
            case _:
                pass
    if row.content:
        said.open(row.id)
        said.say(row.id, row.content)
    return said.messages()
