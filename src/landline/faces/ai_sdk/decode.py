"""Bodies into what the ports take: pure functions.

Of all the messages a client sends, one counts: the new input of the user, or the assistant message in which the client
answered what the agent asked. The rest is history, which the server has itself (TRU-19).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from landline.faces.ai_sdk.wire import MAX_INPUT_CHARS, MAX_PARTS, ChatBody, UIMessageBody
from landline.model.carried import Carried, ClientTool
from landline.model.errors import Conflict, FieldError, Invalid
from landline.model.ids import fingerprint
from landline.model.runs import Answer, Question
from landline.ports.store import IdempotencyKey
from landline.web.inline_files import Unreadable, read_data_url
from landline.web.strict_json import canonical

__all__ = ["Again", "Given", "GivenFile", "Replied", "Said", "answers", "carried", "repeat_key", "turn"]

_GIVEN: Final = frozenset({"text", "file"})
_UNREADABLE: Final = {
    "url": "this is no data URL",
    "base64": "the data URL is not base64",
    "empty": "the file is empty",
}


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file as its bytes, not kept yet."""

    name: str
    data: bytes


Given = str | GivenFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """New input of the user; with `edits` it takes the place of what message `message_id` said before."""

    message_id: str
    parts: Sequence[Given]
    edits: bool = False

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """Answer again: the user's message is named by the client's id for it, or by the answer that is replaced.

    `said` is that message where the request holds it: the server may not have it, if its first request never came.
    """

    user_id: str | None
    answer_id: str | None
    said: Said | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Replied:
    """What the client answered to the agent: approvals by question id, results of its own tools by call id."""

    approvals: Mapping[str, tuple[bool, str | None]] = field(
        default_factory=dict[str, tuple[bool, str | None]]
    )
    results: Mapping[str | None, Any] = field(default_factory=dict[str | None, Any])


def turn(body: ChatBody) -> Said | Again | Replied:
    """Return what the request asks for.

    Raises:
        Invalid: No message counts, or the one that does holds what a client may not send.
    """
    messages = body.messages if body.messages is not None else [body.message] if body.message else []
    if body.messages is not None and body.message is not None:
        _refuse("message", "send `messages` or `message`, not both")
    if body.trigger == "regenerate-message":
        return _again(messages, body.message_id)
    if not messages:
        _refuse("messages", "there is no message")
    # A client that answers an older message of its names it; else the last one counts.
    counts = next((message for message in messages if message.id == body.message_id), messages[-1])
    if counts.role == "system":
        _refuse("messages", "a client may not send a system message", code="forged_message")
    if counts.role == "assistant":
        return _replied(counts)
    if counts is not messages[-1]:
        _refuse("messageId", "an edited message is the last one")
    return _said(counts, edits=counts.id == body.message_id)


def carried(body: ChatBody) -> Carried | None:
    """Return the tools that the client carries out, if it brings any."""
    if not body.tools:
        return None
    return Carried(
        tools=[
            ClientTool(name=name, description=tool.description, parameters=tool.parameters)
            for name, tool in body.tools.items()
        ]
    )


def repeat_key(said: Said, *, thread_id: str) -> IdempotencyKey | None:
    """Return the key under which the same message, sent twice, is one run."""
    if not said.message_id:
        return None
    parts = [[part] if isinstance(part, str) else [part.name, fingerprint(part.data)] for part in said.parts]
    return IdempotencyKey(
        key=fingerprint(said.message_id.encode()),
        route=f"POST /ai {thread_id}",
        body_hash=fingerprint(canonical(parts)),
    )


def answers(
    replied: Replied, questions: Sequence[Question], *, asked: Collection[str], words: Collection[str] = ()
) -> list[Answer]:
    """Return the answers to the open `questions` of a run, out of all that the client's message says.

    Args:
        asked: The ids of every question the run ever asked.
        words: Those that a message of the user answers; the result of the call they are about is none.

    Raises:
        Invalid: An approval answers what the server never asked.
        Conflict: Nothing that is said answers an open question.
    """
    forged = [id_ for id_ in replied.approvals if id_ not in asked]
    if forged:
        raise Invalid(f"This run never asked for the approval {forged[0][:64]!r}.", code="forged_approval")
    found: list[Answer] = []
    for question in questions:
        if question.kind == "approval" and question.question_id in replied.approvals:
            approve, reason = replied.approvals[question.question_id]
            found.append(
                Answer(question_id=question.question_id, approve=approve, reason=None if approve else reason)
            )
        elif question.question_id in words:
            continue
        elif question.kind != "approval" and (call_id := question.call_id) in replied.results:
            found.append(Answer(question_id=question.question_id, value=replied.results[call_id]))
    if not found:
        raise Conflict("No question is open that this message answers.", code="question_closed")
    return found


