"""What Landline does for faces: `Runs` with its six verbs, and the small ports beside it.

A face is pure translation over these. Nothing here knows a wire.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.carried import Carried
from landline.model.events import Stamped
from landline.model.files import FileInfo
from landline.model.messages import Message, Part
from landline.model.runs import Answer, OnBusy, Question, Run
from landline.model.threads import Page, Thread
from landline.ports.store import IdempotencyKey, MessageQuery, RunQuery, ThreadPatch, ThreadQuery

__all__ = [
    "Agents",
    "AnsweredRun",
    "Files",
    "HeldContext",
    "Questions",
    "Runs",
    "StartRun",
    "Started",
    "Threads",
    "Watch",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldContext:
    """A context the host app opened for one run; `release` is awaited when its first segment ends (AGT-6)."""

    value: Any
    release: Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class StartRun:
    """A turn to start. Without `thread_id` the run makes its thread, for `agent`.

    `input` None with a `parent_id` answers again below that message (regenerate); with an input it is a sibling
    branch (edit). `parent_id` None is the thread's head, "" its root: an edit of the first message. `context` is a
    value, or a `HeldContext`, for the first segment, never stored; `deadline_s` counts running time only.
    `carried` is what the client brings along, nothing of it into the thread. `run_id` is the id that the run will have;
    admission gives it, for its gates.
    """

    input: Sequence[Part] | None
    thread_id: str | None = None
    agent: str | None = None
    parent_id: str | None = None
    title: str | None = None
    on_busy: OnBusy = "reject"
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    context: Any = None
    has_context: bool = False
    deadline_s: float | None = None
    idempotency: IdempotencyKey | None = None
    carried: Carried | None = None
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """The accepted run; `replayed` when the idempotency key was seen before and this is the first one's run."""

    run: Run
    replayed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class AnsweredRun:
    """`run` for its owner; another approver of the tenant gets only the `questions` it answered."""

    run: Run | None
    questions: Sequence[Question]


class Runs(Protocol):
    """The six verbs. Each raises NotFound for a run or thread that is not the caller's."""

    async def start(self, caller: Caller, request: StartRun) -> Started:
        """Accept a run: it is durable when this returns, and goes on whether or not anyone follows it.

        Raises:
            Invalid, Unsupported, Forbidden: Refused; nothing was written.
            Busy: Another run is active and the policy is `reject`.
        """
        ...

    def follow(
        self, caller: Caller, run_id: str, *, after: int = 0, live: bool = True, at_once: bool = True
    ) -> AsyncIterator[Sequence[Stamped]]:
        """Yield a run's events in order, in batches, waiting for new ones until the last.

        The log is the only source, so a reader sees the same events whether it comes before, during or after the run,
        and whichever worker drives it. A reader that breaks off may return with `after` set to the last `seq` it saw:
        it misses nothing and sees nothing twice. Ends at the terminal event, or at a run.waiting that is the log's tail
        and newer than `after`. With `live` false it ends at the log's present tail. Who waits for the end alone says
        so with `at_once` false: what is said until then may be stored, and told, up to 0.1 s later and in fewer pieces.

        Raises:
            NotFound: No run has this id among the caller's own.
            Gone: `after` lies beyond the log's tail.
        """
        ...

    async def cancel(self, caller: Caller, run_id: str) -> Run:
        """Stop a run; returns it once it is terminal. A second cancel returns the same."""
        ...

    async def answer(self, caller: Caller, run_id: str, answers: Sequence[Answer]) -> AnsweredRun:
        """Answer open questions; the run goes on when none is left.

        Raises:
            Invalid: An answer does not fit its question.
            Conflict: A question is not open any more.
        """
        ...

    async def get(self, caller: Caller, run_id: str) -> Run:
        """Return the run with its open questions."""
        ...

    async def history(self, caller: Caller, query: RunQuery) -> Page[Run]:
        """Return a page of the caller's runs, newest first."""
        ...


class Threads(Protocol):
    """The caller's threads and messages."""

    async def create(
        self,
        caller: Caller,
        *,
        agent: str,
        title: str | None = None,
        metadata: dict[str, Any] | None = None,
        idempotency: IdempotencyKey | None = None,
    ) -> tuple[Thread, bool]: ...
    async def get(self, caller: Caller, thread_id: str) -> Thread: ...
    async def list(self, caller: Caller, query: ThreadQuery) -> Page[Thread]: ...
    async def update(self, caller: Caller, thread_id: str, patch: ThreadPatch) -> Thread: ...
    async def delete(self, caller: Caller, thread_id: str) -> None: ...
    async def fork(
        self,
        caller: Caller,
        thread_id: str,
        *,
        message_id: str | None,
        idempotency: IdempotencyKey | None = None,
    ) -> tuple[Thread, bool]: ...
    async def messages(self, caller: Caller, query: MessageQuery) -> Page[Message]: ...


class Watch(Protocol):
    """What comes next on a thread."""

    def watch(self, caller: Caller, thread_id: str, *, after_run: str | None = None) -> AsyncIterator[str]:
        """Yield the ids of a thread's runs as they are made, in order, until the reader leaves.

        Begins with every run made after `after_run`, or without it with the runs that have not ended. No run is left
        out, also when several begin and end between two looks.

        Raises:
            NotFound: No thread has this id among the caller's own.
        """
        ...


class Agents(Protocol):
    """The agents a caller may use."""

    def list(self, caller: Caller) -> list[AgentInfo]: ...
    def get(self, caller: Caller, name: str) -> AgentInfo:
        """Return the agent. Raises NotFound also for one the caller may not use."""
        ...


class Questions(Protocol):
    """The inbox: open questions the caller may answer (RUN-9)."""

    async def inbox(
        self, caller: Caller, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Question]: ...


class Files(Protocol):
    """The caller's files."""

    async def upload(
        self,
        caller: Caller,
        name: str,
        chunks: AsyncIterator[bytes],
        *,
        idempotency: IdempotencyKey | None = None,
    ) -> tuple[FileInfo, bool]:
        """Keep a file; its type is what its bytes show. Raises TooLarge, Invalid for a refused type."""
        ...

    async def info(self, caller: Caller, file_id: str) -> FileInfo: ...
    async def read(self, caller: Caller, file_id: str) -> tuple[FileInfo, bytes]: ...
