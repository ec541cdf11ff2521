"""The rules of answers, without a database: what fits a question, what settles it, and who may (RUN-8)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from landline.model.callers import Caller
from landline.model.errors import Conflict, Forbidden, Invalid
from landline.model.runs import Answer, Outcome, Question, Status

__all__ = [
    "EXPIRED_BY",
    "Asked",
    "Verdict",
    "are_open",
    "check_may_answer",
    "expire",
    "judge",
    "may_answer_for_others",
]

EXPIRED_BY = "expiry"
"""Who settled a question that nobody answered in time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A stored question: `voters` are the users whose approval it has so far."""

    question: Question
    open: bool
    voters: Collection[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What one answer does: `outcome` None is a vote that settles nothing yet."""

    answer: Answer
    outcome: Outcome | None


def may_answer_for_others(caller: Caller) -> bool:
    """Tell whether the caller answers questions of other users of its tenant."""
    return "approvals:answer" in caller.scopes


def are_open(asked: Mapping[str, Asked], answers: Sequence[Answer], *, status: Status) -> bool:
    """Tell whether a run in `status` waits for all of these answers.

    To somebody who does not own it, a run that does not is answered like one that never was (THR-2).
    """
    entries = [asked.get(answer.question_id) for answer in answers]
    return status == "waiting" and bool(entries) and all(entry and entry.open for entry in entries)


def judge(
    asked: Mapping[str, Asked],
    answers: Sequence[Answer],
    *,
    status: Status,
    caller: Caller,
    own: bool,
    at: str,
) -> list[Verdict]:
    """Return what `answers` of a caller, whose `own` run it is or not, do to the questions of a run in `status`: all or none.

    Raises:
        Conflict: The run does not wait, a question is not open, or the caller has voted.
        Forbidden: The caller may not answer such a question.
        Invalid: A question is not of this run, or an answer does not fit it.
    """
    if status != "waiting":
        raise Conflict(f"The run is {status}; it waits for no answer.", code="not_waiting")
    verdicts: list[Verdict] = []
    seen: set[str] = set()
    for answer in answers:
        entry = asked.get(answer.question_id)
        if entry is None:
            raise Invalid(f"The run has no question {answer.question_id!r}.", code="unknown_question")
        if answer.question_id in seen:
            raise _mismatch(entry.question, "is answered twice in one request")
        seen.add(answer.question_id)
        expires_at = entry.question.expires_at
        if not entry.open or (expires_at is not None and expires_at <= at):
            raise Conflict(f"The question {answer.question_id} is not open any more.", code="question_closed")
        check_may_answer(caller, entry.question, own=own)
        verdicts.append(Verdict(answer=answer, outcome=_outcome(entry, answer, caller.user)))
    return verdicts


def check_may_answer(caller: Caller, question: Question, *, own: bool) -> None:
    """What a human decides takes `approvals:answer`; what a client's own tool gave is input of whoever runs it."""
    if question.client and not own:
        raise Forbidden(
            "The result of a client's tool comes from the caller whose run it is.", code="not_your_tool"
        )
    needed = "runs:write" if question.client else "approvals:answer"
    if needed not in caller.scopes:
        raise Forbidden(f"This needs the scope {needed}.", code="missing_scope")


def _outcome(entry: Asked, answer: Answer, user: str) -> Outcome | None:
    question = entry.question
    if question.kind == "approval":
        return _approval(entry, answer, user)
    if answer.approve is not None or answer.arguments is not None:
        raise _mismatch(question, "takes a value, no approval")
    # What the client's own tool gives is any JSON.
    if question.kind == "input" and not question.client and not isinstance(answer.value, str):
        raise _mismatch(question, "takes a text as its value")
    if question.kind == "choice":
        # What came over a wire is of any shape; only texts that are on offer pass.
        value: object = answer.value
        chosen = cast("list[object]", value) if isinstance(value, list) else [value]
        offered = set(question.choices or ())
        if not chosen or not all(isinstance(one, str) and one in offered for one in chosen):
            raise _mismatch(question, "takes one of its choices, or a list of them")
    return "answered"


def _approval(entry: Asked, answer: Answer, user: str) -> Outcome | None:
    question = entry.question
    if answer.approve is None:
        raise _mismatch(question, "takes approve: true or false")
    if user in entry.voters:
        raise Conflict(f"You have approved the question {question.question_id}.", code="already_voted")
    if not answer.approve:
        return "denied"
    if question.needed > 1 and answer.arguments is not None:
        # Each approval binds to the exact arguments; an edit would put words into the others' mouths.
        raise _mismatch(question, "needs several approvals, so its arguments cannot be edited")
    return "approved" if len(entry.voters) + 1 >= question.needed else None


def expire(question: Question) -> Verdict:
    """Return what the passing of its time does to a question: an approval counts as denied."""
    approve = False if question.kind == "approval" else None
    return Verdict(answer=Answer(question_id=question.question_id, approve=approve), outcome="expired")


def _mismatch(question: Question, why: str) -> Invalid:
    return Invalid(f"The question {question.question_id} {why}.", code="answer_mismatch")
