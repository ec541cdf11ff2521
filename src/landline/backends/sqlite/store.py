"""The store on SQLite: each method is one operation, handed to the writer or to a reader."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from landline.backends.sql.errors import DatabaseLocked
from landline.backends.sql.statements import people as people_sql
from landline.backends.sql.usage import page_of, sums
from landline.backends.sqlite import (
    audit,
    cancelling,
    claims,
    documents,
    log,
    messages,
    people,
    questions,
    runs,
    schema,
    search,
    threads,
    verify,
)
from landline.backends.sqlite.lock import FileLock
from landline.backends.sqlite.readers import Readers
from landline.backends.sqlite.writer import Writer
from landline.model.audit import AuditEntry
from landline.model.callers import Caller
from landline.model.errors import StorageFailed
from landline.model.events import Stamped
from landline.model.files import FileInfo
from landline.model.messages import Message
from landline.model.runs import Answer, Question, Run
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

__all__ = ["SqliteStore"]


class SqliteStore:
    """`ports.Store` in one file. Methods are described by the port; all writes but token batches are on disk.

    `beside` opens it next to a process that serves it, for short work that drives no runs (keys, checks).
    """

    def __init__(self, path: Path, *, beside: bool = False) -> None:
        self._path = path
        self._beside = beside
        self._lock = FileLock(path)
        self._writer = Writer(path)
        self._readers = Readers(path)

    async def open(self) -> None:
        """Lock, make or migrate, and begin to serve.

        Raises:
            DatabaseLocked: Another process has it open.
            DatabaseNewer: A newer Landline wrote it.
        """
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except OSError as error:
            raise StorageFailed(f"The folder of {self._path.name} cannot be written.") from error
        except DatabaseLocked:
            if not self._beside:
                raise
        else:
            self._prepare()
        self._writer.start()
        self._readers.start()

    def _prepare(self) -> None:
        try:
            schema.prepare(self._path)
        except BaseException:  # whatever refused, the next start must find the lock free
            self._lock.release()
            raise
        if self._beside:
            self._lock.release()

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._readers.stop()
        self._writer.stop()
        self._lock.release()

    async def check(self) -> None:
        await self._writer.run(lambda connection: connection.execute(people_sql.TOUCH).rowcount, durable=True)

    # threads

    async def create_thread(self, caller: Caller, new: NewThread) -> tuple[Thread, bool]:
        return await self._writer.run(lambda c: threads.create(c, caller, new), durable=True)

    async def get_thread(self, caller: Caller, thread_id: str) -> Thread:
        return await self._readers.run(lambda c: threads.get(c, caller, thread_id))

    async def list_threads(self, caller: Caller, query: ThreadQuery) -> Page[Thread]:
        if query.q and search.words_of(query.q) and await self._readers.run(search.unindexed):
            try:
                while await self._writer.run(search.index_some, durable=False):
                    pass
            except StorageFailed:
                pass  # reads go on while the disk is full; what is not indexed is not found (REL-8)
        return await self._readers.run(lambda c: search.list_threads(c, caller, query))

    async def update_thread(self, caller: Caller, thread_id: str, patch: ThreadPatch) -> Thread:
        return await self._writer.run(lambda c: threads.patch(c, caller, thread_id, patch), durable=True)

    async def delete_thread(self, caller: Caller, thread_id: str) -> None:
        await self._writer.run(lambda c: threads.delete(c, caller, thread_id), durable=True)

    async def fork_thread(
        self, caller: Caller, thread_id: str, message_id: str | None, new: NewThread
    ) -> tuple[Thread, bool]:
        return await self._writer.run(
            lambda c: threads.fork(c, caller, thread_id, message_id, new), durable=True
        )

    async def list_messages(self, caller: Caller, query: MessageQuery) -> Page[Message]:
        return await self._readers.run(lambda c: messages.page(c, caller, query))

    async def branch(
        self, caller: Caller, thread_id: str, head_id: str | None, *, limit: int | None = None
    ) -> list[Message]:
        return await self._readers.run(lambda c: messages.branch(c, caller, thread_id, head_id, limit))

    # runs

    async def accept(self, caller: Caller, run: AcceptRun) -> Accepted:
        return await self._writer.run(lambda c: runs.accept(c, caller, run), durable=True)

    async def made_run(self, caller: Caller, key: IdempotencyKey) -> Run | None:
        return await self._readers.run(lambda c: runs.made_run(c, caller, key))

    async def get_run(self, caller: Caller, run_id: str) -> Run:
        return await self._readers.run(lambda c: runs.get_run(c, caller, run_id))

    async def list_runs(self, caller: Caller, query: RunQuery) -> Page[Run]:
        return await self._readers.run(lambda c: runs.list_runs(c, caller, query))

    async def append(self, batches: Sequence[Append]) -> list[Appended]:
        return await self._writer.run(
            lambda c: log.append_all(c, batches),
            durable=any(batch.durable for batch in batches),
            careful=lambda c: log.append_each(c, batches),
        )

    async def events(self, caller: Caller, run_id: str, *, after: int, limit: int) -> list[Stamped]:
        return await self._readers.run(lambda c: log.events(c, caller, run_id, after, limit))

    async def records(self, caller: Caller, run_id: str) -> dict[str, bytes]:
        return await self._readers.run(lambda c: log.records(c, caller, run_id))

    async def settled_questions(self, caller: Caller, run_id: str) -> list[Settled]:
        return await self._readers.run(lambda c: questions.settled(c, caller, run_id))

    async def cancel(self, caller: Caller, run_id: str, *, by: str, at: str, owner: str) -> Cancelled:
        return await self._writer.run(
            lambda c: cancelling.cancel(c, caller, run_id, by=by, at=at, owner=owner), durable=True
        )

    async def answer(
        self, caller: Caller, run_id: str, answers: Sequence[Answer], *, at: str, owner: str
    ) -> Answered:
        return await self._writer.run(
            lambda c: questions.answer(c, caller, run_id, answers, at=at, owner=owner), durable=True
        )

    async def expire_questions(self, caller: Caller, *, at: str, owner: str) -> list[Answered]:
        return await self._writer.run(
            lambda c: questions.expire_all(c, caller, at=at, owner=owner), durable=True
        )

    async def next_expiry(self, caller: Caller) -> str | None:
        return await self._readers.run(lambda c: questions.next_expiry(c, caller))

    async def list_questions(self, caller: Caller, *, limit: int, cursor: str | None) -> Page[Question]:
        return await self._readers.run(lambda c: questions.inbox(c, caller, limit=limit, cursor=cursor))

    async def recover(self, caller: Caller, *, owner: str, at: str) -> list[Claim]:
        return await self._writer.run(lambda c: claims.recover(c, caller, owner=owner, at=at), durable=True)

    async def release(self, caller: Caller, *, owner: str) -> None:
        await self._writer.run(lambda c: claims.release(c, caller, owner=owner), durable=True)

    async def late_result(self, caller: Caller, run_id: str, call_id: str, *, ok: bool, at: str) -> None:
        await self._writer.run(
            lambda c: log.late_result(c, caller, run_id, call_id, ok=ok, at=at), durable=True
        )

    # documents

    async def read_documents(self, caller: Caller, collection: str, keys: Sequence[str]) -> list[Document]:
        return await self._readers.run(lambda c: documents.read(c, caller, collection, keys))

    async def list_documents(
        self, caller: Caller, collection: str, *, label: str | None = None, limit: int | None = None
    ) -> list[Document]:
        return await self._readers.run(lambda c: documents.listed(c, caller, collection, label, limit))

    async def write_documents(
        self, caller: Caller, writes: Sequence[DocumentWrite], *, needs: Sequence[tuple[str, str]] = ()
    ) -> None:
        await self._writer.run(lambda c: documents.write(c, caller, writes, needs), durable=True)

    # files, keys and users

    async def add_file(self, caller: Caller, new: NewFile) -> tuple[FileInfo, bool]:
        return await self._writer.run(lambda c: people.add_file(c, caller, new), durable=True)

    async def get_file(self, caller: Caller, file_id: str) -> FileInfo:
        return await self._readers.run(lambda c: people.get_file(c, caller, file_id))

    async def add_key(self, caller: Caller, key: NewKey, *, retire_at: str | None = None) -> None:
        await self._writer.run(lambda c: people.add_key(c, caller, key, retire_at=retire_at), durable=True)

    async def find_key(self, prefix: str) -> list[KeyRow]:
        return await self._readers.run(lambda c: people.find_key(c, prefix))

    async def get_key(self, caller: Caller, key_id: str) -> KeyRow:
        return await self._readers.run(lambda c: people.get_key(c, caller, key_id))

    async def list_keys(
        self, caller: Caller, *, user: str | None = None, after: str = "", limit: int | None = None
    ) -> list[KeyRow]:
        return await self._readers.run(
            lambda c: people.list_keys(c, caller, user=user, after=after, limit=limit)
        )

    async def revoke_key(self, caller: Caller, key_id: str, *, at: str) -> None:
        await self._writer.run(lambda c: people.revoke_key(c, caller, key_id, at=at), durable=True)

    async def used_keys(self, caller: Caller, used: Mapping[str, str]) -> None:
        await self._writer.run(lambda c: people.used_keys(c, caller, used), durable=False)

    async def add_user(self, caller: Caller, new: NewUser) -> None:
        await self._writer.run(lambda c: people.add_user(c, caller, new), durable=True)

    async def find_user(self, tenant: str, name: str) -> UserRow | None:
        return await self._readers.run(lambda c: people.find_user(c, tenant, name))

    async def get_user(self, caller: Caller, user_id: str) -> UserRow:
        return await self._readers.run(lambda c: people.get_user(c, caller, user_id))

    async def list_users(
        self, caller: Caller, *, tenant: str | None = None, after: str = "", limit: int | None = None
    ) -> list[UserRow]:
        return await self._readers.run(
            lambda c: people.list_users(c, caller, tenant=tenant, after=after, limit=limit)
        )

    async def update_user(self, caller: Caller, user_id: str, patch: UserPatch) -> UserRow:
        return await self._writer.run(lambda c: people.update_user(c, caller, user_id, patch), durable=True)

    async def note_sign_in(
        self, user_id: str, *, right: bool, lock_at: int = 0, locked_until: str | None = None
    ) -> int:
        return await self._writer.run(
            lambda c: people.note_sign_in(
                c, user_id, right=right, lock_at=lock_at, locked_until=locked_until
            ),
            durable=True,
        )

    async def add_audit(self, entries: Sequence[AuditEntry]) -> None:
        await self._writer.run(lambda c: audit.add(c, entries), durable=True)

    async def list_audit(self, caller: Caller, query: AuditQuery) -> Page[AuditEntry]:
        return await self._readers.run(lambda c: audit.listed(c, caller, query))

    async def prune_audit(self, caller: Caller, *, before: str, entry: AuditEntry) -> int:
        return await self._writer.run(lambda c: audit.prune(c, caller, before, entry), durable=True)

    async def usage(self, caller: Caller, query: UsageQuery) -> Page[UsageRow]:
        statement, parameters = sums(caller, query)
        return page_of(query, await self._readers.run(lambda c: c.execute(statement, parameters).fetchall()))

    async def verify(self, caller: Caller) -> list[str]:
        return await self._readers.run(verify.verify) if caller.system else []
