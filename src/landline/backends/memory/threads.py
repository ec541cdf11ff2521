"""Threads and messages of the memory store."""

import re
from typing import Any

import msgspec

from landline.backends.memory.state import MessageRow, State, ThreadRow, missing
from landline.backends.sql.pages import bound_limit, number_cursor, pack, pair_cursor
from landline.model.callers import Caller
from landline.model.errors import Busy, Conflict, Invalid
from landline.model.messages import Message
from landline.model.threads import Page, Thread
from landline.ports.store import MessageQuery, NewMessage, NewThread, ThreadPatch, ThreadQuery

__all__ = ["append", "branch", "create", "delete", "fork", "insert", "list_threads", "page", "patch"]

_WORD = re.compile(r"[^\W_]+")
_LAST = ("~", "~")


def insert(
    state: State, caller: Caller, new: NewThread, *, base_id: str | None = None, message_count: int = 0
) -> ThreadRow:
    """Make a thread row."""
    if new.id in state.threads:
        raise Conflict("Something else with the same id or in the same place was stored first.")
    thread = Thread(
        id=new.id,
        user_id=caller.user,
        agent=new.agent,
        title=new.title,
        metadata=dict(new.metadata),
        pinned=False,
        archived=False,
        head_id=base_id,
        created_at=new.at,
        updated_at=new.at,
        message_count=message_count,
    )
    row = ThreadRow(thread, caller.tenant, caller.user, base_id)
    state.threads[new.id] = row
    return row


def create(state: State, caller: Caller, new: NewThread) -> tuple[Thread, bool]:
    """Make a thread, or return the one this key made."""
    known = state.made_by(caller, new.idempotency)
    if known in state.threads:
        return state.threads[known].thread, True
    row = insert(state, caller, new)
    state.keep_key(caller, new.idempotency, new.id)
    return row.thread, False


def fork(
    state: State, caller: Caller, thread_id: str, message_id: str | None, new: NewThread
) -> tuple[Thread, bool]:
    """Make a thread that shares a branch."""
    known = state.made_by(caller, new.idempotency)
    if known in state.threads:
        return state.threads[known].thread, True
    source = state.thread(caller, thread_id)
    base_id = message_id or source.thread.head_id
    if message_id is not None and state.in_tree(source, message_id) is None:
        raise missing("message", message_id)
    owner = Caller(tenant=source.tenant, user=source.user)
    row = insert(state, owner, new, base_id=base_id, message_count=len(state.path(base_id)))
    state.keep_key(caller, new.idempotency, new.id)
    return row.thread, False


def patch(state: State, caller: Caller, thread_id: str, changes: ThreadPatch) -> Thread:
    """Change a thread."""
    row = state.thread(caller, thread_id)
    if changes.head_id is not None and state.in_tree(row, changes.head_id) is None:
        raise Invalid("The head must be a message of this thread.", code="unknown_head")
    values: dict[str, Any] = {
        name: value
        for name in ("title", "metadata", "pinned", "archived", "head_id")
        if (value := getattr(changes, name)) is not None
    }
    if changes.clear_title:
        values["title"] = None
    row.thread = msgspec.structs.replace(row.thread, updated_at=changes.at, **values)
    return row.thread


def delete(state: State, caller: Caller, thread_id: str) -> None:
    """Remove a thread; what a fork still shows stays."""
    row = state.thread(caller, thread_id)
    busy = state.active(thread_id) or next(iter(state.queued(thread_id)), None)
    if busy is not None:
        raise Busy(busy.run.id)
    del state.threads[thread_id]
    for run in list(state.on_thread(thread_id)):
        del state.runs[run.run.id]
    shown = {shared.message.id for fork_ in state.threads.values() for shared in state.path(fork_.base_id)}
    for message_id, message in list(state.messages.items()):
        if message.message.thread_id in state.threads:
            continue
        if message_id not in shown:
            del state.messages[message_id]
        else:
            message.message = msgspec.structs.replace(message.message, run_id=None)
    assert row.thread.id not in state.threads


