"""The store: threads, runs, logs, questions, keys and users, on disk. Every call takes the caller (TRU, THR-2).

A row of somebody else is answered exactly like a row that never existed. Each method is one transaction. Methods that
accept, settle or answer return only after the disk has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from landline.model.callers import Caller
from landline.model.carried import Carried
from landline.model.errors import ErrorInfo
from landline.model.events import Stamped
from landline.model.files import FileInfo
from landline.model.messages import Message, Native, Part, Role
from landline.model.runs import Answer, Outcome, Question, Run, Status, Usage
from landline.model.threads import Page, Thread
from landline.model.usage import Spent
from landline.ports.audit import AuditRows
from landline.ports.documents import Documents
from landline.ports.keys import Keys
from landline.ports.people import Users
from landline.ports.usage import Usages

__all__ = [
    "AcceptRun",
    "Accepted",
    "Answered",
    "Append",
    "Appended",
    "Cancelled",
    "Claim",
    "IdempotencyKey",
    "MessageQuery",
    "NewFile",
    "NewMessage",
    "NewQuestion",
    "NewThread",
    "RunQuery",
    "Settle",
    "Settled",
    "Store",
    "ThreadPatch",
    "ThreadQuery",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class IdempotencyKey:
    """A key of the caller's for one route, and the fingerprint of the canonical body it came with (RUN-7)."""

    key: str
    route: str
    body_hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NewThread:
    """A thread to make; `idempotency` makes a repeat return the first thread."""

    id: str
    agent: str
    at: str
    title: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadPatch:
    """Changes to a thread; None leaves a field as it is, `clear_title` empties the title."""

    at: str
    title: str | None = None
    clear_title: bool = False
    metadata: dict[str, Any] | None = None
    pinned: bool | None = None
    archived: bool | None = None
    head_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadQuery:
    """A page of the caller's threads, newest change first. `q` is full text over messages and titles."""

    limit: int = 50
    cursor: str | None = None
    agent: str | None = None
    archived: bool | None = None
    q: str | None = None
    metadata: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageQuery:
    """A page of a thread's messages, oldest first. `head`: the chosen branch only; `all`: every row."""

    thread_id: str
    limit: int = 50
    cursor: str | None = None
    branch: Literal["head", "all"] = "head"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunQuery:
    """A page of the caller's runs, newest first; `after`/`before` bound `created_at` (ISO)."""

    limit: int = 50
    cursor: str | None = None
    thread_id: str | None = None
    agent: str | None = None
    status: Status | None = None
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewMessage:
    """A row to append; its `seq`, and its parent unless `branch_from` says otherwise, are given by the store."""

    id: str
    role: Role
    content: str
    parts: Sequence[Part]
    at: str
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    native: Native | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptRun:
    """A run to accept, in one transaction with its user message, its first event and its idempotency key.

    `new_thread` is set when the run makes its thread. `message` is None when a run only answers again below
    `parent_id` (regenerate). `parent_id` None is the head of the moment the run begins at, "" is the root: its
    message begins a branch beside the first one. `queue`: None refuses a busy thread, `last` queues behind all,
    `first` before all. `key_id` is the API key that asked for it; the claim's caller has it again.
    """

    run_id: str
    thread_id: str
    agent: str
    at: str
    owner: str
    message: NewMessage | None
    new_thread: NewThread | None = None
    parent_id: str | None = None
    queue: Literal["last", "first"] | None = None
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    deadline_s: float | None = None
    needs_context: bool = False
    routed_to: str | None = None
    idempotency: IdempotencyKey | None = None
    carried: Carried | None = None
    key_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The right to write a run's log from `last_seq` + 1 on, until somebody claims a later `epoch`."""

    run: Run
    caller: Caller
    epoch: int
    last_seq: int
    input: Sequence[Part]
    input_message_id: str | None
    parent_id: str | None
    settings: dict[str, Any]
    deadline_s: float | None
    spent_s: float
    needs_context: bool
    cancel_by: str | None
    attempts_without_progress: int
    carried: Carried | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """`claim` is set when the caller of `accept` must drive the run now; `events` were written with it."""

    run: Run
    replayed: bool = False
    claim: Claim | None = None
    events: Sequence[Stamped] = ()
    active_run_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewQuestion:
    """A question asked in a batch; `key` finds it again when the run is resumed."""

    key: str
    question: Question


@dataclass(frozen=True, kw_only=True, slots=True)
class Settle:
    """The state a segment ends in; a terminal one also frees the thread and promotes the next queued run."""

    status: Literal["waiting", "completed", "failed", "cancelled"]
    at: str
    output: Any = None
    message_id: str | None = None
    error: ErrorInfo | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Append:
    """Events of one run to write, with all that belongs in the same transaction.

    Nothing of it is written unless the run is `running` under this `epoch` and is the caller's (REL-2). `durable`:
    it is on disk before `append` returns. `spent_s` is the running time so far, without waiting (RUN-10). `keys` came with
    input to this run: a repeat finds it. `spent` is added to the usage of the batch's day. `queued`, with a terminal `settle`, are runs of its thread that go before all
    others in the queue, in this order.
    """

    caller: Caller
    run_id: str
    thread_id: str
    epoch: int
    events: Sequence[Stamped]
    durable: bool = False
    started_at: str | None = None
    records: Sequence[tuple[str, bytes]] = ()
    messages: Sequence[NewMessage] = ()
    questions: Sequence[NewQuestion] = ()
    usage: Usage | None = None
    model: str | None = None
    spent_s: float | None = None
    progress: bool = False
    settle: Settle | None = None
    keys: Sequence[IdempotencyKey] = ()
    queued: Sequence[AcceptRun] = ()
    spent: Sequence[Spent] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Appended:
    """`fenced`: nothing was written, somebody else owns the run or it has ended. `promoted`: drive this one now."""

    fenced: bool = False
    promoted: Claim | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancelled:
    """`settled`: the run has ended (it was queued, or had ended before); otherwise its driver must end it.

    `claim` is set for a run that waited: it is running again, only to be ended by whoever drives it now, because its
    end writes what it said into the thread.
    """

    run: Run
    settled: bool
    events: Sequence[Stamped] = ()
    claim: Claim | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """An answer as the resumed run will read it."""

    key: str
    question: Question
    answer: Answer
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """`claim` is set when no question is left open and the run must be driven now; `own` tells if the run is the
    caller's own, else only `questions` may be shown.
    """

    run: Run
    questions: Sequence[Question]
    own: bool
    events: Sequence[Stamped] = ()
    claim: Claim | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewFile:
    """A file row to make; its bytes are already in the vault under `sha256`."""

    info: FileInfo
    idempotency: IdempotencyKey | None = None


