"""What must hold after the kills: each run's log, row, messages and ledger, against each other and what clients saw."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from landline.testing.grammar import GrammarError, check_stream
from landline.testing.kill import Ledger
from tests.e2e.http import Connection, stream
from tests.faults.calls import Call, Event, attempts_without_progress
from tests.faults.load import API, TERMINAL, Notes, Turn

JSON = {"Accept": "application/json"}
POISON_ATTEMPTS = 3


@dataclass
class Findings:
    """What is broken, by run, and the figures of what was checked."""

    broken: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    counts: Counter[str] = field(default_factory=Counter[str])

    def add(self, run_id: str, text: str) -> None:
        self.broken.append((run_id, text))


async def items(line: Connection, path: str) -> AsyncIterator[Any]:
    """Yield the items of every page of a list."""
    cursor = ""
    while True:
        answer = await line.ask("GET", f"{path}{cursor}")
        if answer.status != 200:
            raise AssertionError(f"GET {path}{cursor} gave {answer.status} {answer.body[:200]!r}")
        page = answer.json
        for item in page["items"]:
            yield item
        if not page.get("next_cursor"):
            return
        cursor = f"&cursor={page['next_cursor']}"


async def stored(line: Connection, run_id: str) -> list[Event]:
    """Return the whole log of a run, from JSON pages."""
    events: list[Event] = []
    while True:
        after = events[-1]["seq"] if events else 0
        path = f"{API}/runs/{run_id}/events?limit=200&after={after}"
        page = (await line.ask("GET", path, headers=JSON)).json
        if not page["items"]:
            return events
        events += page["items"]


class Verifier:
    """Checks every run the server knows."""

    def __init__(self, port: int, notes: Notes, ledger: Ledger) -> None:
        self._port, self._notes = port, notes
        self._starts, self._ends = ledger.starts(), ledger.ends()
        self._active: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
        self.found = Findings()

    async def check(self, line: Connection) -> Findings:
        """Check all, on one connection."""
        runs = {run["id"]: run async for run in items(line, f"{API}/runs?limit=200")}
        self.found.counts["runs"] = len(runs)
        self._keys(runs)
        for run_id in self._notes.accepted.keys() - runs.keys():
            self.found.add(run_id, "was accepted and is not there")
        for number, run in enumerate(runs.values()):
            await self._run(line, run, sample=number % 20 == 0)
        self._one_at_a_time()
        await self._messages(line, runs)
        for key in self._starts.keys() - {(run, call) for run, call in self._starts if run in runs}:
            self.found.add(key[0], f"the ledger has call {key[1]} of a run that is not there")
        return self.found

    def _keys(self, runs: dict[str, Any]) -> None:
        by_key = Counter(run["metadata"].get("key") for run in runs.values())
        for key, count in by_key.items():
            if count != 1:
                self.found.add("", f"key {key} made {count} runs")

    async def _run(self, line: Connection, run: dict[str, Any], *, sample: bool) -> None:
        run_id = run["id"]
        events = await stored(line, run_id)
        self.found.counts["events"] += len(events)
        self.found.counts[run["status"]] += 1
        if run["status"] not in TERMINAL:
            self.found.add(run_id, f"is {run['status']} at the end")
        try:
            check_stream(events)
        except GrammarError as error:
            self.found.add(run_id, str(error)[:600])
            return
        if events[-1]["type"] != f"run.{run['status']}":
            self.found.add(run_id, f"the row says {run['status']}, the log ends with {events[-1]['type']}")
        self._failure(run, events)
        self._seen(run_id, events)
        self._calls(run_id, events)
        self._note_activity(run, events)
        if sample:
            await self._streamed(run_id, events)

    def _failure(self, run: dict[str, Any], events: Sequence[Event]) -> None:
        if run["status"] != "failed":
            return
        code = run["error"]["code"]
        self.found.counts[f"failed as {code}"] += 1
        if code != "poisoned":
            self.found.add(run["id"], f"failed as {code}: {run['error']['message']}")
        elif (idle := attempts_without_progress(run["attempt"], events)) < POISON_ATTEMPTS:
            self.found.add(
                run["id"], f"is poisoned after {idle} attempts without progress, not {POISON_ATTEMPTS}"
            )

    def _seen(self, run_id: str, events: Sequence[Event]) -> None:
        turn = self._notes.accepted.get(run_id)
        if turn is None:
            return
        for fault in turn.faults:
            self.found.add(run_id, fault)
        for seq, event in turn.seen.items():
            self.found.counts["frames compared"] += 1
            if seq > len(events) or events[seq - 1] != event:
                kept = events[seq - 1] if seq <= len(events) else None
                self.found.add(run_id, f"a client saw {event} and the log has {kept}")

    async def _streamed(self, run_id: str, events: Sequence[Event]) -> None:
        async with stream(self._port, f"{API}/runs/{run_id}/events") as line:
            frames = [frame async for frame in line.frames()]
        self.found.counts["logs read as SSE"] += 1
        if [frame.data for frame in frames] != list(events) or [f.seq for f in frames] != [
            e["seq"] for e in events
        ]:
            self.found.add(run_id, "SSE and JSON tell different logs")

    # -- tools

    def _calls(self, run_id: str, events: Sequence[Event]) -> None:
        for called in [event for event in events if event["type"] == "tool.called"]:
            call = Call(called, events, self._starts, self._ends)
            self.found.counts["calls"] += 1
            self.found.counts["finished calls"] += call.completed is not None
            self.found.counts["outcomes unknown"] += len(call.cut_at)
            self.found.counts["executions of tools"] += len(call.starts)
            self.found.counts["runs again, allowed"] += max(0, len(call.starts) - 1)
            for text in call.faults():
                self.found.add(run_id, f"{call.name} {call.call_id}: {text}")

    # -- threads

    def _note_activity(self, run: dict[str, Any], events: Sequence[Event]) -> None:
        started = next((event["at"] for event in events if event["type"] == "run.started"), None)
        if started is not None:
            self._active[run["thread_id"]].append((started, events[-1]["at"], run["id"]))

    def _one_at_a_time(self) -> None:
        for spans in self._active.values():
            spans.sort()
            for before, after in itertools.pairwise(spans):
                if after[0] < before[1]:
                    self.found.add(
                        after[2], f"began at {after[0]}, before {before[2]} had ended at {before[1]}"
                    )

    async def _messages(self, line: Connection, runs: dict[str, Any]) -> None:
        turns: defaultdict[str, list[Turn]] = defaultdict(list)
        for run_id, turn in self._notes.accepted.items():
            if run_id in runs:
                turns[runs[run_id]["thread_id"]].append(turn)
        for thread_id, of_thread in turns.items():
            path = f"{API}/threads/{thread_id}/messages?branch=all&limit=200"
            rows = [row async for row in items(line, path)]
            if [row["seq"] for row in rows] != list(range(1, len(rows) + 1)):
                self.found.add(
                    of_thread[0].run_id, f"thread {thread_id} has the seqs {[r['seq'] for r in rows]}"
                )
            for turn in of_thread:
                said = [row for row in rows if row["role"] == "user" and row["content"] == turn.text]
                self.found.counts["accepted messages found"] += len(said) == 1
                if len(said) != 1:
                    self.found.add(turn.run_id, f"its message is {len(said)} times in its thread")
                self._answer_row(runs[turn.run_id], turn, rows)

    def _answer_row(self, run: dict[str, Any], turn: Turn, rows: Sequence[dict[str, Any]]) -> None:
        if run["status"] != "completed":
            return
        answers = [row for row in rows if row["id"] == run["message_id"]]
        nonce = json.loads(turn.text)["nonce"]
        said = "".join(
            row["content"] for row in rows if row["run_id"] == run["id"] and row["role"] == "assistant"
        )
        if len(answers) != 1:
            self.found.add(run["id"], "the message of the finished answer is not in its thread")
        elif f"[{nonce}]" not in said or not answers[0]["content"].endswith("done."):
            self.found.add(run["id"], f"the stored answer is not whole: {said[-200:]!r}")
