"""Threads, the inbox and files: the small ports beside `Runs`, on the store and the vault."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from landline.engine.registry import Registry
from landline.model.callers import Caller
from landline.model.errors import Invalid
from landline.model.files import FileInfo
from landline.model.ids import fingerprint, new_id
from landline.model.messages import Message
from landline.model.runs import Question
from landline.model.threads import Page, Thread
from landline.model.times import iso
from landline.ports.clock import Clock
from landline.ports.gates import Gate, TitleGate
from landline.ports.store import (
    IdempotencyKey,
    MessageQuery,
    NewFile,
    NewThread,
    Store,
    ThreadPatch,
    ThreadQuery,
)
from landline.ports.vault import Vault

__all__ = ["EngineFiles", "EngineQuestions", "EngineThreads"]

SNIFFED_BYTES = 512
"""The first bytes of a file, which show its type."""

Sniffer = Callable[[bytes, str], str]


class EngineThreads:
    """The caller's threads and messages; `gates` are asked about titles."""

    def __init__(
        self, *, store: Store, registry: Registry, clock: Clock, gates: Callable[[], Sequence[Gate]] = tuple
    ) -> None:
        self._store, self._registry, self._clock = store, registry, clock
        self._gates = gates

    async def create(
        self,
        caller: Caller,
        *,
        agent: str,
        title: str | None = None,
        metadata: dict[str, Any] | None = None,
        idempotency: IdempotencyKey | None = None,
    ) -> tuple[Thread, bool]:
        """Make a thread for `agent`, which must be the caller's to use."""
        self._registry.get(caller, agent)
        new = NewThread(
            id=new_id(),
            agent=agent,
            at=self._now(),
            title=await self._named(caller, agent, title),
            metadata=metadata or {},
            idempotency=idempotency,
        )
        return await self._store.create_thread(caller, new)

    async def get(self, caller: Caller, thread_id: str) -> Thread:
        """Return the thread."""
        return await self._store.get_thread(caller, thread_id)

    async def list(self, caller: Caller, query: ThreadQuery) -> Page[Thread]:
        """Return a page of threads, newest change first."""
        return await self._store.list_threads(caller, query)

    async def update(self, caller: Caller, thread_id: str, patch: ThreadPatch) -> Thread:
        """Change the thread."""
        if patch.title is not None and self._gates():
            agent = (await self._store.get_thread(caller, thread_id)).agent
            patch = replace(patch, title=await self._named(caller, agent, patch.title))
        return await self._store.update_thread(caller, thread_id, replace(patch, at=self._now()))

    async def delete(self, caller: Caller, thread_id: str) -> None:
        """Delete the thread and everything under it. Raises Busy while a run on it is not terminal."""
        await self._store.delete_thread(caller, thread_id)

    async def fork(
        self,
        caller: Caller,
        thread_id: str,
        *,
        message_id: str | None,
        idempotency: IdempotencyKey | None = None,
    ) -> tuple[Thread, bool]:
        """Make a thread that shares the branch up to `message_id`."""
        old = await self._store.get_thread(caller, thread_id)
        new = NewThread(
            id=new_id(),
            agent=old.agent,
            at=self._now(),
            title=old.title,
            metadata=old.metadata,
            idempotency=idempotency,
        )
        return await self._store.fork_thread(caller, thread_id, message_id, new)

    async def messages(self, caller: Caller, query: MessageQuery) -> Page[Message]:
        """Return a page of messages."""
        return await self._store.list_messages(caller, query)

    async def _named(self, caller: Caller, agent: str, title: str | None) -> str | None:
        """Return the title as the gates let it be kept."""
        for gate in self._gates():
            if title is not None and isinstance(gate, TitleGate):
                title = await gate.naming(caller, agent, title)
        return title

    def _now(self) -> str:
        return iso(self._clock.now())


class EngineQuestions:
    """The inbox of open questions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def inbox(self, caller: Caller, *, limit: int = 50, cursor: str | None = None) -> Page[Question]:
        """Return the open questions the caller may answer."""
        return await self._store.list_questions(caller, limit=limit, cursor=cursor)


class EngineFiles:
    """The caller's files: bytes in the vault, ownership in the store."""

    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        clock: Clock,
        sniff: Sniffer,
        max_bytes: int,
        media_types: Collection[str],
    ) -> None:
        self._store, self._vault, self._clock, self._sniff = store, vault, clock, sniff
        self._max_bytes, self._media_types = max_bytes, frozenset(media_types)

    async def upload(
        self,
        caller: Caller,
        name: str,
        chunks: AsyncIterator[bytes],
        *,
        idempotency: IdempotencyKey | None = None,
    ) -> tuple[FileInfo, bool]:
        """Keep a file under its own id; its type is what its first bytes show (TRU-16)."""
        head = b""
        async for chunk in chunks:
            head += chunk
            if len(head) >= SNIFFED_BYTES:
                break
        media_type = self._sniff(head[:SNIFFED_BYTES], name)
        if not self._takes(media_type):
            # Before anything is kept: a refused file leaves nothing behind.
            known = ", ".join(sorted(self._media_types))
            raise Invalid(
                f"Files of type {media_type} are not taken, only: {known}.", code="file_type_refused"
            )
        sha256, size, _ = await self._vault.put(_after(head, chunks), max_bytes=self._max_bytes)
        info = FileInfo(
            id=new_id(),
            name=name,
            media_type=media_type,
            size=size,
            sha256=sha256,
            created_at=iso(self._clock.now()),
        )
        if idempotency is not None:
            # The face knows only the name before the bytes have come; the same key with other bytes is no repeat.
            body = f"{idempotency.body_hash} {sha256}".encode()
            idempotency = replace(idempotency, body_hash=fingerprint(body))
        return await self._store.add_file(caller, NewFile(info=info, idempotency=idempotency))

    def _takes(self, media_type: str) -> bool:
        family = f"{media_type.partition('/')[0]}/*"
        return not self._media_types or not self._media_types.isdisjoint((media_type, family, "*"))

    async def info(self, caller: Caller, file_id: str) -> FileInfo:
        """Return what is known of a file."""
        return await self._store.get_file(caller, file_id)

    async def read(self, caller: Caller, file_id: str) -> tuple[FileInfo, bytes]:
        """Return a file with its bytes."""
        info = await self._store.get_file(caller, file_id)
        return info, await self._vault.read(info.sha256)


async def _after(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what was read already, then what comes."""
    if head:
        yield head
    async for chunk in rest:
        yield chunk
