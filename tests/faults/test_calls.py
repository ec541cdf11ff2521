"""The judge of the kill run is itself judged: each promise it watches is broken once, and it has to say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from landline.model.times import parse_iso
from landline.testing.kill import Ledger, LedgerLine
from tests.faults.calls import Call, attempts_without_progress

CALL = "call_1"
T0 = "2026-11-21T08:00:00.000Z"
BASE_MS = parse_iso(T0).timestamp() * 1000


def line(phase: Any, at_ms: float, name: str = "book") -> LedgerLine:
    return LedgerLine(
        run_id="r", call_id=CALL, name=name, phase=phase, ordinal=1, pid=1, at_ms=BASE_MS + at_ms
    )


def log(*events: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"seq": seq, "run_id": "r", "at": T0, **event} for seq, event in enumerate(events, 1)]


def called(name: str = "book") -> dict[str, Any]:
    return {"type": "tool.called", "call_id": CALL, "name": name}


DONE = {"type": "tool.completed", "call_id": CALL, "result": None, "at": "2026-11-21T08:00:00.100Z"}


def resumed(attempt: int) -> dict[str, Any]:
    return {"type": "run.resumed", "reason": "recovered", "attempt": attempt}


RESUMED = resumed(2)
ASKED = {"type": "question.asked", "question_id": "q", "call_id": CALL}
APPROVED = {"type": "question.answered", "question_id": "q", "outcome": "approved"}
DENIED = {"type": "question.answered", "question_id": "q", "outcome": "denied"}
GIVEN_UP = {"type": "tool.failed", "call_id": CALL, "error": {"code": "outcome_unknown", "message": ""}}
REFUSED = {"type": "tool.failed", "call_id": CALL, "error": {"code": "denied", "message": ""}}
END = {"type": "run.completed"}


def judge(events: list[dict[str, Any]], *lines: LedgerLine) -> list[str]:
    starts = {("r", CALL): [each for each in lines if each.phase == "start"]}
    ends = {("r", CALL): [each for each in lines if each.phase == "end"]}
    return Call(events[0], events, starts, ends).faults()


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        pytest.param(log(called(), DONE, END), [line("start", 10), line("end", 20)], id="once"),
        pytest.param(
            log(called(), RESUMED, ASKED, APPROVED, DONE, END),
            [line("start", 10), line("start", 50), line("end", 60)],
            id="again, approved",
        ),
        pytest.param(
            log(called(), RESUMED, ASKED, DENIED, GIVEN_UP, END), [line("start", 10)], id="given up"
        ),
        pytest.param(
            log(called("stamp"), RESUMED, DONE, END),
            [line("start", 10, "stamp"), line("start", 50, "stamp"), line("end", 60, "stamp")],
            id="again, idempotent",
        ),
        pytest.param(log(called(), RESUMED, ASKED), [line("start", 10)], id="waiting"),
        pytest.param(
            log(called("pay"), RESUMED, REFUSED, END), [], id="denied, and cut while that was written"
        ),
    ],
)
def test_what_is_promised_is_no_fault(events: list[dict[str, Any]], lines: list[LedgerLine]) -> None:
    assert judge(events, *lines) == []


@pytest.mark.parametrize(
    ("events", "lines", "fault"),
    [
        pytest.param(
            log(called(), DONE, RESUMED, END),
            [line("start", 10), line("end", 20), line("start", 900)],
            "ran again after its result",
            id="a finished tool runs again",
        ),
        pytest.param(
            log(called(), RESUMED, DONE, END),
            [line("start", 10), line("start", 50), line("end", 60)],
            "ran 2 times, and 1 were allowed",
            id="an unknown outcome runs again",
        ),
        pytest.param(
            log(called(), RESUMED, DONE, END),
            [line("start", 10), line("end", 60)],
            "nobody was asked",
            id="an unknown outcome is guessed",
        ),
        pytest.param(
            log(called(), RESUMED, ASKED, APPROVED, RESUMED, DONE, END),
            [line("start", 10), line("start", 50), line("start", 70), line("end", 80)],
            "ran 3 times, and 2 were allowed",
            id="one approval is used twice",
        ),
        pytest.param(
            log(called(), DONE, END), [line("start", 10)], "never came to its end", id="an invented result"
        ),
        pytest.param(
            log(called("stamp"), RESUMED, ASKED, DONE, END),
            [line("start", 10, "stamp"), line("end", 20, "stamp")],
            "a human was asked",
            id="an idempotent one is asked about",
        ),
        pytest.param(
            log(called("pay"), DONE, END),
            [line("start", 10, "pay"), line("end", 20, "pay")],
            "ran 1 times, and 0 were allowed",
            id="an approval is skipped",
        ),
    ],
)
def test_each_broken_promise_is_named(
    events: list[dict[str, Any]], lines: list[LedgerLine], fault: str
) -> None:
    assert any(fault in said for said in judge(events, *lines)), judge(events, *lines)


def test_attempts_since_the_last_result_are_counted() -> None:
    started = {"type": "run.started", "attempt": 1}
    assert attempts_without_progress(4, log(started, called(), resumed(2), resumed(3), END)) == 3
    assert attempts_without_progress(4, log(started, called(), resumed(3), END)) == 3
    assert attempts_without_progress(4, log(started, called(), DONE, resumed(2), resumed(3), END)) == 2
    assert attempts_without_progress(4, log(started, called(), resumed(2), resumed(3), DONE, END)) == 0
    assert attempts_without_progress(4, log(started, resumed(3), ASKED, APPROVED, END)) == 0
    assert attempts_without_progress(4, log({"type": "run.started", "attempt": 2}, resumed(3), END)) == 3


def test_a_ledger_keeps_both_ends_and_only_the_start_of_what_broke_off(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with ledger.execution("r", "whole", "book"):
        pass
    with pytest.raises(RuntimeError), ledger.execution("r", "broken", "book"):
        raise RuntimeError
    assert set(ledger.starts()) == {("r", "whole"), ("r", "broken")}
    assert set(ledger.ends()) == {("r", "whole")}
