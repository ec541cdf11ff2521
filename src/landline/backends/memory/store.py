"""The store in memory: each method is one uninterrupted piece of work on the event loop, so each is a transaction."""

from collections.abc import Mapping, Sequence

from landline.backends.memory import audit, documents, people, questions, runs, threads, usage
from landline.backends.memory.state import State, missing
from landline.backends.sql.pages import bound_limit
from landline.model.audit import AuditEntry
from landline.model.callers import Caller
from landline.model.events import TERMINAL_EVENTS, Stamped
from landline.model.files import FileInfo
from landline.model.messages import Message
from landline.model.runs import ACTIVE, Answer, Question, Run
from landline.model.threads import Page, Thread
from landline.model.usage import UsageRow
from landline.ports.audit import AuditQuery
from landline.ports.documents import Document, DocumentWrite
from landline.ports.keys import KeyRow, NewKey
from landline.ports.people import NewUser, UserPatch, UserRow
from landline.ports.store import (
    Accepted,
    AcceptRun,
    Answered,
    Append,
    Appended,
    Cancelled,
    Claim,
    IdempotencyKey,
    MessageQuery,
    NewFile,
    NewThread,
    RunQuery,
    Settled,
    ThreadPatch,
    ThreadQuery,
)
from landline.ports.usage import UsageQuery

__all__ = ["MemoryStore"]


