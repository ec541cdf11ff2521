"""The SDK's `Session`: an owner's own around a run that may be taken up again, and one on Landline's storage (ADP-7).

    session = LandlineSession(landline.store, caller, "conversation-1")
    result = await Runner.run(agent, "hello", session=session)

The store is any open store of Landline's: `Landline(...).store` while the server runs, or a `SqliteStore` of your own.
One instance belongs to one caller: what another caller keeps under the same id does not exist for it.
"""

from typing import Any, cast

import pydantic_core
from agents import SessionABC
from agents.memory import SessionSettings

from landline.model.callers import Caller
from landline.model.errors import Conflict
from landline.model.ids import new_id
from landline.ports.documents import Document, Documents, DocumentWrite

__all__ = ["LandlineSession", "RunSession"]

HEADS = "openai_agents.sessions"
ITEMS = "openai_agents.items"
_TRIES = 20

Item = Any


class LandlineSession(SessionABC):
    """A caller's session, kept in Landline's store.

    Args:
        store: Where documents are kept.
        caller: Whose session it is.
        session_id: Its name among the caller's own.
        session_settings: The SDK's, such as a limit of items read.
    """

    def __init__(
        self,
        store: Documents,
        caller: Caller,
        session_id: str,
        *,
        session_settings: SessionSettings | None = None,
    ) -> None:
        self._documents, self._caller = store, caller
        self.session_id = session_id
        self.session_settings: SessionSettings | None = session_settings

    async def get_items(self, limit: int | None = None) -> list[Item]:
        """Return the items, or the newest `limit`, oldest first."""
        limit = self.session_settings.limit if limit is None and self.session_settings else limit
        count, _, _ = await self._head()
        first = 0 if limit is None else max(0, count - max(0, limit))
        found = await self._read(range(first, count))
        return [pydantic_core.from_json(document.body) for document in found]

    async def add_items(self, items: list[Item]) -> None:
        """Append items, all or none of them.

        Raises:
            Conflict: Others write to the session without end.
        """
        if not items:
            return
        for _ in range(_TRIES):
            count, version, _ = await self._head()
            writes = [self._item(count + offset, item) for offset, item in enumerate(items)]
            if await self._write([*writes, self._new_head(count + len(items), version)]):
                return
        raise Conflict("The session is being written by others.")

    async def pop_item(self) -> Item | None:
        """Remove and return the newest item, or return None."""
        for _ in range(_TRIES):
            count, version, _ = await self._head()
            if not count:
                return None
            (newest,) = await self._read(range(count - 1, count))
            gone = DocumentWrite(collection=ITEMS, key=newest.key, body=None)
            if await self._write([gone, self._new_head(count - 1, version)]):
                return pydantic_core.from_json(newest.body)
        raise Conflict("The session is being written by others.")

    async def clear_session(self) -> None:
        """Remove all items."""
        for _ in range(_TRIES):
            count, version, exists = await self._head()
            if not exists:
                return
            gone = [DocumentWrite(collection=ITEMS, key=self._key(at), body=None) for at in range(count)]
            head = DocumentWrite(collection=HEADS, key=self.session_id, body=None, expected=version)
            if await self._write([*gone, head]):
                return
        raise Conflict("The session is being written by others.")

    async def _head(self) -> tuple[int, str, bool]:
        """Return (how many items there are, the head's version, whether there is one)."""
        found = await self._documents.read_documents(self._caller, HEADS, [self.session_id])
        if not found:
            return 0, "", False
        return int(pydantic_core.from_json(found[0].body)["items"]), found[0].version, True

    def _new_head(self, count: int, version: str) -> DocumentWrite:
        body = pydantic_core.to_json({"items": count})
        return DocumentWrite(
            collection=HEADS, key=self.session_id, body=body, version=new_id(), expected=version
        )

    def _item(self, at: int, item: Item) -> DocumentWrite:
        body = pydantic_core.to_json(item)
        return DocumentWrite(
            collection=ITEMS, key=self._key(at), body=body, version=new_id(), label=self.session_id
        )

    def _key(self, at: int) -> str:
        return f"{self.session_id}:{at}"

    async def _read(self, places: range) -> list[Document]:
        keys = [self._key(at) for at in places]
        return await self._documents.read_documents(self._caller, ITEMS, keys) if keys else []

    async def _write(self, writes: list[DocumentWrite]) -> bool:
        try:
            await self._documents.write_documents(self._caller, writes)
        except Conflict:
            return False
        return True


class RunSession(SessionABC):
    """An owner's session as one run sees it: read when the run begins, written once when the run has ended well.

    A run that is taken up again goes through its turn anew; what it writes on the way must not be written twice.
    """

    def __init__(self, session: Any, *, again: bool) -> None:
        self._session, self._again = session, again
        self._base: list[Item] | None = None
        self._added: list[Item] = []
        self._taken = 0
        self._cleared = False
        self.session_id = str(session.session_id)
        self.session_settings = cast("SessionSettings | None", getattr(session, "session_settings", None))

    async def get_items(self, limit: int | None = None) -> list[Item]:
        """Return what the session had before the run and what the run added."""
        items = [*await self._before(), *self._added]
        return items if limit is None else items[max(0, len(items) - limit) :]

    async def add_items(self, items: list[Item]) -> None:
        """Keep items for the end."""
        await self._before()
        self._added += items

    async def pop_item(self) -> Item | None:
        """Take back the newest item."""
        before = await self._before()
        if self._added:
            return self._added.pop()
        if not before:
            return None
        self._taken += 1
        return before.pop()

    async def clear_session(self) -> None:
        """Forget everything, at the end also what was before."""
        self._base, self._added, self._taken, self._cleared = [], [], 0, True

    async def commit(self) -> None:
        """Write what the run did; an earlier segment that was lost right after doing so has done it."""
        session, added = self._session, self._added
        if self._again and added and await session.get_items(limit=len(added)) == added:
            return
        if self._cleared:
            await session.clear_session()
        for _ in range(self._taken):
            await session.pop_item()
        if added:
            await session.add_items(list(added))

    async def _before(self) -> list[Item]:
        if self._base is None:
            self._base = list(await self._session.get_items())
        return self._base
