"""What this wire keeps of a response beside its run: the request's own words, echoed in every answer.

A response exists while its record does: one with `store: false` never has any. The label is the thread, so that the
last response of a thread made for it takes the thread along when it is deleted.
"""

from typing import Any, Final

import msgspec

from landline.model.callers import Caller
from landline.model.errors import NotFound
from landline.ports.documents import Documents, DocumentWrite

__all__ = ["Record", "Records"]

_RESPONSES: Final = "face.openai.responses"
_UNSTORED: Final = "face.openai.unstored"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A response: the events of `run_id` after `after`, and what its request said.

    `echo` are the response's fields that only repeat the request. `client_tools` are the names of the tools that the
    client carries out, of which one must be called with `must_call`. `own_thread` tells that the thread was made for this response and those that follow it.
    """

    id: str
    run_id: str
    thread_id: str
    after: int
    model: str
    echo: dict[str, Any]
    input: list[dict[str, Any]]
    client_tools: list[str] = []
    must_call: bool = False
    own_thread: bool = True
    background: bool = False
    store: bool = True


_decoder: Final = msgspec.json.Decoder(Record)


class Records:
    """The records of all callers, each its own."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def get(self, caller: Caller, response_id: str) -> Record:
        """Return a response's record. Raises NotFound."""
        found = await self._documents.read_documents(caller, _RESPONSES, [response_id[:128]])
        if not found:
            raise NotFound(f"Response with id '{response_id[:128]}' not found.", code="response_not_found")
        return _decoder.decode(found[0].body)

    async def keep(self, caller: Caller, record: Record) -> None:
        """Keep a record; on disk on return."""
        body = msgspec.json.encode(record)
        await self._documents.write_documents(
            caller,
            [
                DocumentWrite(
                    collection=_RESPONSES, key=record.id, body=body, version="1", label=record.thread_id
                )
            ],
        )

    async def remove(self, caller: Caller, record: Record) -> bool:
        """Remove a record; returns whether another response of the same thread is left."""
        await self._documents.write_documents(
            caller, [DocumentWrite(collection=_RESPONSES, key=record.id, body=None)]
        )
        left = await self._documents.list_documents(caller, _RESPONSES, label=record.thread_id, limit=1)
        return bool(left)

    async def mark_unstored(self, caller: Caller, thread_id: str) -> None:
        """Note that a thread was made for a response that is not to be stored."""
        await self._documents.write_documents(
            caller, [DocumentWrite(collection=_UNSTORED, key=thread_id, body=b"{}", version="1")]
        )

    async def is_unstored(self, caller: Caller, thread_id: str) -> bool:
        """Tell whether a thread was made for a response that is not to be stored."""
        return bool(await self._documents.read_documents(caller, _UNSTORED, [thread_id]))

    async def forget_unstored(self, caller: Caller, thread_id: str) -> None:
        """Remove the note, after the thread."""
        await self._documents.write_documents(
            caller, [DocumentWrite(collection=_UNSTORED, key=thread_id, body=None)]
        )
