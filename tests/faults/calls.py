"""One tool call, as the log tells it and as the ledger of the tools tells it: do both agree with what is promised (ADP-4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from landline.testing.kill import LedgerLine

APPROVED_TOOLS = ("pay",)
IDEMPOTENT = ("stamp",)

Event = dict[str, Any]


class Call:
    """One tool call: what the log says of it, and what the ledger says it did."""

    def __init__(
        self,
        called: Event,
        events: Sequence[Event],
        starts: dict[tuple[str, str], list[LedgerLine]],
        ends: dict[tuple[str, str], list[LedgerLine]],
    ) -> None:
        self.call_id, self.name = str(called["call_id"]), str(called["name"])
        key = (str(called["run_id"]), self.call_id)
        self.starts, self.ends = starts.get(key, []), ends.get(key, [])
        later = [event for event in events if event["seq"] > called["seq"]]
        end = next((e for e in later if e["type"] in _RESULTS and e["call_id"] == self.call_id), None)
        self.completed = end if end is not None and end["type"] == "tool.completed" else None
        self.failed_as = end["error"]["code"] if end is not None and end["type"] == "tool.failed" else None
        before_end = [event for event in later if end is None or event["seq"] < end["seq"]]
        self.cut_at = [
            e["seq"] for e in before_end if e["type"] == "run.resumed" and e["reason"] == "recovered"
        ]
        asked = {
            e["question_id"]: e["seq"]
            for e in events
            if e["type"] == "question.asked" and e.get("call_id") == self.call_id
        }
        self.asked_at = sorted(asked.values())
        self.approved = sum(
            e["type"] == "question.answered" and e["question_id"] in asked and e["outcome"] == "approved"
            for e in events
        )
        # A denied call has an intent and a failure in the log as well, but nothing of it ever runs.
        self.alive_after_cut = (
            bool(self.cut_at)
            and self.failed_as != "denied"
            and (end is not None or events[-1]["type"] == "run.completed")
        )
        self.called_at = int(called["seq"])

    def faults(self) -> list[str]:
        found: list[str] = []
        if self.failed_as not in (None, "denied", "outcome_unknown"):
            found.append(f"failed as {self.failed_as}")
        if self.completed is not None:
            if not self.ends:
                found.append("has a result and never came to its end")
            at_ms = datetime.fromisoformat(self.completed["at"]).timestamp() * 1000
            again = [start for start in self.starts if start.at_ms > at_ms + 1]
            found += [
                f"ran again after its result was stored at {self.completed['at']}: {line}" for line in again
            ]
        if self.name not in IDEMPOTENT:
            allowed = self.approved + (self.name not in APPROVED_TOOLS)
            if len(self.starts) > allowed:
                found.append(
                    f"ran {len(self.starts)} times, and {allowed} were allowed ({self.approved} approvals)"
                )
            if self.alive_after_cut and not any(at > self.cut_at[0] for at in self.asked_at):
                found.append("was in flight at a kill, and nobody was asked")
        elif self.asked_at:
            found.append("is idempotent, and a human was asked")
        return found


_RESULTS = ("tool.completed", "tool.failed")
_PROGRESS = ("tool.completed", "tool.failed", "usage", "question.answered")
"""What an attempt leaves behind for the next: results of tools, answers, and model responses, which come with usage."""


def attempts_without_progress(attempt: int, events: Sequence[Event]) -> int:
    """Count the attempts before `attempt` that were lost after the last one in which something was finished.

    Attempts are counted by their numbers: one that is killed before its first word leaves nothing in the log.
    """
    current = fruitful = 0
    for event in events:
        if event["type"] in ("run.started", "run.resumed"):
            current = event["attempt"]
        elif event["type"] in _PROGRESS:
            fruitful = current
    return attempt - 1 - fruitful
