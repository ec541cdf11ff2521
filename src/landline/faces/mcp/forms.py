"""Questions of a run as forms for the client's user, and what the user filled in as answers. Pure.

A question of kind `input` may bring a form of its own: `arguments={"schema": {...}}` with a flat object schema, the only
kind a client must be able to show. The answer, which is a text, is then the filled-in object as JSON. `arguments["name"]`
names the form among several.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from mcp_types import ElicitRequest, ElicitRequestFormParams

from landline.faces.mcp.encode import question_data
from landline.model.runs import Answer, Question
from landline.web.strict_json import canonical

__all__ = ["Filled", "Unfit", "answer_of", "keys_of", "request_of"]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
}
_MOST_FIELDS: Final = 64
_MOST_CHARS: Final = 200_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """What a client's user did with a form."""

    action: Literal["accept", "decline", "cancel"]
    content: Mapping[str, Any] | None = None


class Unfit(ValueError):
    """What was filled in does not fit the form."""


def keys_of(questions: Sequence[Question]) -> dict[str, Question]:
    """Return the questions by the keys that name them to the client: a form's own name, else the question's id."""
    found: dict[str, Question] = {}
    for question in questions:
        name = _own(question).get("name")
        named = isinstance(name, str) and _NAME.fullmatch(name) and name not in found
        found[cast("str", name) if named else question.question_id] = question
    return found


def request_of(question: Question) -> ElicitRequest:
    """Return the question as a form for the client to show."""
    return ElicitRequest(
        params=ElicitRequestFormParams(message=_message(question), requested_schema=schema_of(question))
    )


def schema_of(question: Question) -> dict[str, Any]:
    """Return the form's schema: an object whose properties are primitive."""
    match question.kind:
        case "approval":
            properties = {
                "approve": {"type": "boolean", "title": "Approve", "description": "Whether it may go on."},
                "reason": {"type": "string", "title": "Reason", "description": "Why not, if not."},
            }
            return {"type": "object", "properties": properties, "required": ["approve"]}
        case "choice":
            choices = list(question.choices or ())
            field: dict[str, Any] = {"type": "string", "title": "Choice", "enum": choices}
            if _own(question).get("single") is False:
                field = {"type": "array", "title": "Choices", "items": {"type": "string", "enum": choices}}
            elif (default := _own(question).get("default")) in choices:
                field["default"] = default
            return {"type": "object", "properties": {"choice": field}, "required": ["choice"]}
        case "input":
            own = _own_schema(question)
            if own is not None:
                return own
            field = {"type": "string", "title": "Answer"}
            return {"type": "object", "properties": {"answer": field}, "required": ["answer"]}


def answer_of(question: Question, filled: Filled) -> Answer | None:
    """Return the answer, or None when the user gave none: the question stays open.

    Declining an approval is a denial. Dismissing a form, and declining to say something, say nothing.

    Raises:
        Unfit: The client sent what its form does not allow.
    """
    id_ = question.question_id
    if filled.action != "accept":
        if question.kind == "approval" and filled.action == "decline":
            return Answer(question_id=id_, approve=False, reason="The user declined.")
        return None
    content = dict(filled.content or {})
    _check(schema_of(question), content)
    match question.kind:
        case "approval":
            reason = content.get("reason")
            return Answer(
                question_id=id_,
                approve=content["approve"],
                reason=reason[:2000] if reason and not content["approve"] else None,
            )
        case "choice":
            return Answer(question_id=id_, value=content["choice"])
        case "input":
            own = _own_schema(question) is not None
            return Answer(question_id=id_, value=canonical(content).decode() if own else content["answer"])


def _message(question: Question) -> str:
    said = question.prompt or "The agent needs an answer."
    if question.kind == "approval" and question.tool:
        arguments = canonical(question_data(question).get("arguments")).decode()
        said = f"{said}\n\n{question.tool} {arguments}"
    return said


def _own(question: Question) -> Mapping[str, Any]:
    given: Any = question.arguments
    if question.kind == "approval" or question.tool is not None or not isinstance(given, dict):
        return {}
    return cast("dict[str, Any]", given)


def _own_schema(question: Question) -> dict[str, Any] | None:
    schema = _own(question).get("schema")
    if not isinstance(schema, dict):
        return None
    fields = cast("dict[str, Any]", schema).get("properties")
    if not isinstance(fields, dict) or not 0 < len(cast("dict[str, Any]", fields)) <= _MOST_FIELDS:
        return None
    known = cast("dict[str, Any]", fields)
    if not all(isinstance(field, dict) and _flat(cast("dict[str, Any]", field)) for field in known.values()):
        return None
    required = cast("dict[str, Any]", schema).get("required", [])
    needed = [
        name for name in cast("list[Any]", required if isinstance(required, list) else []) if name in known
    ]
    return {"type": "object", "properties": known, "required": needed}


def _flat(field: Mapping[str, Any]) -> bool:
    kind = field.get("type")
    return kind in _TYPES or (kind == "array" and isinstance(field.get("items"), dict))


def _check(schema: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    fields: Mapping[str, Any] = schema["properties"]
    missing = [name for name in schema["required"] if content.get(name) is None]
    if missing or any(name not in fields for name in content):
        raise Unfit(f"The form needs {', '.join(fields)}.")
    for name, value in content.items():
        if value is not None and not _fits(fields[name], value):
            raise Unfit(f"{name} does not fit its field.")


def _fits(field: Mapping[str, Any], value: Any) -> bool:
    kind = field.get("type")
    if kind == "array":
        allowed = _allowed(field["items"])
        items = cast("list[Any]", value) if isinstance(value, list) else [None]
        return all(isinstance(item, str) and (allowed is None or item in allowed) for item in items)
    if not isinstance(value, _TYPES[str(kind)]) or (kind != "boolean" and isinstance(value, bool)):
        return False
    allowed = _allowed(field)
    return (allowed is None or value in allowed) and not (isinstance(value, str) and len(value) > _MOST_CHARS)


def _allowed(field: Mapping[str, Any]) -> list[Any] | None:
    if isinstance(field.get("enum"), list):
        return cast("list[Any]", field["enum"])
    for name in ("oneOf", "anyOf"):
        if isinstance(field.get(name), list):
            options = cast("list[Any]", field[name])
            return [
                cast("dict[str, Any]", option).get("const") for option in options if isinstance(option, dict)
            ]
    return None
