"""From FastAgency's params and replies to runs and answers of ours. Pure functions."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from landline.model.agents import AgentInfo
from landline.model.ids import fingerprint
from landline.model.messages import TextPart
from landline.model.runs import Answer, Question
from landline.ports.runs import StartRun
from landline.ports.store import IdempotencyKey
from landline.web import strict_json

__all__ = ["APPROVE", "DENY", "answer_of", "first_words", "start_of"]

APPROVE: Final = "Approve"
DENY: Final = "Deny"

_WORDS: Final = ("message", "initial_message", "input", "prompt")
"""Params under which clients send the first words to an agent that is no workflow."""


def first_words(agent: AgentInfo, params: Mapping[str, Any]) -> str | None:
    """Return the run's input, or None when the human must be asked for it first.

    A workflow, or another agent that takes JSON, gets the params as they are. Any other gets the text of a param that is
    named like one.
    """
    if agent.input_schema.get("contentMediaType") == "application/json":
        return msgspec.json.encode(params).decode()
    found = next((params[name] for name in _WORDS if params.get(name)), None)
    if isinstance(found, str):
        return found
    return msgspec.json.encode(params).decode() if params else None


def start_of(agent: AgentInfo, workflow_uuid: UUID, params: Mapping[str, Any], words: str) -> StartRun:
    """Return the run to start; the same uuid finds the same run again, so that a cut socket loses nothing."""
    body = strict_json.canonical({"name": agent.name, "params": dict(params)})
    key = IdempotencyKey(key=workflow_uuid.hex, route="fastagency", body_hash=fingerprint(body))
    return StartRun(input=[TextPart(text=words)], agent=agent.name, idempotency=key)


def answer_of(question: Question, reply: str) -> Answer | None:
    """Return what the human's text answers, or None when it is not one of the choices."""
    if question.kind == "approval":
        approve = {
            APPROVE.lower(): True,
            "yes": True,
            "y": True,
            DENY.lower(): False,
            "no": False,
            "n": False,
        }.get(reply.strip().lower())
        return None if approve is None else Answer(question_id=question.question_id, approve=approve)
    if question.kind == "input":
        return Answer(question_id=question.question_id, value=reply)
    choices = question.choices or ()
    if reply in choices:
        return Answer(question_id=question.question_id, value=reply)
    about: Any = question.arguments
    several = [part.strip() for part in reply.split(",")]
    if isinstance(about, dict) and about.get("single") is False and set(several) <= set(choices):  # pyright: ignore[reportUnknownMemberType] - any JSON
        return Answer(question_id=question.question_id, value=several)
    return None
