"""Every promise is in the ledger, and every promise that is said to be kept is named by a test."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from tests.architecture.ledger import (
    A_STATE,
    AN_ID,
    FROZEN_IDS,
    ledger,
    named_by_tests,
    planned_counts,
)


def test_every_line_has_an_id_and_a_state() -> None:
    """A line that cannot be read would be counted nowhere."""
    bad = [line for line in ledger() if not AN_ID.fullmatch(line.id) or not A_STATE.fullmatch(line.state)]
    assert not bad, "\n".join(f"{line.at} {line.id}: {line.state}" for line in bad)


def test_no_id_is_listed_twice() -> None:
    """Two lines with one id could disagree."""
    doubled = [name for name, count in Counter(line.id for line in ledger()).items() if count > 1]
    assert not doubled


def test_no_promise_is_left_out() -> None:
    """What is not built is planned, by name; a promise does not vanish by an edit."""
    frozen = FROZEN_IDS.read_text(encoding="utf-8").split()
    missing = set(frozen) - {line.id for line in ledger()}
    assert not missing, sorted(missing)
    assert len(frozen) == len(set(frozen))


def test_a_part_of_a_promise_belongs_to_a_promise() -> None:
    """`RUN-6.steer` may have a line of its own, an invented id may not."""
    frozen = set(FROZEN_IDS.read_text(encoding="utf-8").split())
    bases = {line.id: AN_ID.fullmatch(line.id) for line in ledger()}
    strangers = [name for name, match in bases.items() if match is None or match["base"] not in frozen]
    assert not strangers


def test_what_is_built_is_named_by_a_test() -> None:
    """A promise without a test is a hope."""
    named = named_by_tests()
    untested = [f"{line.at} {line.id}" for line in ledger() if not line.is_planned and line.id not in named]
    assert not untested, "\n".join(untested)


def test_tests_name_known_promises_that_are_not_planned() -> None:
    """A wrong id tests nothing; a planned one that is tested should say what is built of it."""
    states = {line.id: line for line in ledger()}
    offences: list[str] = []
    for name, places in named_by_tests().items():
        if name not in states:
            offences.append(f"{places[0]} names {name}, which is not in docs/contract")
        elif states[name].is_planned:
            offences.append(f"{places[0]} names {name}, which {states[name].at} calls planned")
    assert not offences, "\n".join(offences)


def test_the_planned_lines_only_shrink() -> None:
    """The counts are kept in docs/contract/README.md, so that a step back shows in the diff."""
    counts = planned_counts()
    planned = sum(line.is_planned for line in ledger())
    assert counts, "docs/contract/README.md has lost its table of counts"
    assert counts[-1] == planned, (
        f"docs/contract/README.md says {counts[-1]} planned, the ledger has {planned}"
    )
    assert all(before >= after for before, after in pairwise(counts)), counts
