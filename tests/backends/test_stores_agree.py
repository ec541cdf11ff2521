"""SQLite against the plain dicts of the memory store: whatever is done to both, both say the same."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from landline.backends.memory import MemoryStore
from landline.backends.sqlite import SqliteStore
from landline.model.callers import SYSTEM, Caller
from landline.model.errors import LandlineError
from landline.model.events import RunCompleted, RunFailed, RunWaiting, TextDelta
from landline.model.ids import new_id
from landline.model.runs import Answer, Usage
from landline.ports.documents import DocumentWrite
from landline.ports.store import (
    AcceptRun,
    Answered,
    Appended,
    Cancelled,
    Claim,
    IdempotencyKey,
    MessageQuery,
    NewThread,
    RunQuery,
    Settle,
    Store,
    ThreadPatch,
    ThreadQuery,
)
from landline.testing.stores import ALICE, BOB, MALLORY, Pen, ask, moment, said

CAROL = Caller(tenant="acme", user="carol")
PEOPLE = st.sampled_from([ALICE, ALICE, ALICE, BOB, CAROL, MALLORY, SYSTEM])
WORDS = st.sampled_from(["fox", "dog", "the fox", "zebra's \x1e\x1f \x00 crossing", "", "é"])
PICK = st.integers(0, 30)


def plain(value: object) -> Any:
    """Return a result as plain data, sets sorted, so that two can be compared."""
    return msgspec.json.decode(msgspec.json.encode(value, order="sorted"))


class StoresAgree(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.sqlite = SqliteStore(Path(self.folder.name) / "landline.db")
        self.memory = MemoryStore()
        self.runner.run(self.sqlite.open())
        self.threads: list[str] = []
        self.messages: list[str] = []
        self.runs: list[str] = []
        self.pens: list[Pen] = []
        self.questions: list[tuple[str, str]] = []
        self.clock = 0
        self.owner = 1

    def teardown(self) -> None:
        self.runner.run(self.sqlite.close())
        self.runner.close()
        self.folder.cleanup()

    def both(self, call: Callable[[Store], Awaitable[Any]]) -> Any:
        """Do the same to both, insist on the same result or refusal, and return the result."""

        async def one(store: Store) -> tuple[Any, Any]:
            try:
                result = await call(store)
            except LandlineError as error:
                return None, (type(error).__name__, error.code, error.detail)
            return result, plain(result)

        async def two() -> Any:
            (result, ours), (_, theirs) = await one(self.sqlite), await one(self.memory)
            assert ours == theirs
            return result

        return self.runner.run(two())

    def at(self) -> str:
        self.clock += 1
        return moment(self.clock)

    def take(self, claim: Claim | None) -> None:
        if claim is not None:
            self.pens.append(Pen(self.sqlite, claim))

    @rule(caller=PEOPLE, title=WORDS, pick=PICK)
    def create_thread(self, caller: Caller, title: str, pick: int) -> None:
        key = IdempotencyKey(key=str(pick % 3), route="t", body_hash=str(pick % 2)) if pick > 20 else None
        new = NewThread(
            id=new_id(), agent="a", at=self.at(), title=title, metadata={"n": pick % 3}, idempotency=key
        )
        self.threads.append(new.id)
        self.both(lambda store: store.create_thread(caller if caller is not SYSTEM else ALICE, new))

    @precondition(lambda self: self.threads)
    @rule(caller=PEOPLE, thread=PICK, parent=PICK, text=WORDS, queue=st.sampled_from([None, "last", "first"]))
    def accept(self, caller: Caller, thread: int, parent: int, text: str, queue: Any) -> None:
        message = said(text) if parent % 5 else None
        parent_id = self.messages[parent % len(self.messages)] if self.messages and parent > 15 else None
        parent_id = "" if parent in (1, 2) else parent_id
        key = IdempotencyKey(key=str(parent), route="r", body_hash=text) if parent % 7 == 0 else None
        new = AcceptRun(
            run_id=new_id(),
            thread_id=self.threads[thread % len(self.threads)],
            agent="a",
            at=self.at(),
            owner=f"w{self.owner}",
            message=message,
            parent_id=parent_id,
            queue=queue,
            idempotency=key,
        )
        accepted = self.both(lambda store: store.accept(caller, new))
        if accepted is not None and not accepted.replayed:
            self.runs.append(new.run_id)
            self.messages += [message.id] if message else []
            self.take(accepted.claim)

    def pen(self, pick: int) -> Pen:
        return self.pens[-1 - pick % min(len(self.pens), 4)]

    def append(self, pen: Pen, *events: Any, **columns: Any) -> None:
        batch = pen.batch(*events, **columns)
        results: list[Appended] | None = self.both(lambda store: store.append([batch]))
        assert results is not None
        if results[0].fenced:
            self.pens.remove(pen)
        self.take(results[0].promoted)

    @precondition(lambda self: self.pens)
    @rule(pick=PICK, texts=st.lists(WORDS, min_size=1, max_size=6), progress=st.booleans())
    def stream(self, pick: int, texts: list[str], progress: bool) -> None:
        records = [("k", text.encode()) for text in texts[:1]] if progress else []
        deltas = [TextDelta(message_id="m", delta=text) for text in texts]
        self.append(self.pen(pick), *deltas, progress=progress, records=records)

    @precondition(lambda self: self.pens)
    @rule(pick=PICK, texts=st.lists(WORDS, max_size=3), ok=st.booleans())
    def end(self, pick: int, texts: list[str], ok: bool) -> None:
        rows = [said(text, role="assistant", second=self.clock) for text in texts]
        self.messages += [row.id for row in rows]
        last = rows[-1].id if rows else None
        pen, at, error = self.pen(pick), self.at(), None
        event: Any = RunCompleted(output=texts, message_id=last, usage=Usage(input_tokens=pick))
        if not ok:
            error = LandlineError("It failed.", code="x").info
            event = RunFailed(error=error)
        settle = Settle(
            status="completed" if ok else "failed", at=at, output=texts, message_id=last, error=error
        )
        columns: dict[str, Any] = {"usage": Usage(input_tokens=pick), "spent_s": 1.5, "started_at": at}
        self.append(pen, event, messages=rows, settle=settle, durable=True, **columns)

    @precondition(lambda self: self.pens)
    @rule(pick=PICK, kinds=st.lists(st.sampled_from(["approval", "input", "choice"]), min_size=1, max_size=3))
    def wait(self, pick: int, kinds: list[Any]) -> None:
        asked = [
            ask(
                kind,
                key=f"{kind}{pick % 2}",
                choices=["a", "b"],
                needed=1 + pick % 2,
                expires_at=moment(self.clock + pick) if pick % 3 == 0 else None,
            )
            for kind in dict.fromkeys(kinds)
        ]
        pen = self.pen(pick)
        self.questions += [(pen.claim.run.id, new.question.question_id) for new in asked]
        event = RunWaiting(questions=[new.question for new in asked])
        self.append(pen, event, questions=asked, settle=Settle(status="waiting", at=self.at()), durable=True)

    @precondition(lambda self: self.questions)
    @rule(
        caller=PEOPLE,
        picks=st.lists(PICK, min_size=1, max_size=3),
        approve=st.sampled_from([True, True, False, None]),
        value=st.sampled_from([None, "a", "text", ["a", "b"], 7]),
    )
    def answer(self, caller: Caller, picks: list[int], approve: bool | None, value: Any) -> None:
        chosen = [self.questions[-1 - pick % min(len(self.questions), 6)] for pick in picks]
        answers = [Answer(question_id=question_id, approve=approve, value=value) for _, question_id in chosen]
        at, owner = self.at(), f"w{self.owner}"
        answered: Answered | None = self.both(
            lambda store: store.answer(caller, chosen[0][0], answers, at=at, owner=owner)
        )
        self.take(answered.claim if answered else None)

    @rule(later=PICK)
    def expire(self, later: int) -> None:
        self.clock += later
        at, owner = self.at(), f"w{self.owner}"
        self.both(lambda store: store.next_expiry(SYSTEM))
        for answered in self.both(lambda store: store.expire_questions(SYSTEM, at=at, owner=owner)):
            self.take(answered.claim)

    @precondition(lambda self: self.runs)
    @rule(caller=PEOPLE, pick=PICK)
    def cancel(self, caller: Caller, pick: int) -> None:
        run_id = self.runs[-1 - pick % min(len(self.runs), 5)]
        at, owner = self.at(), f"w{self.owner}"
        cancelled: Cancelled | None = self.both(
            lambda store: store.cancel(caller, run_id, by="somebody", at=at, owner=owner)
        )
        self.take(cancelled.claim if cancelled else None)

    @rule()
    def recover(self) -> None:
        self.owner += 1
        at, owner = self.at(), f"w{self.owner}"
        for claim in self.both(lambda store: store.recover(SYSTEM, owner=owner, at=at)):
            self.take(claim)

    @rule()
    def release(self) -> None:
        self.both(lambda store: store.release(SYSTEM, owner=f"w{self.owner}"))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.sqlite.close())
        self.sqlite = SqliteStore(Path(self.folder.name) / "landline.db")
        self.runner.run(self.sqlite.open())

    @precondition(lambda self: self.threads)
    @rule(caller=PEOPLE, thread=PICK, message=PICK)
    def fork(self, caller: Caller, thread: int, message: int) -> None:
        message_id = self.messages[message % len(self.messages)] if self.messages and message % 3 else None
        new = NewThread(id=new_id(), agent="a", at=self.at())
        thread_id = self.threads[thread % len(self.threads)]
        if self.both(lambda store: store.fork_thread(caller, thread_id, message_id, new)) is not None:
            self.threads.append(new.id)

    @precondition(lambda self: self.threads)
    @rule(caller=PEOPLE, thread=PICK, message=PICK, title=WORDS)
    def patch(self, caller: Caller, thread: int, message: int, title: str) -> None:
        head_id = self.messages[message % len(self.messages)] if self.messages and message % 2 else None
        thread_id = self.threads[thread % len(self.threads)]
        changes = ThreadPatch(at=self.at(), head_id=head_id, title=title, archived=message % 5 == 0)
        self.both(lambda store: store.update_thread(caller, thread_id, changes))

    @precondition(lambda self: self.threads)
    @rule(caller=PEOPLE, thread=PICK)
    def delete(self, caller: Caller, thread: int) -> None:
        thread_id = self.threads[thread % len(self.threads)]
        self.both(lambda store: store.delete_thread(caller, thread_id))

    @rule(
        caller=PEOPLE,
        keys=st.lists(st.sampled_from("abc"), min_size=1, max_size=3),
        label=st.sampled_from([None, "x", "y"]),
        expected=st.sampled_from([None, None, "", "1", "2"]),
        body=st.sampled_from([b"1", b"2", None]),
    )
    def write_documents(
        self, caller: Caller, keys: list[str], label: str | None, expected: str | None, body: bytes | None
    ) -> None:
        changes: dict[str, Any] = {"label": label, "expected": expected, "body": body}
        version = (body or b"").decode()
        writes = [DocumentWrite(collection="c", key=key, version=version, **changes) for key in keys]
        self.both(lambda store: store.write_documents(caller, writes, needs=[("c", "a")] if label else ()))
        self.both(lambda store: store.read_documents(caller, "c", keys))
        for wanted in (None, label):
            self.both(lambda store, wanted=wanted: store.list_documents(caller, "c", label=wanted))

    @rule(caller=PEOPLE, q=WORDS, limit=st.integers(1, 4))
    def look_around(self, caller: Caller, q: str, limit: int) -> None:
        self.both(lambda store: store.list_threads(caller, ThreadQuery(limit=limit)))
        self.both(lambda store: store.list_threads(caller, ThreadQuery(q=q)))
        self.both(lambda store: store.list_threads(caller, ThreadQuery(metadata={"n": str(limit)})))
        self.both(lambda store: store.list_runs(caller, RunQuery(limit=limit)))
        self.both(lambda store: store.list_questions(caller, limit=limit, cursor=None))
        for thread_id in self.threads[-4:]:
            self.both(lambda store, id_=thread_id: store.branch(caller, id_, None, limit=limit))
            for branch in ("head", "all"):
                query = MessageQuery(thread_id=thread_id, limit=limit, branch=branch)
                page = self.both(lambda store, query=query: store.list_messages(caller, query))
                if page is not None and page.next_cursor:
                    rest = MessageQuery(
                        thread_id=thread_id, limit=limit, branch=branch, cursor=page.next_cursor
                    )
                    self.both(lambda store, query=rest: store.list_messages(caller, query))

    @invariant()
    def everything_is_the_same_and_sound(self) -> None:
        for run_id in self.runs[-6:]:
            self.both(lambda store, id_=run_id: store.get_run(SYSTEM, id_))
            self.both(lambda store, id_=run_id: store.events(SYSTEM, id_, after=0, limit=1_000))
            self.both(lambda store, id_=run_id: store.settled_questions(SYSTEM, id_))
        for thread_id in self.threads[-6:]:
            self.both(lambda store, id_=thread_id: store.branch(SYSTEM, id_, None))
            self.both(lambda store, id_=thread_id: store.get_thread(SYSTEM, id_))
        assert self.both(lambda store: store.verify(SYSTEM)) == []


TestStoresAgree = pytest.mark.contract("EVT-2", "RUN-3", "REL-2", "REL-5", "THR-2", "THR-5")(
    StoresAgree.TestCase
)
TestStoresAgree.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
