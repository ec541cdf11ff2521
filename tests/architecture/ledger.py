"""The requirement ledger: the tables of docs/contract and the `contract` marks of all tests, read as text and syntax.

`python -m tests.architecture.ledger` reports; `… ledger "<state>" ID…` sets a state and the count of planned lines.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source import PACKAGE, ROOT, parse, python_files, where

CONTRACT = ROOT / "docs" / "contract"
COUNT_FILE = CONTRACT / "README.md"
FROZEN_IDS = Path(__file__).with_name("contract_ids.txt")

AN_ID = re.compile(r"(?P<base>[A-Z]+-\d+|[A-EXZ]\d+)(?:\.[a-z0-9_-]+)?")
A_STATE = re.compile(r"built|planned|partial: \S.*")
COUNT_ROW = re.compile(r"^\| (?P<when>[^|]+) \| (?P<count>\d+) \|$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One promise of the ledger."""

    id: str
    state: str
    at: str

    @property
    def is_planned(self) -> bool:
        """No test may name it yet."""
        return self.state == "planned"


def cells(row: str) -> list[str]:
    """The trimmed cells of a table row, none for any other text."""
    return [cell.strip() for cell in row.strip().strip("|").split("|")] if row.startswith("|") else []


def ledger() -> list[Line]:
    """Every line of every table that has an `id` and a `state` column."""
    lines: list[Line] = []
    for path in sorted(CONTRACT.glob("*.md")):
        header: list[str] = []
        for number, row in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            values = cells(row)
            if not values or not header:
                header = values
            elif {"id", "state"} <= set(header) and AN_ID.fullmatch(values[0]):
                columns = dict(zip(header, values, strict=False))
                lines.append(Line(id=values[0], state=columns.get("state", ""), at=where(path, number)))
            elif {"id", "state"} <= set(header) and set(row) - set("|-: "):
                lines.append(Line(id=values[0], state="malformed", at=where(path, number)))
    return lines


def named_by_tests() -> dict[str, list[str]]:
    """Each id that a test names, with the places: decorators, `pytestmark` and `pytest.param` marks alike.

    Raises:
        ValueError: An id is computed, so the ledger cannot be read from the text.
    """
    named: dict[str, list[str]] = {}
    for path in [*python_files(ROOT / "tests"), *python_files(PACKAGE / "testing")]:
        for node in ast.walk(parse(path)):
            if not (isinstance(node, ast.Call) and is_contract_mark(node.func)):
                continue
            for argument in node.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    raise ValueError(f"{where(path, node.lineno)}: write contract ids as plain strings")
                named.setdefault(argument.value, []).append(where(path, node.lineno))
    return named


def is_contract_mark(function: ast.expr) -> bool:
    """Whether this is `….mark.contract`."""
    if not (isinstance(function, ast.Attribute) and function.attr == "contract"):
        return False
    mark = function.value
    return isinstance(mark, ast.Attribute) and mark.attr == "mark"


def planned_counts() -> list[int]:
    """The counts of planned lines over time, as docs/contract/README.md keeps them."""
    return [int(row["count"]) for row in COUNT_ROW.finditer(COUNT_FILE.read_text(encoding="utf-8"))]


def set_state(state: str, ids: list[str]) -> None:
    """Write a state for the given ids and the new count of planned lines.

    The last row of the count is rewritten; add a row by hand when a step is done.
    """
    if not A_STATE.fullmatch(state):
        raise SystemExit(f"not a state: {state}")
    unknown = set(ids) - {line.id for line in ledger()}
    if unknown:
        raise SystemExit(f"not in the ledger: {' '.join(sorted(unknown))}")
    for path in sorted(CONTRACT.glob("*.md")):
        rows = path.read_text(encoding="utf-8").splitlines()
        for number, row in enumerate(rows):
            values = cells(row)
            if values and values[0] in ids:
                rows[number] = f"| {' | '.join([*values[:-1], state])} |"
        path.write_text("\n".join([*rows, ""]), encoding="utf-8")
    planned = sum(line.is_planned for line in ledger())
    text = COUNT_FILE.read_text(encoding="utf-8")
    last = list(COUNT_ROW.finditer(text))[-1]
    COUNT_FILE.write_text(
        text[: last.start("count")] + str(planned) + text[last.end("count") :], encoding="utf-8"
    )


def report() -> None:
    """Print the counts by state and what the tests name ahead of the ledger."""
    lines, named = ledger(), named_by_tests()
    print(
        *(f"{state} {count}" for state, count in Counter(x.state.split(":")[0] for x in lines).items()),
        sep=", ",
    )
    states = {line.id: line for line in lines}
    print(
        "planned, but named by a test:", *(i for i in sorted(named) if i in states and states[i].is_planned)
    )
    print("named by a test, but unknown:", *(i for i in sorted(named) if i not in states))
    print(
        "built or partial, but named by no test:",
        *(x.id for x in lines if not x.is_planned and x.id not in named),
    )


if __name__ == "__main__":
    if len(sys.argv) > 2:  # a state and at least one id
        set_state(sys.argv[1], sys.argv[2:])
    report()