def append(state: State, thread: ThreadRow, run_id: str, parent_id: str | None, new: NewMessage) -> None:
    """Append a message row; the head is the caller's to move."""
    if new.id in state.messages:
        raise Conflict("Something else with the same id or in the same place was stored first.")
    seq = thread.thread.message_count + 1
    message = Message(
        id=new.id,
        thread_id=thread.thread.id,
        run_id=run_id,
        parent_id=parent_id,
        seq=seq,
        role=new.role,
        content=new.content,
        parts=list(new.parts),
        created_at=new.at,
        metadata=dict(new.metadata),
        native=new.native,
    )
    state.messages[new.id] = MessageRow(message, thread.tenant, thread.user, len(state.path(parent_id)) + 1)
    thread.thread = msgspec.structs.replace(thread.thread, message_count=seq)


def _shown(row: MessageRow, thread_id: str, *, native: bool) -> Message:
    message = row.message
    seq = message.seq if message.thread_id == thread_id else row.depth
    kept = message.native if native else None
    return msgspec.structs.replace(message, thread_id=thread_id, seq=seq, native=kept)


def branch(
    state: State, caller: Caller, thread_id: str, head_id: str | None, limit: int | None
) -> list[Message]:
    """Return the branch that ends at a message, with native messages."""
    row = state.thread(caller, thread_id)
    if head_id is not None and state.in_tree(row, head_id) is None:
        raise missing("message", head_id)
    rows = state.path(head_id or row.thread.head_id)
    if limit is not None:
        rows = rows[-limit:] if limit > 0 else []
    return [_shown(one, thread_id, native=True) for one in rows]


def page(state: State, caller: Caller, query: MessageQuery) -> Page[Message]:
    """Return a page of a branch or of all rows."""
    limit, after = bound_limit(query.limit), number_cursor(query.cursor)
    thread = state.thread(caller, query.thread_id)
    if query.branch == "head":
        rows = state.path(thread.thread.head_id)
        found = rows[after : after + limit]
        more = bool(found) and after + len(found) < len(rows)
        items = [_shown(row, query.thread_id, native=False) for row in found]
        return Page(items=items, next_cursor=pack(after + len(items)) if more else None)
    own = [row for row in state.messages.values() if row.message.thread_id == query.thread_id]
    every = [_shown(row, query.thread_id, native=False) for row in state.path(thread.base_id) + own]
    later = sorted((message for message in every if message.seq > after), key=lambda message: message.seq)
    items = later[:limit]
    return Page(items=items, next_cursor=pack(items[-1].seq) if len(later) > limit else None)


def list_threads(state: State, caller: Caller, query: ThreadQuery) -> Page[Thread]:
    """Return a page of threads, newest change first."""
    limit, last = bound_limit(query.limit), pair_cursor(query.cursor, _LAST)
    found = [
        row.thread
        for row in state.threads.values()
        if caller.owns(row.tenant, row.user)
        and (row.thread.updated_at, row.thread.id) < last
        and _matches(state, row, query)
    ]
    found.sort(key=lambda thread: (thread.updated_at, thread.id), reverse=True)
    items = found[:limit]
    more = len(found) > limit
    return Page(items=items, next_cursor=pack(items[-1].updated_at, items[-1].id) if more else None)


def _matches(state: State, row: ThreadRow, query: ThreadQuery) -> bool:
    thread = row.thread
    if query.agent not in (None, thread.agent) or query.archived not in (None, thread.archived):
        return False
    if any(
        key not in thread.metadata or _text(thread.metadata[key]) != v for key, v in query.metadata.items()
    ):
        return False
    if query.q is None or not query.q.strip():
        return True
    words = [word.lower() for word in _WORD.findall(query.q)]
    if not words:
        return False
    title = (thread.title or "").lower()
    said = (m.message.content for m in state.messages.values() if m.message.thread_id == thread.id)
    return all(word in title for word in words) or any(_says(text, words) for text in said)


def _says(text: str, words: list[str]) -> bool:
    """Tell whether each word begins a word of the text, as a full-text index sees it."""
    spoken = [word.lower() for word in _WORD.findall(text)]
    return all(any(one.startswith(word) for one in spoken) for word in words)


def _text(value: Any) -> str | None:
    """Return a metadata value as a filter spells it; objects and lists match nothing."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (bool, int, float)):
        return msgspec.json.encode(value).decode()
    return None