def _again(messages: Sequence[UIMessageBody], message_id: str | None) -> Again:
    place = next((index for index, message in enumerate(messages) if message.id == message_id), None)
    if place is not None:
        # Clients cut the answer away before they ask again; one that does not means the message before it.
        messages = messages[: place + (messages[place].role == "user")]
    last = next((message for message in reversed(messages) if message.role == "user"), None)
    if last is None:
        return Again(user_id=None, answer_id=message_id, said=None)
    return Again(user_id=last.id, answer_id=message_id, said=_said(last, edits=False))


def _said(message: UIMessageBody, *, edits: bool) -> Said:
    parts = [_given(part, index) for index, part in enumerate(message.parts[: MAX_PARTS + 1])]
    if not parts or not any(parts):
        _refuse("messages", "the message is empty")
    if len(parts) > MAX_PARTS:
        _refuse("messages", f"a message may have {MAX_PARTS} parts")
    said = Said(message_id=message.id, parts=[part for part in parts if part], edits=edits)
    if len(said.text) > MAX_INPUT_CHARS:
        _refuse("messages", f"a message may have {MAX_INPUT_CHARS} characters of text")
    return said


def _given(part: Mapping[str, Any], index: int) -> Given:
    where = f"parts.{index}"
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _GIVEN:
        shown = kind[:64] if isinstance(kind, str) else kind
        _refuse(where, f"a user's message takes text and file parts, not {shown!r}", code="forged_part")
    if kind == "text":
        text = part.get("text")
        if not isinstance(text, str):
            _refuse(where, "a text part has a text")
        return text
    url, name = part.get("url"), part.get("filename")
    if not isinstance(url, str):
        _refuse(where, "a file part has a url")
    if url[:5].lower() != "data:":
        _refuse(where, "a file is sent as a data URL; other URLs are not fetched", code="remote_file_refused")
    return GivenFile(
        name if isinstance(name, str) and 0 < len(name) <= 255 else "file", _bytes_of(url, where)
    )


def _bytes_of(url: str, where: str) -> bytes:
    """Return what a data URL holds, of any form: the SDK hands on what an app built, as a browser would read it."""
    try:
        return read_data_url(url, any_form=True).data
    except Unreadable as error:
        _refuse(where, _UNREADABLE[error.fault])


def _replied(message: UIMessageBody) -> Replied:
    approvals: dict[str, tuple[bool, str | None]] = {}
    results: dict[str | None, Any] = {}
    for part in message.parts:
        kind, state, call_id = part.get("type"), part.get("state"), part.get("toolCallId")
        if not (isinstance(kind, str) and (kind == "dynamic-tool" or kind.startswith("tool-"))):
            continue
        approval = part.get("approval")
        if state == "approval-responded" and isinstance(approval, dict):
            _approve(approvals, approval)  # pyright: ignore[reportUnknownArgumentType] - any JSON
        elif isinstance(call_id, str) and state == "output-available":
            results[call_id] = part.get("output")
        elif isinstance(call_id, str) and state == "output-error":
            # The call is done, and the agent is told that it went wrong: a result is any JSON.
            results[call_id] = {"error": part.get("errorText")}
    if not approvals and not results:
        _refuse("messages", "the last message is neither the user's nor does it answer a question")
    return Replied(approvals=approvals, results=results)


def _approve(approvals: dict[str, tuple[bool, str | None]], approval: Mapping[str, Any]) -> None:
    id_, approved, reason = approval.get("id"), approval.get("approved"), approval.get("reason")
    if not isinstance(id_, str) or not isinstance(approved, bool):
        _refuse("messages", "an approval has an id and approved: true or false")
    approvals[id_] = approved, reason[:2000] if isinstance(reason, str) else None


def _refuse(where: str, message: str, *, code: str = "invalid_request") -> NoReturn:
    raise Invalid(
        "The request does not fit; see errors.",
        code=code,
        errors=[FieldError(loc=["body", where], message=message)],
    )
