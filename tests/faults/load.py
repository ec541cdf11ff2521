"""The load of the kill run: clients that never give up, and notes of everything the server told them.

A client retries with the same Idempotency-Key until it has an answer, follows its stream over every cut with
Last-Event-ID, and writes down each frame it saw. What it saw is later compared with the log.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.http import Answer, Connection, CutOff, Gone, ask, stream

API = "/api/v1"
BOUND_S = 60.0
PAUSE_S = 0.05

Lost = (*Gone, CutOff, TimeoutError)
"""What a client sees of a kill."""

TERMINAL = ("completed", "failed", "cancelled")
TERMINAL_EVENTS = ("run.completed", "run.failed", "run.cancelled")


@dataclass
class Turn:
    """What a client asked for and what it was told."""

    key: str
    agent: str
    mode: str
    text: str
    began_s: float
    run_id: str = ""
    thread_id: str = ""
    seen: dict[int, Any] = field(default_factory=dict[int, Any])
    ended: str = ""
    answered: int = 0
    faults: list[str] = field(default_factory=list[str])


@dataclass
class Notes:
    """All turns, and what the clients did."""

    agents: tuple[str, ...]
    accepted: dict[str, Turn] = field(default_factory=dict[str, Turn])
    threads: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter[str])
    faults: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    busy: int = 0
    in_progress: asyncio.Event = field(default_factory=asyncio.Event)

    def fault(self, text: str) -> None:
        self.faults.append((time.monotonic(), text))


class Client:
    """One client with its own thread and its own chance."""

    def __init__(self, port: int, notes: Notes, seed: int) -> None:
        self._port, self._notes, self._chance = port, notes, random.Random(seed)
        self._thread = ""

    async def live(self, stop: asyncio.Event) -> None:
        """Take turns until told to stop; the turn under way is taken to its end."""
        while not stop.is_set():
            self._notes.busy += 1
            self._notes.in_progress.set()
            turn = self._plan()
            try:
                async with asyncio.timeout(BOUND_S):
                    await self._take(turn)
            except TimeoutError:
                self._notes.fault(f"run {turn.run_id or turn.key}: the client waited {BOUND_S} s in vain")
            finally:
                self._notes.busy -= 1

    async def attend(self) -> None:
        """Be the human until cancelled: look at the inbox now and then, and answer what is there."""
        while True:
            await asyncio.sleep(1.0)
            try:
                inbox = await ask(self._port, "GET", f"{API}/approvals?limit=200")
            except Lost:
                continue
            for question in inbox.json["items"] if inbox.status == 200 else ():
                await self.answer(question["run_id"], [question])

    def _plan(self) -> Turn:
        chance = self._chance
        plan = {
            "nonce": uuid.uuid4().hex,
            "steps": chance.randint(1, 3),
            "words": chance.randint(2, 6),
            "pause_s": chance.choice((0.0, 0.005, 0.02, 0.04)),
            "ask": chance.random() < 0.1,
            "pay": chance.random() < 0.15,
        }
        return Turn(
            key=uuid.uuid4().hex,
            agent=chance.choice(self._notes.agents),
            mode=chance.choice(("wait", "stream", "stream", "background")),
            text=json.dumps(plan),
            began_s=time.monotonic(),
        )

    async def _take(self, turn: Turn) -> None:
        chance = self._chance
        on_busy, thread = chance.choice(("reject", "queue")), self._thread
        left = bool(self._notes.threads) and chance.random() < 0.15
        if left:
            # Sent to a thread where others may be at work, and not waited for: it may stand behind a question.
            turn.mode, on_busy, thread = "background", "queue", chance.choice(self._notes.threads[-8:])
        reuse = thread and (left or chance.random() < 0.6)
        path = f"{API}/threads/{thread}/runs" if reuse else f"{API}/runs"
        body: dict[str, Any] = {
            "agent": turn.agent,
            "input": turn.text,
            "mode": turn.mode,
            "on_busy": on_busy,
            "metadata": {"key": turn.key},
        }
        cancel_after = chance.random() * 0.4 if chance.random() < 0.12 else None
        canceller: asyncio.Task[None] | None = None
        while not turn.ended:
            try:
                accepted = await self._post(turn, path, body)
            except Lost:
                self._notes.counts["posts retried"] += 1
                await asyncio.sleep(PAUSE_S)
                continue
            if not accepted:
                return
            if cancel_after is not None and canceller is None:
                canceller = asyncio.create_task(self._cancel(turn, cancel_after))
            if left:
                turn.ended = "left"
            await self._follow(turn)
        if canceller is not None:
            await canceller

    async def _post(self, turn: Turn, path: str, body: dict[str, Any]) -> bool:
        """Start the run, in whatever mode; False when it was refused."""
        headers = {"Idempotency-Key": turn.key}
        async with stream(self._port, path, body=body, headers=headers) as line:
            if line.status in (200, 202):
                self._accept(turn, line)
                if turn.mode == "stream":
                    await self._stream(turn, line)
                elif turn.mode == "wait":
                    self._waited(turn, json.loads(await line.body()))
                return True
            answer = Answer(status=line.status, headers=line.headers, body=await line.body())
        if answer.status == 409 and answer.code == "thread_busy":
            self._notes.counts["refused as busy"] += 1
            self._thread = ""
            return False
        if answer.status in {409, 503}:
            await asyncio.sleep(PAUSE_S)
            raise TimeoutError
        self._notes.fault(f"POST {path} gave {answer.status} {answer.body[:300]!r}")
        return False

    async def _stream(self, turn: Turn, line: Connection) -> None:
        try:
            await self._read(turn, line)
        except Lost:
            # Either way back must lead to the same run: its own address, or the same key once more.
            if self._chance.random() < 0.3:
                raise

    def _accept(self, turn: Turn, line: Connection) -> None:
        run_id = line.headers.get("location", "").rpartition("/")[2]
        if turn.run_id and turn.run_id != run_id:
            self._notes.fault(f"key {turn.key}: run {turn.run_id} first, run {run_id} on the repeat")
        if turn.run_id and line.headers.get("idempotency-replayed") != "true":
            self._notes.fault(f"run {run_id}: a repeat is not marked as replayed")
        if line.headers.get("idempotency-replayed") == "true":
            self._notes.counts["answers replayed"] += 1
        turn.run_id = run_id
        self._notes.accepted[run_id] = turn

    def _waited(self, turn: Turn, run: dict[str, Any]) -> None:
        turn.thread_id = run["thread_id"]
        if run["status"] not in (*TERMINAL, "waiting"):
            self._notes.fault(f"run {turn.run_id}: wait came back with {run['status']}")

    async def _follow(self, turn: Turn) -> None:
        """Read the run's events to its end, over every cut; answer its questions or leave them."""
        while not turn.ended:
            if await self._asked(turn):
                continue
            path = f"{API}/runs/{turn.run_id}/events"
            after = max(turn.seen, default=None)
            try:
                async with stream(self._port, path, after=after) as line:
                    if line.status == 200:
                        await self._read(turn, line)
                    elif line.status == 204:
                        turn.ended = "204"
                    else:
                        self._notes.fault(f"GET {path} after {after} gave {line.status}")
                        turn.ended = "refused"
            except Lost:
                self._notes.counts["streams resumed"] += 1
                await asyncio.sleep(PAUSE_S)

    async def _asked(self, turn: Turn) -> bool:
        """When the newest event is a question: answer it once, or leave the run to whoever looks at the inbox."""
        newest = max(turn.seen, default=0)
        if not newest or turn.seen[newest]["type"] != "run.waiting" or turn.answered == newest:
            return False
        turn.answered = newest
        if self._chance.random() < 0.5:
            turn.ended, self._thread = "left", ""
        else:
            await self.answer(turn.run_id, turn.seen[newest]["questions"])
        return True

    async def _read(self, turn: Turn, line: Connection) -> None:
        async for frame in line.frames():
            if frame.seq is None:
                continue  # a closing hint or an error frame, without a place in the log
            expected = max(turn.seen, default=0) + 1
            if frame.seq in turn.seen:
                if turn.seen[frame.seq] != frame.data:
                    turn.faults.append(f"event {frame.seq} came twice and differs")
                if line.headers.get("location") is None:
                    turn.faults.append(f"event {frame.seq} came again after Last-Event-ID {expected - 1}")
            elif frame.seq != expected:
                turn.faults.append(f"event {frame.seq} came where {expected} was due")
            turn.seen[frame.seq] = frame.data
            turn.thread_id = frame.data["thread_id"]
            if frame.seq == 1:
                self._thread = turn.thread_id
                self._notes.threads.append(turn.thread_id)
            if frame.event in TERMINAL_EVENTS:
                turn.ended = frame.event

    async def answer(
        self, run_id: str, questions: list[dict[str, Any]], *, approve: bool | None = None
    ) -> None:
        """Answer each question, by chance if need be; a repeat after a lost answer may be told that it is settled."""
        answers: list[dict[str, Any]] = []
        for question in questions:
            given: dict[str, Any] = {"question_id": question["question_id"]}
            if question["kind"] == "approval":
                given["approve"] = self._chance.random() < 0.7 if approve is None else approve
            else:
                given["value"] = (question.get("choices") or ["red"])[0]
            answers.append(given)
        async with asyncio.timeout(BOUND_S):
            while True:
                try:
                    answer = await ask(
                        self._port, "POST", f"{API}/runs/{run_id}/answers", body={"answers": answers}
                    )
                except Lost:
                    await asyncio.sleep(PAUSE_S)
                    continue
                if answer.status == 503:
                    await asyncio.sleep(PAUSE_S)
                    continue
                break
        if answer.status not in (200, 409):
            self._notes.fault(f"answers to run {run_id} gave {answer.status} {answer.body[:200]!r}")
        self._notes.counts["questions answered"] += len(answers)

    async def _cancel(self, turn: Turn, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while True:
            try:
                answer = await ask(self._port, "POST", f"{API}/runs/{turn.run_id}/cancel")
            except Lost:
                await asyncio.sleep(PAUSE_S)
                continue
            if answer.status == 503:
                await asyncio.sleep(PAUSE_S)
                continue
            break
        self._notes.counts["cancels"] += 1
        if answer.status != 200 or answer.json["status"] not in TERMINAL:
            self._notes.fault(f"cancel of run {turn.run_id} gave {answer.status} {answer.body[:200]!r}")
