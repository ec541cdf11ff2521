"""Threads: an ordered tree of messages that belongs to one tenant and one user."""

from typing import Any, Generic, TypeVar

import msgspec

__all__ = ["Page", "Thread"]

T = TypeVar("T")


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """A thread as its owner sees it; `head_id` is the message the next turn follows."""

    id: str
    user_id: str
    agent: str
    title: str | None
    metadata: dict[str, Any]
    pinned: bool
    archived: bool
    head_id: str | None
    created_at: str
    updated_at: str
    message_count: int


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list; `next_cursor` continues it, absent on the last page."""

    items: list[T]
    next_cursor: str | None = None
