"""Questions of the memory store."""

from collections.abc import Sequence

import msgspec

from landline.backends.memory.runs import shown, take, write
from landline.backends.memory.state import QuestionRow, RunRow, State, missing
from landline.backends.sql.answers import (
    EXPIRED_BY,
    Asked,
    Verdict,
    are_open,
    expire,
    judge,
    may_answer_for_others,
)
from landline.backends.sql.pages import bound_limit, id_cursor, pack
from landline.model.callers import Caller
from landline.model.events import Event, QuestionAnswered, RunResumed
from landline.model.runs import Answer, Question
from landline.model.threads import Page
from landline.ports.store import Answered, Settled

__all__ = ["answer", "expire_all", "inbox", "next_expiry", "settled"]


def _answerable(row: RunRow, caller: Caller) -> bool:
    return caller.owns(row.tenant, row.user) or (
        may_answer_for_others(caller) and row.tenant == caller.tenant
    )


def answer(
    state: State, caller: Caller, run_id: str, answers: Sequence[Answer], *, at: str, owner: str
) -> Answered:
    """Settle questions, all of the request or none."""
    row = state.runs.get(run_id)
    if row is None or not _answerable(row, caller):
        raise missing("run", run_id)
    asked = {
        entry.question.question_id: Asked(question=entry.question, open=entry.open, voters=entry.voters)
        for entry in row.questions
    }
    own = caller.owns(row.tenant, row.user)
    if not own and not are_open(asked, answers, status=row.run.status):
        raise missing("run", run_id)
    verdicts = judge(asked, answers, status=row.run.status, caller=caller, own=own, at=at)
    return _settle(row, verdicts, by=caller.user, own=own, at=at, owner=owner)


def expire_all(state: State, caller: Caller, *, at: str, owner: str) -> list[Answered]:
    """Settle every open question whose time has passed."""
    results: list[Answered] = []
    for _, row in sorted(state.runs.items()) if caller.system else ():
        late = [entry.question for entry in row.questions if entry.open and _past(entry, at)]
        if late and row.run.status == "waiting":
            verdicts = [expire(question) for question in late]
            results.append(_settle(row, verdicts, by=EXPIRED_BY, own=True, at=at, owner=owner))
    return results


def _past(entry: QuestionRow, at: str) -> bool:
    expires_at = entry.question.expires_at
    return expires_at is not None and expires_at <= at


def _settle(row: RunRow, verdicts: Sequence[Verdict], *, by: str, own: bool, at: str, owner: str) -> Answered:
    rows = {entry.question.question_id: entry for entry in row.questions}
    events: list[Event] = []
    touched: list[Question] = []
    for verdict in verdicts:
        entry = rows[verdict.answer.question_id]
        if verdict.outcome is None:
            entry.voters.add(by)
        else:
            entry.outcome, entry.answer = verdict.outcome, verdict.answer
            question_id = entry.question.question_id
            events.append(QuestionAnswered(question_id=question_id, by=by, outcome=verdict.outcome))
        touched.append(msgspec.structs.replace(entry.question, outcome=verdict.outcome))
    resumed = not any(entry.open for entry in row.questions)
    if resumed:
        events.append(RunResumed(attempt=row.run.attempt, reason="answered"))
    stamped = write(row, *events, at=at)
    claim = take(row, owner) if resumed else None
    return Answered(run=shown(row), questions=touched, own=own, events=stamped, claim=claim)


def settled(state: State, caller: Caller, run_id: str) -> list[Settled]:
    """Return every settled question with its answer."""
    return [
        Settled(
            key=entry.key,
            question=msgspec.structs.replace(entry.question, outcome=entry.outcome),
            answer=entry.answer,
            outcome=entry.outcome,
        )
        for entry in state.run(caller, run_id).questions
        if entry.outcome is not None and entry.answer is not None
    ]


def inbox(state: State, caller: Caller, *, limit: int, cursor: str | None) -> Page[Question]:
    """Return open questions the caller may answer, oldest first."""
    count, after = bound_limit(limit), id_cursor(cursor, "")
    found = sorted(
        (
            entry.question
            for row in state.runs.values()
            if row.run.status == "waiting" and _answerable(row, caller)
            for entry in row.questions
            if entry.open and entry.question.question_id > after
        ),
        key=lambda question: question.question_id,
    )
    items = found[:count]
    return Page(items=items, next_cursor=pack(items[-1].question_id) if len(found) > count else None)


def next_expiry(state: State, caller: Caller) -> str | None:
    """Return when the next open question expires."""
    due = [
        entry.question.expires_at
        for row in state.runs.values()
        if row.run.status == "waiting" and caller.system
        for entry in row.questions
        if entry.open and entry.question.expires_at is not None
    ]
    return min(due, default=None)