class MemoryStore:
    """`ports.Store` in dicts; methods are described by the port."""

    def __init__(self) -> None:
        self._state = State()

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """There is nothing to close."""

    async def check(self) -> None:
        """Memory can always be written."""

    # threads

    async def create_thread(self, caller: Caller, new: NewThread) -> tuple[Thread, bool]:
        return threads.create(self._state, caller, new)

    async def get_thread(self, caller: Caller, thread_id: str) -> Thread:
        return self._state.thread(caller, thread_id).thread

    async def list_threads(self, caller: Caller, query: ThreadQuery) -> Page[Thread]:
        return threads.list_threads(self._state, caller, query)

    async def update_thread(self, caller: Caller, thread_id: str, patch: ThreadPatch) -> Thread:
        return threads.patch(self._state, caller, thread_id, patch)

    async def delete_thread(self, caller: Caller, thread_id: str) -> None:
        threads.delete(self._state, caller, thread_id)

    async def fork_thread(
        self, caller: Caller, thread_id: str, message_id: str | None, new: NewThread
    ) -> tuple[Thread, bool]:
        return threads.fork(self._state, caller, thread_id, message_id, new)

    async def list_messages(self, caller: Caller, query: MessageQuery) -> Page[Message]:
        return threads.page(self._state, caller, query)

    async def branch(
        self, caller: Caller, thread_id: str, head_id: str | None, *, limit: int | None = None
    ) -> list[Message]:
        return threads.branch(self._state, caller, thread_id, head_id, limit)

    # runs

    async def accept(self, caller: Caller, run: AcceptRun) -> Accepted:
        return runs.accept(self._state, caller, run)

    async def made_run(self, caller: Caller, key: IdempotencyKey) -> Run | None:
        known = self._state.made_by(caller, key)
        return runs.shown(self._state.runs[known]) if known in self._state.runs else None

    async def get_run(self, caller: Caller, run_id: str) -> Run:
        return runs.shown(self._state.run(caller, run_id))

    async def list_runs(self, caller: Caller, query: RunQuery) -> Page[Run]:
        return runs.list_runs(self._state, caller, query)

    async def append(self, batches: Sequence[Append]) -> list[Appended]:
        runs.refuse_used_ids(self._state, batches)
        return [runs.append(self._state, batch) for batch in batches]

    async def events(self, caller: Caller, run_id: str, *, after: int, limit: int) -> list[Stamped]:
        row = self._state.run(caller, run_id)
        return [event for event in row.events if event.seq > after][: bound_limit(limit)]

    async def records(self, caller: Caller, run_id: str) -> dict[str, bytes]:
        return dict(self._state.run(caller, run_id).records)

    async def settled_questions(self, caller: Caller, run_id: str) -> list[Settled]:
        return questions.settled(self._state, caller, run_id)

    async def cancel(self, caller: Caller, run_id: str, *, by: str, at: str, owner: str) -> Cancelled:
        return runs.cancel(self._state, caller, run_id, by=by, at=at, owner=owner)

    async def answer(
        self, caller: Caller, run_id: str, answers: Sequence[Answer], *, at: str, owner: str
    ) -> Answered:
        return questions.answer(self._state, caller, run_id, answers, at=at, owner=owner)

    async def expire_questions(self, caller: Caller, *, at: str, owner: str) -> list[Answered]:
        return questions.expire_all(self._state, caller, at=at, owner=owner)

    async def next_expiry(self, caller: Caller) -> str | None:
        return questions.next_expiry(self._state, caller)

    async def list_questions(self, caller: Caller, *, limit: int, cursor: str | None) -> Page[Question]:
        return questions.inbox(self._state, caller, limit=limit, cursor=cursor)

    async def recover(self, caller: Caller, *, owner: str, at: str) -> list[Claim]:
        return runs.recover(self._state, caller, owner=owner, at=at)

    async def release(self, caller: Caller, *, owner: str) -> None:
        runs.release(self._state, caller, owner=owner)

    async def late_result(self, caller: Caller, run_id: str, call_id: str, *, ok: bool, at: str) -> None:
        self._state.run(caller, run_id).late[call_id] = (ok, at)

    # documents

    async def read_documents(self, caller: Caller, collection: str, keys: Sequence[str]) -> list[Document]:
        return documents.read(self._state, caller, collection, keys)

    async def list_documents(
        self, caller: Caller, collection: str, *, label: str | None = None, limit: int | None = None
    ) -> list[Document]:
        return documents.listed(self._state, caller, collection, label, limit)

    async def write_documents(
        self, caller: Caller, writes: Sequence[DocumentWrite], *, needs: Sequence[tuple[str, str]] = ()
    ) -> None:
        documents.write(self._state, caller, writes, needs)

    # files, keys and users

    async def add_file(self, caller: Caller, new: NewFile) -> tuple[FileInfo, bool]:
        known = self._state.made_by(caller, new.idempotency)
        if known in self._state.files:
            return self._state.files[known][1], True
        self._state.files[new.info.id] = (caller, new.info)
        self._state.keep_key(caller, new.idempotency, new.info.id)
        return new.info, False

    async def get_file(self, caller: Caller, file_id: str) -> FileInfo:
        owner, info = self._state.files.get(file_id, (None, None))
        if owner is None or info is None or not caller.owns(owner.tenant, owner.user):
            raise missing("file", file_id)
        return info

    async def add_key(self, caller: Caller, key: NewKey, *, retire_at: str | None = None) -> None:
        people.add_key(self._state, caller, key, retire_at)

    async def find_key(self, prefix: str) -> list[KeyRow]:
        return people.find_key(self._state, prefix)

    async def get_key(self, caller: Caller, key_id: str) -> KeyRow:
        return people.get_key(self._state, caller, key_id)

    async def list_keys(
        self, caller: Caller, *, user: str | None = None, after: str = "", limit: int | None = None
    ) -> list[KeyRow]:
        return people.list_keys(self._state, caller, user=user, after=after, limit=limit)

    async def revoke_key(self, caller: Caller, key_id: str, *, at: str) -> None:
        people.revoke_key(self._state, caller, key_id, at)

    async def used_keys(self, caller: Caller, used: Mapping[str, str]) -> None:
        people.used_keys(self._state, caller, used)

    async def add_user(self, caller: Caller, new: NewUser) -> None:
        people.add_user(self._state, caller, new)

    async def find_user(self, tenant: str, name: str) -> UserRow | None:
        return people.find_user(self._state, tenant, name)

    async def get_user(self, caller: Caller, user_id: str) -> UserRow:
        return people.get_user(self._state, caller, user_id)

    async def list_users(
        self, caller: Caller, *, tenant: str | None = None, after: str = "", limit: int | None = None
    ) -> list[UserRow]:
        return people.list_users(self._state, caller, tenant=tenant, after=after, limit=limit)

    async def update_user(self, caller: Caller, user_id: str, patch: UserPatch) -> UserRow:
        return people.update_user(self._state, caller, user_id, patch)

    async def note_sign_in(
        self, user_id: str, *, right: bool, lock_at: int = 0, locked_until: str | None = None
    ) -> int:
        return people.note_sign_in(self._state, user_id, right, lock_at, locked_until)

    async def add_audit(self, entries: Sequence[AuditEntry]) -> None:
        audit.add(self._state, entries)

    async def list_audit(self, caller: Caller, query: AuditQuery) -> Page[AuditEntry]:
        return audit.listed(self._state, caller, query)

    async def prune_audit(self, caller: Caller, *, before: str, entry: AuditEntry) -> int:
        return audit.prune(self._state, caller, before, entry)

    async def usage(self, caller: Caller, query: UsageQuery) -> Page[UsageRow]:
        return usage.usage(self._state.usage, caller, query)

    async def verify(self, caller: Caller) -> list[str]:
        broken: list[str] = []
        for run_id, row in self._state.runs.items() if caller.system else ():
            ends = [event.seq for event in row.events if event.type in TERMINAL_EVENTS]
            if [event.seq for event in row.events] != list(range(1, len(row.events) + 1)):
                broken.append(f"Run {run_id} has a gap or a doubled number in its log.")
            if ends != ([len(row.events)] if row.ended else []):
                broken.append(
                    f"Run {run_id} does not have exactly one last event, or has one without having ended."
                )
            if row.run.status == "waiting" and not any(entry.open for entry in row.questions):
                broken.append(f"Run {run_id} waits, but no question of it is open.")
        held = [row.run.thread_id for row in self._state.runs.values() if row.run.status in ACTIVE]
        broken += [f"Thread {one} has more than one active run." for one in set(held) if held.count(one) > 1]
        return broken
