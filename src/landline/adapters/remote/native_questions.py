"""Questions of a run on another Landline as ours, and our answers as its own."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from landline.model.runs import Answer, Question, QuestionKind
from landline.model.times import parse_iso
from landline.ports.adapter import Ask

__all__ = ["RemoteQuestion", "answers_of", "asks_of", "still_open"]


class RemoteQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A question over there, as the cursor keeps it; `expires_s` by the clock over there."""

    id: str
    kind: QuestionKind
    prompt: str
    tool: str | None = None
    call_id: str | None = None
    arguments: Any = None
    choices: Sequence[str] | None = None
    expires_s: float | None = None
    approvers: int = 1

    def ask(self) -> Ask:
        """Return it as the line asks it."""
        return Ask(
            key=f"remote:{self.id}",
            kind=self.kind,
            prompt=self.prompt,
            tool=self.tool,
            call_id=self.call_id,
            arguments=self.arguments,
            choices=self.choices,
            expires_s=self.expires_s,
            approvers=self.approvers,
        )


def asks_of(questions: Sequence[Question], *, at: str) -> list[RemoteQuestion]:
    """Return the open ones of a `run.waiting` that was written `at`."""
    return [
        RemoteQuestion(
            id=question.question_id,
            kind=question.kind,
            prompt=question.prompt,
            tool=question.tool,
            call_id=question.call_id,
            arguments=question.arguments,
            choices=question.choices,
            expires_s=_left(question.expires_at, at),
            approvers=question.needed,
        )
        for question in questions
        if question.outcome is None
    ]


def _left(expires_at: str | None, at: str) -> float | None:
    if expires_at is None:
        return None
    try:
        return max(0.0, (parse_iso(expires_at) - parse_iso(at)).total_seconds())
    except ValueError:
        return None


def answers_of(asked: Sequence[RemoteQuestion], answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return the answers as the server there takes them.

    A question for a text that nobody answered expires there as it did here: there is no text to send.
    """
    bodies: list[dict[str, Any]] = []
    for question, answer in zip(asked, answers, strict=True):
        body: dict[str, Any] = {"question_id": question.id}
        if question.kind != "approval":
            if answer.approve is False:
                continue
            body["value"] = answer.value
        else:
            body["approve"] = bool(answer.approve)
            if answer.reason is not None:
                body["reason"] = answer.reason
            if answer.arguments is not None:
                body["arguments"] = answer.arguments
        bodies.append(body)
    return bodies


def still_open(run: Mapping[str, Any], given: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the run there still waits for a question that was just answered."""
    if run.get("status") != "waiting":
        return False
    ids = {body["question_id"] for body in given}
    questions = cast("list[dict[str, Any]]", run.get("questions") or [])
    return any(q.get("question_id") in ids and q.get("outcome") is None for q in questions)
