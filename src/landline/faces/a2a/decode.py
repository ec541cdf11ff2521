"""A2A's messages into the ports' own requests: pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import msgspec
from pydantic import ValidationError

from landline.faces.a2a import wire
from landline.faces.a2a.errors import bad_content
from landline.faces.a2a.wire import Message
from landline.model.agents import AgentInfo
from landline.model.errors import FieldError, Invalid
from landline.model.messages import TextPart
from landline.model.runs import Answer, Question
from landline.web.faults import faults_of
from landline.web.inline_files import Unreadable, from_base64

__all__ = ["Upload", "answers", "input_modes", "inputs", "read"]

Model = TypeVar("Model", bound=wire.Request)

_TEXT: Final = "text/plain"
_IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
_FILES: Final = ("application/pdf", "text/*")
_YES: Final = frozenset({"yes", "y", "approve", "approved", "ok"})
_NO: Final = frozenset({"no", "n", "deny", "denied", "reject", "rejected"})
_GRAMMAR: Final = (
    'Answer with the text yes or no, or with a data part such as {"approve": true} or '
    '{"approve": false, "reason": "…"}.'
)
_MANY: Final = (
    'Several questions are open: answer with a data part {"answers": [{"questionId": "…", "approve": true}, '
    '{"questionId": "…", "value": "…"}]}.'
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file that a message brings in itself."""

    name: str
    data: bytes


def read(model: type[Model], given: Any) -> Model:
    """Return JSON-RPC params as a request. Raises Invalid with their faults."""
    try:
        return model.model_validate({} if given is None else given)
    except ValidationError as error:
        faults = faults_of(error.errors(include_input=False, include_url=False), given)
        raise Invalid("The params do not fit; see data.", code="invalid_request", errors=faults) from error


def input_modes(info: AgentInfo) -> list[str]:
    """Return the media types an agent takes; `text/*` is a family."""
    modes = [_TEXT, wire.JSON]
    if "images" in info.capabilities:
        modes += _IMAGES
    if "files" in info.capabilities:
        modes += _FILES
    return modes


def inputs(message: Message, info: AgentInfo) -> list[TextPart | Upload]:
    """Return what a message says to an agent; data is given as JSON text.

    Raises:
        Invalid: A part of a type the agent does not take, a file by address, or bytes that are no base64, or none.
    """
    modes = input_modes(info)
    found: list[TextPart | Upload] = []
    for number, part in enumerate(message.parts):
        if part.media_type and not _fits(part.media_type, modes):
            raise bad_content(f"The agent does not take {part.media_type}; it takes: {', '.join(modes)}.")
        match part.holds:
            case "text":
                found.append(TextPart(text=part.text or ""))
            case "data":
                found.append(TextPart(text=msgspec.json.encode(part.data).decode()))
            case "raw":
                if len(modes) == 2:
                    raise bad_content("The agent takes no files.")
                found.append(Upload(name=part.filename or "", data=_bytes(part.raw or "", number)))
            case _:
                raise bad_content("Files by address are not fetched; send the bytes as raw.")
    if not any(isinstance(part, Upload) or part.text for part in found):
        raise _fault(["message", "parts"], "the message says nothing")
    return found


def answers(message: Message, questions: Sequence[Question]) -> list[Answer]:
    """Return the answers a message gives to open questions; see docs/faces/a2a.md for the grammar.

    Raises:
        Invalid: It does not answer them; the detail says how.
    """
    data = [part.data for part in message.parts if part.holds == "data"]
    if any(part.holds in ("raw", "url") for part in message.parts):
        raise bad_content("An answer is text or data.")
    given: Any = data[0] if len(data) == 1 else None
    if isinstance(given, dict) and isinstance(entries := cast("Any", given).get("answers"), list):
        return [_entry(entry, questions) for entry in cast("list[Any]", entries)]
    if isinstance(given, dict) and _names_a_question(cast("dict[str, Any]", given)):
        return [_entry(given, questions)]
    if len(questions) != 1:
        raise Invalid(_MANY, code="invalid_answer")
    (question,) = questions
    text = "".join(part.text or "" for part in message.parts if part.holds == "text")
    if question.kind == "approval":
        return [_approval(question, given, text)]
    # A text that comes with data explains it to people; the data is the answer.
    said: list[Any] = data or [text]
    return [Answer(question_id=question.question_id, value=said[0] if len(said) == 1 else said)]


def _names_a_question(given: dict[str, Any]) -> bool:
    return "questionId" in given or "question_id" in given


def _entry(given: Any, questions: Sequence[Question]) -> Answer:
    entry = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    id_ = entry.get("questionId", entry.get("question_id"))
    question = next((each for each in questions if each.question_id == id_), None)
    if question is None:
        raise Invalid("The answer names no open question of this task.", code="invalid_answer")
    if question.kind == "approval":
        return _approval(question, entry, "")
    if "value" not in entry:
        raise Invalid("The answer has no value.", code="invalid_answer")
    return Answer(question_id=question.question_id, value=entry["value"])


def _approval(question: Question, given: Any, text: str) -> Answer:
    if isinstance(given, dict):
        entry = cast("dict[str, Any]", given)
        approve, reason, arguments = entry.get("approve"), entry.get("reason"), entry.get("arguments")
        if (
            isinstance(approve, bool)
            and (reason is None or isinstance(reason, str))
            and (arguments is None or isinstance(arguments, dict))
        ):
            edited = cast("dict[str, Any] | None", arguments)
            return Answer(question_id=question.question_id, approve=approve, reason=reason, arguments=edited)
    word = text.strip().strip(".!").lower()
    if given is None and word in _YES | _NO:
        return Answer(question_id=question.question_id, approve=word in _YES)
    raise Invalid(f"The task waits for an approval. {_GRAMMAR}", code="invalid_answer")


def _fits(given: str, modes: Sequence[str]) -> bool:
    kind = given.partition(";")[0].strip().lower()
    return any(kind == mode or (mode.endswith("/*") and kind.startswith(mode[:-1])) for mode in modes)


def _bytes(raw: str, number: int) -> bytes:
    # The JSON of protocol buffers writes bytes in either alphabet of base64, with or without its padding.
    plain = raw.translate({ord("-"): "+", ord("_"): "/"})
    try:
        return from_base64(plain, padded=False)
    except Unreadable as error:
        said = "it is empty" if error.fault == "empty" else "this is no base64"
        raise _fault(["message", "parts", number, "raw"], said) from None


def _fault(loc: list[str | int], message: str) -> Invalid:
    return Invalid(
        "The request does not fit; see the details.",
        code="invalid_request",
        errors=[FieldError(loc=loc, message=message)],
    )
