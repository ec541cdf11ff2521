"""The rows of the memory store, and how they are found: always for a caller."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from landline.backends.memory.usage import Place
from landline.model.audit import AuditEntry
from landline.model.callers import Caller
from landline.model.errors import Invalid, NotFound
from landline.model.events import Stamped
from landline.model.files import FileInfo
from landline.model.messages import Message
from landline.model.runs import ACTIVE, TERMINAL, Answer, Outcome, Question, Run
from landline.model.threads import Thread
from landline.model.usage import Spent
from landline.ports.documents import Document
from landline.ports.keys import KeyRow
from landline.ports.people import UserRow
from landline.ports.store import AcceptRun, IdempotencyKey

__all__ = ["MessageRow", "QuestionRow", "RunRow", "State", "ThreadRow", "missing"]


@dataclass(slots=True)
class ThreadRow:
    """A thread; `base_id` is the last message it shares with the thread it was forked from."""

    thread: Thread
    tenant: str
    user: str
    base_id: str | None = None


@dataclass(slots=True)
class MessageRow:
    """A message as its own thread shows it; `depth` counts from the root of its branch, from 1."""

    message: Message
    tenant: str
    user: str
    depth: int


@dataclass(slots=True)
class QuestionRow:
    """A question; `closed` without an outcome means that its run ended or asked again."""

    key: str
    question: Question
    closed: bool = False
    answer: Answer | None = None
    outcome: Outcome | None = None
    voters: set[str] = field(default_factory=set[str])

    @property
    def open(self) -> bool:
        """Whether it may still be answered."""
        return not self.closed and self.outcome is None


@dataclass(slots=True)
class RunRow:
    """A run with its log, journal and questions; `number` is the order of acceptance."""

    run: Run
    tenant: str
    user: str
    new: AcceptRun
    number: int
    rank: int
    epoch: int
    owner: str | None
    parent_id: str | None
    tail_id: str | None
    events: list[Stamped] = field(default_factory=list[Stamped])
    records: dict[str, bytes] = field(default_factory=dict[str, bytes])
    questions: list[QuestionRow] = field(default_factory=list[QuestionRow])
    late: dict[str, tuple[bool, str]] = field(default_factory=dict[str, tuple[bool, str]])
    spent_s: float = 0.0
    cancel_by: str | None = None
    attempts_without_progress: int = 0

    @property
    def ended(self) -> bool:
        """Whether the run is in a terminal state."""
        return self.run.status in TERMINAL


def missing(what: str, id_: str) -> NotFound:
    """Return the refusal for a row that is not there or not the caller's."""
    return NotFound(f"No {what} has the id {id_}.", code=f"{what}_not_found")


@dataclass(slots=True)
class State:
    """All rows of a store."""

    threads: dict[str, ThreadRow] = field(default_factory=dict[str, ThreadRow])
    messages: dict[str, MessageRow] = field(default_factory=dict[str, MessageRow])
    runs: dict[str, RunRow] = field(default_factory=dict[str, RunRow])
    files: dict[str, tuple[Caller, FileInfo]] = field(default_factory=dict[str, tuple[Caller, FileInfo]])
    keys: dict[str, KeyRow] = field(default_factory=dict[str, KeyRow])
    users: dict[str, UserRow] = field(default_factory=dict[str, UserRow])
    documents: dict[tuple[str, str, str], dict[str, Document]] = field(
        default_factory=dict[tuple[str, str, str], dict[str, Document]]
    )
    made: dict[tuple[str, str, str, str], tuple[str, str]] = field(
        default_factory=dict[tuple[str, str, str, str], tuple[str, str]]
    )
    audit: dict[int, AuditEntry] = field(default_factory=dict[int, AuditEntry])
    audited: int = 0
    usage: dict[Place, Spent] = field(default_factory=dict[Place, Spent])
    accepted: int = 0

    def thread(self, caller: Caller, thread_id: str) -> ThreadRow:
        """Return the caller's thread. Raises NotFound."""
        row = self.threads.get(thread_id)
        if row is None or not caller.owns(row.tenant, row.user):
            raise missing("thread", thread_id)
        return row

    def run(self, caller: Caller, run_id: str) -> RunRow:
        """Return the caller's run. Raises NotFound."""
        row = self.runs.get(run_id)
        if row is None or not caller.owns(row.tenant, row.user):
            raise missing("run", run_id)
        return row

    def made_by(self, caller: Caller, key: IdempotencyKey | None) -> str | None:
        """Return the id of what a key made. Raises Invalid when it came with another body."""
        known = self.made.get((caller.tenant, caller.user, key.route, key.key)) if key else None
        if key is None or known is None:
            return None
        if known[0] != key.body_hash:
            raise Invalid(
                "This Idempotency-Key came before with another request.", code="idempotency_key_reused"
            )
        return known[1]

    def keep_key(self, caller: Caller, key: IdempotencyKey | None, target_id: str) -> None:
        """Keep a key with what it made."""
        if key is not None:
            self.made[caller.tenant, caller.user, key.route, key.key] = (key.body_hash, target_id)

    def on_thread(self, thread_id: str) -> Iterator[RunRow]:
        """Yield the thread's runs."""
        return (row for row in self.runs.values() if row.run.thread_id == thread_id)

    def active(self, thread_id: str) -> RunRow | None:
        """Return the run that holds the thread."""
        return next((row for row in self.on_thread(thread_id) if row.run.status in ACTIVE), None)

    def queued(self, thread_id: str) -> list[RunRow]:
        """Return the waiting line of a thread, first to run first."""
        rows = [row for row in self.on_thread(thread_id) if row.run.status == "queued"]
        return sorted(rows, key=lambda row: (row.rank, row.number))

    def path(self, message_id: str | None) -> list[MessageRow]:
        """Return the branch that ends at a message, oldest first."""
        rows: list[MessageRow] = []
        while message_id is not None:
            rows.append(self.messages[message_id])
            message_id = rows[-1].message.parent_id
        return rows[::-1]

    def in_tree(self, thread: ThreadRow, message_id: str) -> MessageRow | None:
        """Return a message of the thread's tree, what a fork shares included."""
        row = self.messages.get(message_id)
        if row is None or row.message.thread_id == thread.thread.id:
            return row
        return row if any(shared is row for shared in self.path(thread.base_id)) else None
