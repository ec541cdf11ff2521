"""Writing data: JSON for scripts, aligned columns for people. Data goes to stdout, everything said about it to stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def show(data: T, as_json: bool, text: Callable[[T], str]) -> None:
    """Print `data` as JSON or as `text` writes it."""
    if as_json:
        show_json(data)
    elif written := text(data):
        print(written)


def show_json(data: Any, *, line: bool = False) -> None:
    """Print JSON, indented unless it is a `line` of a stream."""
    print(json.dumps(data, indent=None if line else 2, ensure_ascii=False, default=str), flush=line)


def table(rows: Iterable[Sequence[Any]], head: Sequence[str] = ()) -> str:
    """Return rows as aligned columns, the last one as long as it is; control characters are shown, not sent."""
    lines = [[_cell(cell) for cell in row] for row in ([head] if head else [])]
    lines += [[_cell(cell) for cell in row] for row in rows]
    if not lines:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]) - 1)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]
        ).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return "".join(c if c.isprintable() else " " for c in str(value))


def printable(text: str) -> str:
    """Drop control characters on a terminal: what a model writes must not steer it. Pipes get the text as it is."""
    if not sys.stdout.isatty():
        return text
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def say(text: str) -> None:
    """Print a sentence for people to stderr."""
    print(text, file=sys.stderr, flush=True)
