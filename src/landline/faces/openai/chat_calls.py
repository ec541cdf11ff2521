"""Calls of the client's tools: the ids they are told under, and how the request that brings their results is known.

An id is made of the run's and of the question's, so that nothing needs to be kept: whoever sends it back names the run,
and the run is read as the caller's own. It has 38 characters; some models' wires take 40.
"""

import base64
import binascii
import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from landline.faces.openai.chat_encode import is_call, waits
from landline.faces.openai.faults import fault
from landline.model.callers import Caller
from landline.model.errors import NotFound
from landline.model.events import QuestionAsked, RunWaiting, Stamped, ToolCompleted
from landline.model.runs import Answer, Run
from landline.ports.routing import AUTO
from landline.ports.runs import Runs

__all__ = ["Resumed", "call_id", "resume"]

_FORM: Final = re.compile(r"call_([A-Za-z0-9_-]{22})([A-Za-z0-9_-]{11})", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumed:
    """A run that goes on with the client's results: its next answer is told from behind `after`."""

    run: Run
    after: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """A question of the log, and the place where the run began to wait for it."""

    question: QuestionAsked
    waited: int


def call_id(run_id: str, question_id: str) -> str:
    """Return the id under which a client is told the call that a question is."""
    run = _base64(uuid.UUID(run_id).bytes)
    mark = _base64(hashlib.sha256(f"{run_id} {question_id}".encode()).digest()[:8])
    return f"call_{run}{mark}"


async def resume(runs: Runs, caller: Caller, *, model: str, results: Mapping[str, str]) -> Resumed | None:
    """Give a waiting run the results it waits for, and return where its answer goes on.

    None when these are no results of calls that were told to this caller, or are results of a run that is past them:
    then they are history like any other. The same request sent twice is answered from the same run.

    Raises:
        Invalid: A call that waits as well has no result.
        Conflict: The run waits for more than the client's results, or somebody else was faster.
    """
    run_id = _run_of(results)
    if run_id is None:
        return None
    try:
        run = await runs.get(caller, run_id)
    except NotFound:
        return None
    if model not in (run.agent, AUTO):
        return None
    log = [event async for batch in runs.follow(caller, run_id, live=False) for event in batch]
    asked = _questions(run_id, log)
    if not results or not all(id_ in asked for id_ in results):
        return None
    after = max(asked[id_].waited for id_ in results)
    waits_for = run.questions if run.status == "waiting" else ()
    open_ = {question.question_id for question in waits_for}
    answers = [
        Answer(question_id=asked[id_].question.question_id, value=value)
        for id_, value in results.items()
        if asked[id_].question.question_id in open_
    ]
    if not answers:
        return _again(run, log, asked, results, after)
    given = {answer.question_id for answer in answers}
    missing = [q for q in waits_for if is_call(q) and q.question_id not in given]
    if missing:
        names = ", ".join(str(question.tool) for question in missing)
        raise fault(("messages",), f"the run waits for the results of these calls too: {names}")
    done = await runs.answer(caller, run_id, answers)
    if done.run is not None and done.run.status == "waiting":
        raise waits(run_id, done.run.questions)
    return Resumed(run=run, after=after)


def _again(
    run: Run, log: Sequence[Stamped], asked: Mapping[str, _Asked], results: Mapping[str, str], after: int
) -> Resumed | None:
    """The results were given before: the same ones are answered from the same run, unless it came to nothing."""
    if run.status in ("failed", "cancelled"):
        return None
    if run.status == "waiting" and not any(s.seq > after and s.type == "run.resumed" for s in log):
        raise waits(run.id, run.questions)  # these results are there, and others are not
    ended = {event.call_id: event.result for s in log if isinstance(event := s.event(), ToolCompleted)}
    for id_, value in results.items():
        if ended.get(str(asked[id_].question.call_id), value) != value:
            return None
    return Resumed(run=run, after=after)


def _questions(run_id: str, log: Sequence[Stamped]) -> dict[str, _Asked]:
    """Return the calls that the log tells, by the ids they were told under."""
    found: dict[str, _Asked] = {}
    asked: list[QuestionAsked] = []
    for stamped in log:
        match stamped.event():
            case QuestionAsked(client=True) as question:
                asked.append(question)
            case RunWaiting():
                found |= {
                    call_id(run_id, question.question_id): _Asked(question=question, waited=stamped.seq)
                    for question in asked
                }
                asked = []
            case _:
                pass
    return found


def _run_of(results: Mapping[str, str]) -> str | None:
    """Return the run that all these ids name, if they are of our making."""
    found: set[str] = set()
    for id_ in results:
        match = _FORM.fullmatch(id_)
        if match is None:
            return None
        try:
            found.add(str(uuid.UUID(bytes=base64.urlsafe_b64decode(match[1] + "=="))))
        except (binascii.Error, ValueError):
            return None
    return found.pop() if len(found) == 1 else None


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
