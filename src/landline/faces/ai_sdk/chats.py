"""Chats as threads: a chat's id, chosen by the client or one of our own, and its messages by the client's ids for them.

The id that a client gave a user's message is kept with the run it started. Only an edit and a second answer look for it,
so nothing is read for an ordinary turn.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from landline.faces.ai_sdk.chunks import run_id_of
from landline.faces.ai_sdk.decode import Again
from landline.model.callers import Caller
from landline.model.errors import NotFound
from landline.model.ids import is_id
from landline.model.messages import Message
from landline.model.runs import Run, Status
from landline.model.threads import Thread
from landline.ports.store import MessageQuery, RunQuery
from landline.web.face import FacePorts
from landline.web.named_threads import find_thread, thread_named

__all__ = ["Chats", "said_as"]

_FACE: Final = "ai_sdk"
_KEY: Final = "ai_sdk.message_id"
_PAGE: Final = 200
# A run may begin, ask or be answered between two looks: in this order none slips through.
_GOING_ON: Final[tuple[Status, ...]] = ("running", "waiting", "running", "queued")


def said_as(message_id: str) -> dict[str, str]:
    """Return the metadata of a run that the client's message of this id starts."""
    return {_KEY: message_id} if message_id else {}


class Chats:
    """Finds what a client means, among the caller's own."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports

    async def find(self, caller: Caller, chat_id: str) -> Thread | None:
        """Return the chat's thread, or None when there is none."""
        named = await find_thread(self._ports, caller, face=_FACE, name=chat_id)
        if named is not None or not is_id(chat_id):
            return named
        try:
            return await self._ports.threads.get(caller, chat_id)
        except NotFound:
            return None

    async def open(self, caller: Caller, chat_id: str, *, agent: str) -> Thread:
        """Return the chat's thread, making it for `agent` when there is none."""
        found = await self.find(caller, chat_id)
        return found or await thread_named(self._ports, caller, face=_FACE, name=chat_id, agent=agent)

    async def active(self, caller: Caller, thread_id: str) -> Run | None:
        """Return the run of a thread that has not ended."""
        for status in _GOING_ON:
            found = await self._one(caller, thread_id, status)
            if found is not None:
                return found
        return None

    async def waiting(self, caller: Caller, thread_id: str) -> Run | None:
        """Return the run of a thread that waits for answers."""
        return await self._one(caller, thread_id, "waiting")

    async def message_of(self, caller: Caller, thread_id: str, message_id: str) -> Message | None:
        """Return the user's message that the client calls `message_id`, the newest of its edits; None if unknown."""
        rows = [row async for row in self._rows(caller, thread_id)]
        run_id = await self._run_of(caller, thread_id, message_id)
        for row in rows:
            if row.role == "user" and (row.run_id == run_id if run_id else row.id == message_id):
                return row
        return None

    async def asked_by(self, caller: Caller, thread_id: str, again: Again) -> Message | None:
        """Return the user's message to answer again; None if the request names none that the thread has."""
        if again.user_id is not None:
            return await self.message_of(caller, thread_id, again.user_id)
        if again.answer_id is not None:
            known = await self.message_of(caller, thread_id, again.answer_id)
            return known or await self._above(caller, thread_id, run_id_of(again.answer_id)[0])
        head = [row async for row in self._rows(caller, thread_id, whole=False)]
        return next((row for row in reversed(head) if row.role == "user"), None)

    async def _above(self, caller: Caller, thread_id: str, run_id: str) -> Message | None:
        """Return the user's message that a run answered; of a second answer it is not the run's own."""
        rows = {row.id: row async for row in self._rows(caller, thread_id)}
        here = next((row for row in rows.values() if row.run_id == run_id), None)
        while here is not None and here.role != "user":
            here = rows.get(here.parent_id or "")
        return here

    async def _one(self, caller: Caller, thread_id: str, status: Status) -> Run | None:
        query = RunQuery(thread_id=thread_id, status=status, limit=1)
        page = await self._ports.runs.history(caller, query)
        return page.items[0] if page.items else None

    async def _run_of(self, caller: Caller, thread_id: str, message_id: str) -> str | None:
        query = RunQuery(thread_id=thread_id, limit=_PAGE)
        while True:
            page = await self._ports.runs.history(caller, query)
            for run in page.items:
                if run.metadata.get(_KEY) == message_id:
                    return run.id
            if page.next_cursor is None:
                return None
            query = replace(query, cursor=page.next_cursor)

    async def _rows(self, caller: Caller, thread_id: str, *, whole: bool = True) -> AsyncIterator[Message]:
        query = MessageQuery(thread_id=thread_id, limit=_PAGE, branch="all" if whole else "head")
        while True:
            page = await self._ports.threads.messages(caller, query)
            for row in page.items:
                yield row
            if page.next_cursor is None:
                return
            query = replace(query, cursor=page.next_cursor)
