"""A ledger of what tools really did, written outside of the server's own database.

A line is one write to a file opened for appending and is on disk before the call goes on: a process that is killed
leaves each line whole or not at all, and many processes may write to one file.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Ledger", "LedgerLine"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerLine:
    """One end of one execution: `ordinal` counts the executions of its process, `at_ms` is wall time."""

    run_id: str
    call_id: str
    name: str
    phase: Literal["start", "end"]
    ordinal: int
    pid: int
    at_ms: float


class Ledger:
    """The ledger in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ordinal = 0

    @contextmanager
    def execution(self, run_id: str, call_id: str, name: str) -> Generator[int]:
        """Write the start of an execution, and its end when the block is left without an error."""
        self._ordinal += 1
        ordinal = self._ordinal
        self._write(run_id, call_id, name, "start", ordinal)
        yield ordinal
        self._write(run_id, call_id, name, "end", ordinal)

    def _write(
        self, run_id: str, call_id: str, name: str, phase: Literal["start", "end"], ordinal: int
    ) -> None:
        line = LedgerLine(
            run_id=run_id,
            call_id=call_id,
            name=name,
            phase=phase,
            ordinal=ordinal,
            pid=os.getpid(),
            at_ms=time.time() * 1000,
        )
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, json.dumps(asdict(line)).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)

    def lines(self) -> list[LedgerLine]:
        """Return every line so far, in the order of writing."""
        if not self._path.exists():
            return []
        text = self._path.read_text(encoding="utf-8")
        return [LedgerLine(**json.loads(line)) for line in text.splitlines()]

    def starts(self) -> dict[tuple[str, str], list[LedgerLine]]:
        """Return the executions begun, by run id and call id."""
        return self._by_call("start")

    def ends(self) -> dict[tuple[str, str], list[LedgerLine]]:
        """Return the executions that came to their end, by run id and call id."""
        return self._by_call("end")

    def _by_call(self, phase: str) -> dict[tuple[str, str], list[LedgerLine]]:
        found: defaultdict[tuple[str, str], list[LedgerLine]] = defaultdict(list)
        for line in self.lines():
            if line.phase == phase:
                found[line.run_id, line.call_id].append(line)
        return dict(found)
