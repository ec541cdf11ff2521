"""Bodies and headers into the ports' own requests: pure functions."""

from typing import Any, Final, cast

from landline.faces.native.wire import (
    MAX_INPUT_CHARS,
    AnswersBody,
    FanoutBody,
    FileInput,
    ImageInput,
    PatchThreadBody,
    RunFields,
    TextInput,
)
from landline.model.errors import FieldError, Invalid
from landline.model.ids import fingerprint
from landline.model.messages import FilePart, ImagePart, Part, TextPart
from landline.model.runs import Answer
from landline.ports.runs import StartRun
from landline.ports.store import IdempotencyKey, ThreadPatch
from landline.web.strict_json import canonical

__all__ = ["answers", "cursor", "fanout", "idempotency", "patch", "start"]

_HOW_NOT_WHAT: Final = frozenset({"mode", "on_disconnect"})
"""Fields that say how to read the answer: a repeat may ask for another way (clarification 10)."""


def start(
    body: RunFields,
    *,
    thread_id: str | None,
    key: IdempotencyKey | None,
    title: str | None = None,
) -> StartRun:
    """Return the run that `body` asks for.

    Raises:
        Invalid: Neither an input nor a message to answer again, or more text than an input may have.
    """
    if body.input is None and body.parent_id is None:
        raise _fault("input", "a run needs an input, or a parent_id to answer again")
    return StartRun(
        input=None if body.input is None else _parts(body.input),
        thread_id=thread_id,
        agent=body.agent,
        parent_id=_parent(body),
        title=title,
        on_busy=body.on_busy,
        settings=body.settings.model_dump(exclude_none=True) if body.settings else {},
        metadata=body.metadata or {},
        context=body.context,
        has_context=body.context is not None,
        deadline_s=body.deadline_s,
        idempotency=key,
    )


def fanout(body: FanoutBody) -> list[StartRun]:
    """Return the runs that `body` asks for, in the order of its agents."""
    given = _parts(body.input)
    settings = body.settings.model_dump(exclude_none=True) if body.settings else {}
    return [
        StartRun(
            input=given,
            agent=agent,
            title=body.title,
            settings=settings,
            metadata=body.metadata or {},
            context=body.context,
            has_context=body.context is not None,
            deadline_s=body.deadline_s,
        )
        for agent in body.agents
    ]


def answers(body: AnswersBody) -> list[Answer]:
    """Return the answers; one question is answered once."""
    found = [
        Answer(
            question_id=given.question_id,
            approve=given.approve,
            value=given.value,
            reason=given.reason,
            arguments=given.arguments,
        )
        for given in body.answers
    ]
    if len({answer.question_id for answer in found}) != len(found):
        raise _fault("answers", "a question is answered twice")
    return found


def patch(body: PatchThreadBody, *, at: str) -> ThreadPatch:
    """Return the changes; `title: null` is a change, a title left out is not."""
    return ThreadPatch(
        at=at,
        title=body.title,
        clear_title="title" in body.model_fields_set and body.title is None,
        metadata=body.metadata,
        pinned=body.pinned,
        archived=body.archived,
        head_id=body.head_id,
    )


def idempotency(key: str | None, *, route: str, body: Any) -> IdempotencyKey | None:
    """Return the key with the fingerprint of the body it came with, in canonical form."""
    if key is None:
        return None
    if isinstance(body, dict):
        fields = cast("dict[str, Any]", body)
        body = {name: value for name, value in fields.items() if name not in _HOW_NOT_WHAT}
    return IdempotencyKey(key=key, route=route, body_hash=fingerprint(canonical(body)))


def cursor(last_event_id: str | None, after: str | None) -> int:
    """Return where to go on reading. The header wins: a browser repeats the URL it began with, and adds the header."""
    return int(last_event_id or after or 0)


def _parts(given: str | list[TextInput | FileInput | ImageInput]) -> list[Part]:
    if isinstance(given, str):
        return [TextPart(text=given)]
    if sum(len(part.text) for part in given if isinstance(part, TextInput)) > MAX_INPUT_CHARS:
        raise _fault("input", f"an input may have {MAX_INPUT_CHARS} characters of text")
    return [_part(part) for part in given]


def _part(given: TextInput | FileInput | ImageInput) -> Part:
    match given:
        case TextInput():
            return TextPart(text=given.text)
        case FileInput():
            return FilePart(file_id=given.file_id)
        case ImageInput():
            return ImagePart(file_id=given.file_id)


def _parent(body: RunFields) -> str | None:
    """Return the parent as the ports spell it: null, said aloud, is the root; left out it is the head."""
    return "" if "parent_id" in body.model_fields_set and body.parent_id is None else body.parent_id


def _fault(where: str, message: str) -> Invalid:
    return Invalid(
        "The request does not fit; see errors.",
        code="invalid_request",
        errors=[FieldError(loc=["body", where], message=message)],
    )
