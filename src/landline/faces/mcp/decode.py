"""What a client sends, as the ports' own requests: pure functions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mcp_types import ElicitResult

from landline.faces.mcp.forms import Filled, Unfit, answer_of, keys_of
from landline.faces.mcp.wire import GivenAnswer, GivenFile
from landline.model.errors import Invalid
from landline.model.runs import Answer, Question
from landline.web.inline_files import Unreadable, from_base64
from landline.web.strict_json import canonical

__all__ = [
    "answers",
    "dismissed",
    "file_bytes",
    "message_text",
    "read_state",
    "responses",
    "state_of",
]

_STATE: Final = re.compile(r"([0-9a-f-]{36})\.([0-9]{1,12})")


def message_text(message: Any) -> str:
    """Return what the agent is told: text as it is, data for an agent that takes data as JSON."""
    return message if isinstance(message, str) else canonical(message).decode()


def file_bytes(given: GivenFile) -> bytes:
    """Return a file's bytes. Raises Invalid."""
    try:
        return from_base64(given.data)
    except Unreadable as error:
        said = "A file is empty." if error.fault == "empty" else "A file's data must be base64."
        raise Invalid(said, code="invalid_request") from None


def state_of(run_id: str, seq: int) -> str:
    """Return what a client brings back with its answers.

    It is no secret and no proof: it names a run, and only the caller's own runs can be named. All that it leads to is
    looked up again.
    """
    return f"{run_id}.{seq}"


def read_state(state: str) -> tuple[str, int]:
    """Return the run and how far its log was read. Raises Invalid for anything `state_of` did not write."""
    found = _STATE.fullmatch(state)
    if not found:
        raise Invalid("That requestState is not one of this server's.", code="invalid_request_state")
    return found[1], int(found[2])


def responses(
    questions: Sequence[Question], given: Mapping[str, object] | None, *, unasked: bool = False
) -> list[Answer]:
    """Return the answers among `given` that fit open questions; others are left out, so that they are asked again.

    `unasked` ones came before the questions: they may say something, but never approve (TRU-19).
    """
    found: list[Answer] = []
    for key, question in keys_of(questions).items():
        response = (given or {}).get(key)
        if not isinstance(response, ElicitResult) or (unasked and question.kind != "input"):
            continue
        try:
            answer = answer_of(question, Filled(action=response.action, content=response.content))
        except Unfit:
            continue
        if answer is not None:
            found.append(answer)
    return found


def answers(given: Sequence[GivenAnswer]) -> list[Answer]:
    """Return the answers; one question is answered once."""
    if len({answer.question_id for answer in given}) != len(given):
        raise Invalid("A question is answered twice.", code="invalid_request")
    return [
        Answer(
            question_id=answer.question_id,
            approve=answer.approve,
            value=answer.value,
            reason=answer.reason,
            arguments=answer.arguments,
        )
        for answer in given
    ]


def dismissed(questions: Sequence[Question], given: Mapping[str, object] | None) -> bool:
    """Tell whether the user dismissed one of the forms: asking it again at once would be a loop."""
    keys = keys_of(questions)
    return any(
        isinstance(response, ElicitResult)
        and response.action != "accept"
        and not (keys[key].kind == "approval" and response.action == "decline")
        for key, response in (given or {}).items()
        if key in keys
    )
