"""Pydantic AI's own `ConversationStore` on Landline's storage (ADP-7), for code that calls agents itself.

    store = LandlineConversationStore(documents, caller)
    conversation = await store.load(conversation_id) or Conversation(conversation_id=conversation_id)
    result = await agent.run(prompt, conversation=conversation)
    await store.save(result)

One instance belongs to one caller: what another caller saved does not exist for it, whatever `scope` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import TypeAdapter
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
)

from landline.model.callers import Caller
from landline.model.errors import Conflict

__all__ = ["Document", "DocumentWrite", "Documents", "LandlineConversationStore"]

RECORDS = "pydantic_ai.conversations"
ENTRIES = "pydantic_ai.entries"


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """JSON that a caller keeps under a key of a collection; `label` is what lists are filtered by."""

    key: str
    body: bytes
    version: str
    label: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentWrite:
    """A document to write, or to remove when `body` is None.

    `expected` is the version it must have now: "" for none at all, None for any.
    """

    collection: str
    key: str
    body: bytes | None
    version: str = ""
    expected: str | None = None
    label: str | None = None


class Documents(Protocol):
    """What this needs of the store; every call sees the caller's own documents only."""

    async def read_documents(self, caller: Caller, collection: str, keys: Sequence[str]) -> list[Document]:
        """Return those of `keys` that exist, in the order of `keys`."""
        ...

    async def list_documents(
        self, caller: Caller, collection: str, *, label: str | None, limit: int | None
    ) -> list[Document]:
        """Return documents, or those with `label`, last written first."""
        ...

    async def write_documents(
        self, caller: Caller, writes: Sequence[DocumentWrite], *, needs: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Do all writes in one transaction, on disk on return. `needs`: (collection, key) pairs that must exist.

        Raises:
            Conflict: A document has not its expected version, or a needed one is gone; nothing was written.
        """
        ...


_records: TypeAdapter[ConversationRecord] = TypeAdapter(ConversationRecord)
_entries: TypeAdapter[ConversationEntry] = TypeAdapter(ConversationEntry)


class LandlineConversationStore(ConversationStore):
    """A caller's conversations.

    Deleting one also removes its messages, except while the caller has forks, which may share them.
    """

    def __init__(self, documents: Documents, caller: Caller) -> None:
        self._documents, self._caller = documents, caller

    async def read_record(self, conversation_id: str) -> ConversationRecord | None:
        """Return the record, or None."""
        found = await self._documents.read_documents(self._caller, RECORDS, [conversation_id])
        return _records.validate_json(found[0].body) if found else None

    async def read_records(
        self, *, scope: str | None = None, limit: int | None = None
    ) -> Sequence[ConversationRecord]:
        """Return the records, newest first."""
        found = await self._documents.list_documents(self._caller, RECORDS, label=scope, limit=limit)
        return [_records.validate_json(document.body) for document in found]

    async def write_record(
        self,
        record: ConversationRecord,
        *,
        new_entries: Sequence[ConversationEntry] = (),
        expected_revision: str | None,
    ) -> None:
        """Store the record and its new entries together.

        Raises:
            ConversationConflict: It changed since it was read, or the messages it continues are gone.
        """
        writes = [
            DocumentWrite(
                collection=ENTRIES,
                key=entry.id,
                body=_entries.dump_json(entry),
                version=entry.id,
                label=record.conversation_id,
            )
            for entry in new_entries
        ]
        writes.append(
            DocumentWrite(
                collection=RECORDS,
                key=record.conversation_id,
                body=_records.dump_json(record),
                version=record.revision,
                expected=expected_revision or "",
                label=record.scope,
            )
        )
        base = new_entries[0].parent_id if new_entries else record.head_id
        needs = [(ENTRIES, base)] if base is not None else []
        try:
            await self._documents.write_documents(self._caller, writes, needs=needs)
        except Conflict as conflict:
            raise ConversationConflict(record.conversation_id) from conflict

    async def delete_record(self, conversation_id: str, *, expected_revision: str) -> None:
        """Delete a conversation.

        Raises:
            ConversationConflict: It changed since it was read.
        """
        documents, caller = self._documents, self._caller
        writes = [
            DocumentWrite(collection=RECORDS, key=conversation_id, body=None, expected=expected_revision)
        ]
        if not any(record.forked_from for record in await self.read_records()):
            own = await documents.list_documents(caller, ENTRIES, label=conversation_id, limit=None)
            writes += [DocumentWrite(collection=ENTRIES, key=entry.key, body=None) for entry in own]
        try:
            await documents.write_documents(caller, writes)
        except Conflict as conflict:
            raise ConversationConflict(conversation_id) from conflict

    async def read_entry(self, entry_id: str) -> ConversationEntry:
        """Return an entry.

        Raises:
            LookupError: The caller has none with this id.
        """
        found = await self._documents.read_documents(self._caller, ENTRIES, [entry_id])
        if not found:
            raise LookupError(entry_id)
        return _entries.validate_json(found[0].body)
