"""Health: is the process alive, can it accept and store now, and the tutorials' shape (REL-11)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

__all__ = ["Health"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """What the app tells of itself.

    `ready` returns each check by name with None when it is well, or a safe sentence that says what is wrong.
    """

    version: str
    ready: Callable[[], Awaitable[Mapping[str, str | None]]]
    sessions_active: Callable[[], int]