class Store(Documents, Keys, Users, AuditRows, Usages, Protocol):
    """One database. Methods raise NotFound for ids that are not the caller's, StorageFailed when the disk refuses."""

    async def open(self) -> None:
        """Open the database; refuses one that a newer Landline wrote or that another process holds."""
        ...

    async def close(self) -> None:
        """Write what is pending and close."""
        ...

    async def check(self) -> None:
        """Prove that a write is possible now (for `/readyz`). Raises StorageFailed."""
        ...

    # threads
    async def create_thread(self, caller: Caller, new: NewThread) -> tuple[Thread, bool]:
        """Return the thread and whether it is a replay of an earlier request with the same key."""
        ...

    async def get_thread(self, caller: Caller, thread_id: str) -> Thread: ...
    async def list_threads(self, caller: Caller, query: ThreadQuery) -> Page[Thread]: ...
    async def update_thread(self, caller: Caller, thread_id: str, patch: ThreadPatch) -> Thread: ...

    async def delete_thread(self, caller: Caller, thread_id: str) -> None:
        """Remove the thread and everything under it. Raises Busy while a run on it is not terminal."""
        ...

    async def fork_thread(
        self, caller: Caller, thread_id: str, message_id: str | None, new: NewThread
    ) -> tuple[Thread, bool]:
        """Make `new` share the branch that ends at `message_id` (default: the head), by reference (THR-5)."""
        ...

    async def list_messages(self, caller: Caller, query: MessageQuery) -> Page[Message]:
        """Return a page without `native`."""
        ...

    async def branch(
        self, caller: Caller, thread_id: str, head_id: str | None, *, limit: int | None = None
    ) -> list[Message]:
        """Return the branch that ends at `head_id`, oldest first, with `native`; only its last `limit` messages."""
        ...

    # runs
    async def accept(self, caller: Caller, run: AcceptRun) -> Accepted:
        """Make a run durable. Raises Busy (queue=None), Conflict and Invalid for a misused idempotency key."""
        ...

    async def made_run(self, caller: Caller, key: IdempotencyKey) -> Run | None:
        """Return the run that this key made. Raises Invalid when it came with another body."""
        ...

    async def get_run(self, caller: Caller, run_id: str) -> Run: ...
    async def list_runs(self, caller: Caller, query: RunQuery) -> Page[Run]: ...

    async def append(self, batches: Sequence[Append]) -> list[Appended]:
        """Write batches of many runs in one commit; each stands or falls alone."""
        ...

    async def events(self, caller: Caller, run_id: str, *, after: int, limit: int) -> list[Stamped]:
        """Return up to `limit` events with seq > `after`. Raises NotFound."""
        ...

    async def records(self, caller: Caller, run_id: str) -> dict[str, bytes]: ...
    async def settled_questions(self, caller: Caller, run_id: str) -> list[Settled]: ...

    async def cancel(self, caller: Caller, run_id: str, *, by: str, at: str, owner: str) -> Cancelled:
        """Ask for the run's end. A queued run is ended here, its message kept beside the branch; see `Cancelled`."""
        ...

    async def answer(
        self, caller: Caller, run_id: str, answers: Sequence[Answer], *, at: str, owner: str
    ) -> Answered:
        """Settle questions. Raises Conflict for one that is not open, Invalid for one that is not of this run."""
        ...

    async def expire_questions(self, caller: Caller, *, at: str, owner: str) -> list[Answered]: ...
    async def next_expiry(self, caller: Caller) -> str | None: ...
    async def list_questions(self, caller: Caller, *, limit: int, cursor: str | None) -> Page[Question]: ...

    async def recover(self, caller: Caller, *, owner: str, at: str) -> list[Claim]:
        """Claim every run whose owner is gone, and the first queued run of every idle thread."""
        ...

    async def release(self, caller: Caller, *, owner: str) -> None:
        """Let go of every run of this owner: its process stops in order, so its runs are not counted as lost (REL-3)."""
        ...

    async def late_result(self, caller: Caller, run_id: str, call_id: str, *, ok: bool, at: str) -> None:
        """Note that a tool that could not be stopped ended after its run had."""
        ...

    # files
    async def add_file(self, caller: Caller, new: NewFile) -> tuple[FileInfo, bool]: ...
    async def get_file(self, caller: Caller, file_id: str) -> FileInfo: ...
    async def verify(self, caller: Caller) -> list[str]:
        """Return every broken invariant of the logs as a sentence: gaps, doubled ends, writes after the end (REL-13)."""
        ...
