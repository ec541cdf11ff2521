"""Questions of a waiting run as AG-UI's interrupts, and the answers back: pure functions."""

from collections.abc import Sequence
from typing import Any, cast

from landline.faces.ag_ui.wire import ResumeBody
from landline.model.errors import Conflict, FieldError, Invalid
from landline.model.events import QuestionAsked
from landline.model.runs import Answer, Question

__all__ = ["abandons", "answer_of", "check_cover", "interrupt_of", "is_client_call"]

_ABANDONED = "Abandoned by the user."


def is_client_call(question: Question | QuestionAsked) -> bool:
    """Tell whether a question is a call that the application carries out; its answer is a tool message."""
    return question.client


def interrupt_of(question: Question) -> dict[str, Any]:
    """Return the interrupt that asks `question`; its `responseSchema` is what `answer_of` takes as the payload."""
    shown: dict[str, Any] = {
        "id": question.question_id,
        "reason": "input_required",
        "message": question.prompt,
    }
    if question.kind == "approval":
        shown["reason"] = "tool_call" if question.call_id else "confirmation"
    if question.call_id is not None:
        shown["toolCallId"] = question.call_id
    shown["responseSchema"] = _schema(question)
    if question.expires_at is not None:
        shown["expiresAt"] = question.expires_at
    if question.tool is not None:
        shown["metadata"] = {"landline": {"tool": question.tool, "arguments": question.arguments}}
    return shown


def _schema(question: Question) -> dict[str, Any]:
    if question.kind == "choice":
        return {"type": "string", "enum": list(question.choices or ())}
    if question.kind == "input":
        return {"type": "string", **({"examples": list(question.choices)} if question.choices else {})}
    properties: dict[str, Any] = {"approved": {"type": "boolean"}, "reason": {"type": "string"}}
    if question.tool is not None and question.needed == 1:
        properties["editedArgs"] = {"type": "object", "description": "Replaces the tool's arguments."}
    return {
        "type": "object",
        "properties": properties,
        "required": ["approved"],
        "additionalProperties": False,
    }


def check_cover(open_: Sequence[Question], resume: Sequence[ResumeBody]) -> None:
    """Refuse answers that leave an open question out, or name one that is not open.

    Raises:
        Invalid: An interrupt is not answered, or is answered twice.
        Conflict: An entry names an interrupt that the thread does not wait for.
    """
    asked = [question.question_id for question in open_ if not is_client_call(question)]
    given = [entry.interrupt_id for entry in resume]
    if len(set(given)) != len(given):
        raise _fault("an interrupt is answered twice")
    for id_ in given:
        if id_ not in asked:
            raise Conflict(f"The thread waits for no interrupt {id_[:64]!r}.", code="interrupt_closed")
    missing = [id_ for id_ in asked if id_ not in given]
    if missing:
        raise _fault(f"every open interrupt must be answered; not answered: {', '.join(missing[:10])}")


def abandons(open_: Sequence[Question], resume: Sequence[ResumeBody]) -> bool:
    """Tell whether the run cannot go on: a question was abandoned that nothing but an answer settles."""
    kinds = {question.question_id: question.kind for question in open_}
    return any(
        entry.status == "cancelled" and kinds.get(entry.interrupt_id) != "approval" for entry in resume
    )


def answer_of(question: Question, entry: ResumeBody, index: int) -> Answer:
    """Return the answer that a resume entry gives; an approval that was abandoned is denied.

    Raises:
        Invalid: The payload does not fit.
    """
    id_, payload = question.question_id, entry.payload
    if question.kind != "approval":
        return Answer(question_id=id_, value=payload)
    if entry.status == "cancelled":
        return Answer(question_id=id_, approve=False, reason=_ABANDONED)
    if isinstance(payload, bool) and question.tool is None:
        return Answer(question_id=id_, approve=payload)
    given = cast("dict[str, Any]", payload) if isinstance(payload, dict) else {}
    approved, reason, arguments = given.get("approved"), given.get("reason"), given.get("editedArgs")
    unknown = set(given) - {"approved", "reason", "editedArgs"}
    fits = (
        isinstance(approved, bool)
        and not unknown
        and (reason is None or isinstance(reason, str))
        and (arguments is None or isinstance(arguments, dict))
    )
    if not fits:
        raise _fault("an approval takes {approved, reason?, editedArgs?}", index, "payload")
    return Answer(
        question_id=id_, approve=approved, reason=reason, arguments=cast("dict[str, Any] | None", arguments)
    )


def _fault(message: str, *where: int | str) -> Invalid:
    return Invalid(
        "The request does not fit; see errors.",
        code="invalid_request",
        errors=[FieldError(loc=["body", "resume", *where], message=message)],
    )
