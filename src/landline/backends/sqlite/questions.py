"""Questions: answering them, letting them expire, and the inbox. When none is left open the run is claimed again."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

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
from landline.backends.sql.rows import decode_answer, decode_question, json
from landline.backends.sql.statements import questions as sql
from landline.backends.sql.statements import runs as run_sql
from landline.backends.sqlite.caller import missing, named, who
from landline.backends.sqlite.claims import claim, take
from landline.backends.sqlite.connection import first
from landline.backends.sqlite.runs import get_run
from landline.model.callers import SYSTEM, Caller
from landline.model.events import Event, QuestionAnswered, RunResumed, Stamped, stamp
from landline.model.runs import Answer, Question
from landline.model.threads import Page
from landline.ports.store import Answered, Claim, Settled

__all__ = ["answer", "expire_all", "inbox", "next_expiry", "settled", "write_events"]

_ALL = who(SYSTEM)


def answer(
    connection: sqlite3.Connection,
    caller: Caller,
    run_id: str,
    answers: Sequence[Answer],
    *,
    at: str,
    owner: str,
) -> Answered:
    """Settle questions, all of the request or none; see the port."""
    approver = may_answer_for_others(caller)
    row = first(connection, sql.RUN_TO_ANSWER, {**named(caller, "run", run_id), "approver": approver})
    if row is None:
        raise missing("run", run_id)
    run = first(connection, run_sql.CLAIM, {"id": run_id, **_ALL})
    asked, numbers = _asked(connection, run["n"])
    if not row["own"] and not are_open(asked, answers, status=run["status"]):
        raise missing("run", run_id)
    own = bool(row["own"])
    verdicts = judge(asked, answers, status=run["status"], caller=caller, own=own, at=at)
    return _settle(connection, run, asked, numbers, verdicts, by=caller.user, own=own, at=at, owner=owner)


def expire_all(connection: sqlite3.Connection, caller: Caller, *, at: str, owner: str) -> list[Answered]:
    """Settle every open question whose time has passed, run by run."""
    if not caller.system:
        return []
    results: list[Answered] = []
    for row in connection.execute(sql.EXPIRED, {"at": at}).fetchall():
        run = first(connection, run_sql.CLAIM, {"id": row["id"], **_ALL})
        asked, numbers = _asked(connection, run["n"])
        late = [
            e.question
            for e in asked.values()
            if e.open and e.question.expires_at and e.question.expires_at <= at
        ]
        verdicts = [expire(question) for question in late]
        results.append(
            _settle(connection, run, asked, numbers, verdicts, by=EXPIRED_BY, own=True, at=at, owner=owner)
        )
    return results


def _asked(connection: sqlite3.Connection, run_n: int) -> tuple[dict[str, Asked], dict[str, int]]:
    voters: dict[int, set[str]] = {}
    for vote in connection.execute(sql.VOTES_OF_RUN, {"run_n": run_n}):
        voters.setdefault(vote["question_n"], set()).add(vote["user_id"])
    asked: dict[str, Asked] = {}
    numbers: dict[str, int] = {}
    for row in connection.execute(sql.OF_RUN, {"run_n": run_n}):
        numbers[row["id"]] = row["n"]
        asked[row["id"]] = Asked(
            question=decode_question(row["body"]),
            open=row["status"] == "open",
            voters=voters.get(row["n"], ()),
        )
    return asked, numbers


def _settle(  # noqa: PLR0913 - one transaction's facts, all from the two callers above
    connection: sqlite3.Connection,
    run: Any,
    asked: dict[str, Asked],
    numbers: dict[str, int],
    verdicts: Sequence[Verdict],
    *,
    by: str,
    own: bool,
    at: str,
    owner: str,
) -> Answered:
    events: list[Event] = []
    touched: list[Question] = []
    for verdict in verdicts:
        question_id = verdict.answer.question_id
        question = asked[question_id].question
        if verdict.outcome is None:
            connection.execute(sql.VOTE, {"n": numbers[question_id], "user": by, "at": at})
        else:
            values = {"outcome": verdict.outcome, "answer": json(verdict.answer), "n": numbers[question_id]}
            connection.execute(sql.SETTLE, values)
            events.append(QuestionAnswered(question_id=question_id, by=by, outcome=verdict.outcome))
        touched.append(msgspec.structs.replace(question, outcome=verdict.outcome))
    ended = {event.question_id for event in events if isinstance(event, QuestionAnswered)}
    resumed = all(not entry.open or question_id in ended for question_id, entry in asked.items())
    if resumed:
        events.append(RunResumed(attempt=run["attempt"], reason="answered"))
    stamped = write_events(connection, run, events, at=at)
    taken: Claim | None = None
    if resumed:
        take(connection, run, expected="waiting", owner=owner)
        taken = claim(connection, run["id"])
    return Answered(
        run=get_run(connection, SYSTEM, run["id"]), questions=touched, own=own, events=stamped, claim=taken
    )


def write_events(
    connection: sqlite3.Connection, run: Any, events: Sequence[Event], *, at: str
) -> list[Stamped]:
    """Write events of a run that nobody drives, in the state it is in."""
    stamped = [
        stamp(event, seq=seq, run_id=run["id"], thread_id=run["thread_id"], at=at)
        for seq, event in enumerate(events, run["last_seq"] + 1)
    ]
    guard = {"id": run["id"], "epoch": run["epoch"], "expected": run["status"], **_ALL}
    for event in stamped:
        row = {**guard, "seq": event.seq, "at": at, "type": event.type, "body": event.body}
        connection.execute(run_sql.INSERT_EVENT, row)
    return stamped


def settled(connection: sqlite3.Connection, caller: Caller, run_id: str) -> list[Settled]:
    """Return every settled question with its final answer."""
    rows = connection.execute(sql.SETTLED, named(caller, "run", run_id)).fetchall()
    if not rows:
        raise missing("run", run_id)
    return [
        Settled(
            key=row["key"],
            question=msgspec.structs.replace(decode_question(row["body"]), outcome=row["outcome"]),
            answer=decode_answer(row["answer"]),
            outcome=row["outcome"],
        )
        for row in rows
        if row["key"] is not None
    ]


def inbox(
    connection: sqlite3.Connection, caller: Caller, *, limit: int, cursor: str | None
) -> Page[Question]:
    """Return open questions of waiting runs that the caller may answer, oldest first."""
    count = bound_limit(limit)
    place = {"limit": count + 1, "after": id_cursor(cursor, ""), "approver": may_answer_for_others(caller)}
    rows = connection.execute(sql.INBOX, {**who(caller), **place}).fetchall()
    items = [decode_question(row["body"]) for row in rows[:count]]
    return Page(items=items, next_cursor=pack(items[-1].question_id) if len(rows) > count else None)


def next_expiry(connection: sqlite3.Connection, caller: Caller) -> str | None:
    """Return when the next open question expires."""
    return first(connection, sql.NEXT_EXPIRY, {})[0] if caller.system else None
