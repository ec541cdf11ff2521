"""What an agent's tool takes and gives, as JSON schemas made from what is known of the agent. Pure.

A label `mcp.message` is what an agent is told by a client that says nothing: such an agent needs no arguments.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, Final, cast

from pydantic import Field

from landline.faces.mcp.wire import MAX_MESSAGE_CHARS, Arguments, GivenFile, Id, parsed
from landline.model.agents import AgentInfo
from landline.model.errors import Invalid
from landline.web.strict_json import canonical

__all__ = ["Given", "input_schema", "message_default", "output_schema", "read_arguments"]

DEFAULT_LABEL: Final = "mcp.message"
_THREAD: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "description": "Go on in this thread: the `thread_id` of an earlier result. Left out, a new one begins.",
}
_FILES: Final = {
    "type": "array",
    "maxItems": 16,
    "description": "Files that go along with the message.",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 128},
            "data": {"type": "string", "contentEncoding": "base64"},
        },
        "required": ["name", "data"],
        "additionalProperties": False,
    },
}
_QUESTIONS: Final = {
    "type": "array",
    "description": "What a waiting run needs to know before it can go on.",
    "items": {
        "type": "object",
        "properties": {
            "question_id": {"type": "string"},
            "kind": {"type": "string", "enum": ["approval", "input", "choice"]},
            "prompt": {"type": "string"},
            "tool": {"type": "string"},
            "choices": {"type": "array", "items": {"type": "string"}},
            "expires_at": {"type": "string"},
        },
        "required": ["question_id", "kind", "prompt"],
    },
}
STATUSES: Final = ["queued", "running", "waiting", "completed", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """The arguments of a call of an agent."""

    message: Any
    thread_id: str | None
    files: list[GivenFile]


class _AgentCall(Arguments):
    message: Any = None
    thread_id: Id | None = None
    files: Annotated[list[GivenFile], Field(default_factory=list, max_length=16)]


def input_schema(info: AgentInfo) -> dict[str, Any]:
    """Return what the tool takes: a message, in the agent's own schema when it takes data, and where it belongs."""
    message, shared = _hoisted(_message_schema(info))
    default = message_default(info)
    if default is not None:
        message = {**message, "default": default}
    properties: dict[str, Any] = {"message": message, "thread_id": dict(_THREAD)}
    if {"files", "images"} & set(info.capabilities):
        properties["files"] = deepcopy(_FILES)
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if default is None:
        schema["required"] = ["message"]
    return {**schema, **({"$defs": shared} if shared else {})}


def output_schema(info: AgentInfo) -> dict[str, Any]:
    """Return what a result holds, however the run ends: its state, its place, and the output it gave, if it did."""
    output, shared = _hoisted(dict(info.output_schema))
    properties: dict[str, Any] = {
        "status": {"type": "string", "enum": STATUSES},
        "output": output,
        "run_id": {"type": "string"},
        "thread_id": {"type": "string", "description": "Pass it on to go on in this thread."},
        "error": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            "required": ["code", "message"],
        },
        "questions": deepcopy(_QUESTIONS),
        "sources": {"type": "array", "items": {"type": "object"}},
    }
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": ["status", "run_id", "thread_id"],
    }
    return {**schema, **({"$defs": shared} if shared else {})}


def message_default(info: AgentInfo) -> str | None:
    """Return what the agent is told when the client says nothing, or None: then a message is needed."""
    return info.labels.get(DEFAULT_LABEL)


def read_arguments(info: AgentInfo, arguments: Mapping[str, Any]) -> Given:
    """Return the arguments of a call. Raises Invalid."""
    given = parsed(_AgentCall, arguments)
    message: Any = given.message
    takes_data = "contentSchema" in info.input_schema
    if message is not None and not isinstance(message, str) and not takes_data:
        raise Invalid(
            "The arguments do not fit: message: Input should be a valid string", code="invalid_request"
        )
    if message == "":
        raise Invalid("The arguments do not fit: message is empty.", code="invalid_request")
    length = len(message) if isinstance(message, str) else len(canonical(message))
    if length > MAX_MESSAGE_CHARS:
        raise Invalid(f"A message may have {MAX_MESSAGE_CHARS} characters.", code="invalid_request")
    return Given(message=message, thread_id=given.thread_id, files=given.files)


def _message_schema(info: AgentInfo) -> dict[str, Any]:
    data = info.input_schema.get("contentSchema")
    if isinstance(data, dict):
        return deepcopy(cast("dict[str, Any]", data))
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_MESSAGE_CHARS,
        "description": f"What to tell {info.title}.",
    }


def _hoisted(schema: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a schema without its shared definitions, and these: a `$ref` begins at the root of the whole document."""
    schema = deepcopy(schema)
    shared = schema.pop("$defs", None)
    return schema, cast("dict[str, Any]", shared) if isinstance(shared, dict) else {}
