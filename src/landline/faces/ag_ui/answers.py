"""What a request answers of a run that waits: its interrupts by `resume`, its calls of the application's tools by messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from landline.faces.ag_ui.decode import call_answers
from landline.faces.ag_ui.interrupts import abandons, answer_of, check_cover, is_client_call
from landline.faces.ag_ui.transcript import result_id
from landline.faces.ag_ui.wire import RunBody
from landline.model.errors import Invalid
from landline.model.runs import Answer, Question, Run

__all__ = ["Answers", "answers_for"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """Answers to all that a run waits for; without any, the run is abandoned.

    `results` are the application's ids of the messages that hold results of its tools, by ours.
    """

    run_id: str
    given: Sequence[Answer]
    results: Mapping[str, str]


def answers_for(run: Run, body: RunBody) -> Answers | None:
    """Return what `body` answers of what `run` waits for, None when it answers nothing.

    Raises:
        Invalid: It answers a part only, or not as asked.
        Conflict: It answers what the run does not wait for.
    """
    open_ = [question for question in run.questions if question.outcome is None]
    calls = {
        question.call_id: question
        for question in open_
        if is_client_call(question) and question.call_id is not None
    }
    results = call_answers(body.messages, calls)
    resume = body.resume or []
    if not results and not resume:
        return None
    check_cover(open_, resume)
    _check_calls(calls, [answer for answer, _ in results])
    by_id = {question.question_id: question for question in open_}
    given: list[Answer] = []
    if not abandons(open_, resume):
        given += [answer for answer, _ in results]
        given += [answer_of(by_id[entry.interrupt_id], entry, index) for index, entry in enumerate(resume)]
    names = {result_id(message.tool_call_id or ""): message.id for _, message in results}
    return Answers(run_id=run.id, given=given, results=names)


def _check_calls(calls: Mapping[str, Question], answers: Sequence[Answer]) -> None:
    answered = {answer.question_id for answer in answers}
    missing = [call for call, question in calls.items() if question.question_id not in answered]
    if missing:
        raise Invalid(
            f"Every open tool call must be answered; not answered: {', '.join(missing[:10])}.",
            code="call_unanswered",
        )
