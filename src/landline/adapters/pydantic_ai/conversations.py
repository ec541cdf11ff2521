"""Pydantic AI's own `ConversationStore` on Landline's storage (ADP-7), for code that calls agents itself.

    store = LandlineConversationStore(landline.store, caller)
    conversation = await store.load(conversation_id) or Conversation(conversation_id=conversation_id)
    result = await agent.run(prompt, conversation=conversation)
    await store.save(result)

The store is any open store of Landline's: `Landline(...).store` while the server runs, or a `SqliteStore` of
your own. One instance belongs to one caller: what another caller saved does not exist for it, whatever `scope`
says.
"""

from collections.abc import Sequence

from pydantic import TypeAdapter
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
)

from landline.model.callers import Caller
from landline.model.errors import Conflict
from landline.ports.documents import Documents, DocumentWrite

__all__ = ["LandlineConversationStore"]

RECORDS = "pydantic_ai.conversations"
ENTRIES = "pydantic_ai.entries"
FORKS = "pydantic_ai.forks"
LAST_FORK = "last"
"""Changes with each fork, so that a deletion that counted the forks before it notices."""

_records: TypeAdapter[ConversationRecord] = TypeAdapter(ConversationRecord)
_entries: TypeAdapter[ConversationEntry] = TypeAdapter(ConversationEntry)


class LandlineConversationStore(ConversationStore):
    """A caller's conversations.

    Deleting one also removes its messages. While the caller has forks, which may share them, they stay; they go
    with the last fork.
    """

    def __init__(self, store: Documents, caller: Caller) -> None:
        self._documents, self._caller = store, caller

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
        if record.forked_from is not None and expected_revision is None:
            writes.append(DocumentWrite(collection=FORKS, key=LAST_FORK, body=b"{}", version=record.revision))
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
        forks = await documents.read_documents(caller, FORKS, [LAST_FORK])
        # The messages before the records: a conversation that is saved in between has no message in the list.
        label = None if forks else conversation_id
        entries = await documents.list_documents(caller, ENTRIES, label=label)
        kept = [record for record in await self.read_records() if record.conversation_id != conversation_id]
        if not any(record.forked_from for record in kept):
            version = forks[0].version if forks else ""
            writes.append(DocumentWrite(collection=FORKS, key=LAST_FORK, body=None, expected=version))
            used = {record.conversation_id for record in kept}
            writes += [
                DocumentWrite(collection=ENTRIES, key=entry.key, body=None)
                for entry in entries
                if entry.label not in used
            ]
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

    async def read_history(self, head_id: str | None, *, limit: int | None = None) -> list[ConversationEntry]:
        """Return the entries up to `head_id`, oldest first, or the last `limit`, in a few reads.

        Raises:
            LookupError: The caller has not all of them.
        """
        bodies: dict[str, bytes] = {}
        seen: set[str | None] = set()
        history: list[ConversationEntry] = []
        entry_id = head_id
        while entry_id is not None and (limit is None or len(history) < limit):
            if entry_id not in bodies:
                found = await self._documents.read_documents(self._caller, ENTRIES, [entry_id])
                if not found:
                    raise LookupError(entry_id)
                label = found[0].label
                if (
                    label not in seen
                ):  # what else its conversation wrote, newest first, is likely to come next
                    seen.add(label)
                    found += await self._documents.list_documents(
                        self._caller, ENTRIES, label=label, limit=limit
                    )
                bodies.update((document.key, document.body) for document in found)
            entry = _entries.validate_json(bodies[entry_id])
            history.append(entry)
            entry_id = entry.parent_id
        return history[::-1]
