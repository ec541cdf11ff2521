"""What only this wire needs to keep: which run of ours a client's run is, and which message of ours a client's message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from landline.faces.ag_ui.frames import Segment
from landline.model.callers import Caller
from landline.model.ids import new_id
from landline.ports.documents import Documents, DocumentWrite

__all__ = ["Kept", "Records"]

_RUNS = "face.ag_ui.runs"
_TAKEN = "face.ag_ui.messages"
_NAMES = "face.ag_ui.names"


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    thread: str
    run: str
    log: str
    after: int
    parent: str | None
    anchor: str | None
    body_hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A run of AG-UI, and the fingerprint of the request that began it."""

    segment: Segment
    body_hash: str


class Records:
    """The documents of the face. Each belongs to the caller, under one of the caller's threads."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def run(self, caller: Caller, thread_id: str, name: str) -> Kept | None:
        """Return the run that the client calls `name`."""
        found = await self._documents.read_documents(caller, _RUNS, [_key(thread_id, name)])
        return _kept(found[0].body) if found else None

    async def runs(self, caller: Caller, thread_id: str) -> list[Kept]:
        """Return the thread's runs, newest first."""
        found = await self._documents.list_documents(caller, _RUNS, label=thread_id, limit=50)
        return [_kept(document.body) for document in found]

    async def taken(self, caller: Caller, thread_id: str, names: Sequence[str]) -> dict[str, str]:
        """Return those of the client's message ids that were taken, each with the id of our message."""
        keys = {_key(thread_id, name): name for name in names}
        found = await self._documents.read_documents(caller, _TAKEN, list(keys))
        return {keys[document.key]: document.body.decode() for document in found}

    async def names(self, caller: Caller, thread_id: str) -> dict[str, str]:
        """Return the client's ids of our messages."""
        found = await self._documents.list_documents(caller, _NAMES, label=thread_id)
        return {document.key: document.body.decode() for document in found}

    async def keep(
        self,
        caller: Caller,
        thread_id: str,
        kept: Kept,
        *,
        users: Mapping[str, str],
        results: Mapping[str, str],
    ) -> None:
        """Keep a run with the user's messages (client's id -> ours) and results of calls (ours -> client's id) it took.

        Raises:
            Conflict: There is a run of this name.
        """
        segment = kept.segment
        row = _Row(
            thread=segment.thread,
            run=segment.run,
            log=segment.log,
            after=segment.after,
            parent=segment.parent,
            anchor=segment.anchor,
            body_hash=kept.body_hash,
        )
        run = _write(_RUNS, _key(thread_id, segment.run), msgspec.json.encode(row), thread_id)
        writes = [replace(run, expected="")]
        for name, id_ in users.items():
            writes.append(_write(_TAKEN, _key(thread_id, name), id_.encode(), thread_id))
        for id_, name in [*results.items(), *((id_, name) for name, id_ in users.items())]:
            writes.append(_write(_NAMES, id_, name.encode(), thread_id))
        await self._documents.write_documents(
            caller, list({(w.collection, w.key): w for w in writes}.values())
        )

    async def forget(self, caller: Caller, thread_id: str, name: str) -> None:
        """Forget a run that did not come about."""
        gone = DocumentWrite(collection=_RUNS, key=_key(thread_id, name), body=None)
        await self._documents.write_documents(caller, [gone])


def _key(thread_id: str, name: str) -> str:
    return f"{thread_id}/{name}"


def _kept(body: bytes) -> Kept:
    row = msgspec.json.decode(body, type=_Row)
    segment = Segment(
        thread=row.thread, run=row.run, log=row.log, after=row.after, parent=row.parent, anchor=row.anchor
    )
    return Kept(segment=segment, body_hash=row.body_hash)


def _write(collection: str, key: str, body: bytes, thread_id: str) -> DocumentWrite:
    return DocumentWrite(collection=collection, key=key, body=body, version=new_id(), label=thread_id)
