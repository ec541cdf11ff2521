"""The shapes of single chunks, and chunks as frames: pure."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from landline.model.events import QuestionAsked, SourceAdded
from landline.model.runs import Question, Usage

__all__ = [
    "DONE",
    "Chunk",
    "approval_request",
    "call_of",
    "json_text",
    "message_id_of",
    "question_data",
    "run_id_of",
    "source",
    "sse",
    "tool_input",
    "usage_data",
]

Chunk = dict[str, Any]

DONE: Final = b"data: [DONE]\n\n"

_json: Final = msgspec.json.Encoder().encode


def sse(chunks: Sequence[Chunk]) -> bytes:
    """Return chunks as frames."""
    return b"".join(b"data: %s\n\n" % _json(chunk) for chunk in chunks)


def json_text(value: Any) -> str:
    """Return a call's input as the model wrote it, or would have."""
    return _json(value).decode()


def message_id_of(run_id: str, number: int) -> str:
    """Return the id of a run's UI message, counted from 1."""
    return run_id if number == 1 else f"{run_id}.{number}"


def run_id_of(message_id: str) -> tuple[str, int]:
    """Return the run and the number of a UI message; an id that is none of ours names no run."""
    run_id, dot, number = message_id.partition(".")
    return run_id, int(number) if dot and number.isascii() and number.isdigit() and len(number) < 9 else 1


def tool_input(call_id: str, name: str, arguments: Any) -> Chunk:
    """Return the chunk that tells a call's whole input."""
    return {"type": "tool-input-available", "toolCallId": call_id, "toolName": name, "input": arguments}


def call_of(asked: QuestionAsked | Question) -> tuple[str, str, Any]:
    """Return id, tool and input of the call a question is about; one about no call is shown as a call of its own."""
    arguments = asked.arguments if asked.tool else {"prompt": asked.prompt}
    return asked.call_id or asked.question_id, asked.tool or "approval", arguments


def approval_request(asked: QuestionAsked | Question) -> Chunk:
    """Return the chunk that asks for an approval; its id is the question's."""
    return {
        "type": "tool-approval-request",
        "approvalId": asked.question_id,
        "toolCallId": call_of(asked)[0],
        "reason": asked.prompt,
    }


def question_data(asked: QuestionAsked) -> dict[str, Any]:
    """Return a question that is no approval, for the user interface to show."""
    shown: dict[str, Any] = {"questionId": asked.question_id, "kind": asked.kind, "prompt": asked.prompt}
    if asked.call_id is not None:
        shown["toolCallId"] = asked.call_id
    if asked.choices is not None:
        shown["choices"] = list(asked.choices)
    if asked.expires_at is not None:
        shown["expiresAt"] = asked.expires_at
    return shown


def source(added: SourceAdded, number: int) -> Chunk:
    """Return a source, by its address or, without one, by its title."""
    where: Chunk = (
        {"type": "source-document", "sourceId": f"source-{number}", "mediaType": "text/plain"}
        if added.url is None
        else {"type": "source-url", "sourceId": f"source-{number}", "url": added.url}
    )
    quoted = {"providerMetadata": {"landline": {"quote": added.quote}}} if added.quote else {}
    return {**where, "title": added.title, **quoted}


def usage_data(usage: Usage) -> dict[str, Any]:
    """Return the run's tokens, named as the AI SDK names them."""
    shown: dict[str, Any] = {
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.total_tokens,
    }
    return shown if usage.cost_usd is None else {**shown, "costUsd": usage.cost_usd}
