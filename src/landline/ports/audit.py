"""The audit log: noting acts without waiting, and reading them back (TRU-18)."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from landline.model.audit import AuditEntry
from landline.model.callers import Caller
from landline.model.errors import LandlineError
from landline.model.threads import Page

__all__ = ["ORIGIN", "Audit", "AuditQuery", "AuditRows", "Origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: its own id, and the address of whoever sent it."""

    request_id: str
    remote: str | None


ORIGIN: ContextVar[Origin | None] = ContextVar("landline_origin", default=None)
"""The request under which the present task works; set where callers are admitted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditQuery:
    """A page of entries, newest first unless `oldest_first`; `after` and `before` bound `at` (ISO, `after` included)."""

    limit: int = 50
    cursor: str | None = None
    action: str | None = None
    user: str | None = None
    target: str | None = None
    after: str | None = None
    before: str | None = None
    oldest_first: bool = False


class Audit(Protocol):
    """The audit log as those see it who act."""

    def note(
        self,
        caller: Caller | None,
        action: str,
        *,
        target: str | None = None,
        outcome: str = "ok",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Note an act of the present request. Never waits and never raises: it is on disk within a second."""
        ...

    def signed_in(self, caller: Caller) -> None:
        """Note a credential's use, the first in a minute."""
        ...

    def refused(self, error: LandlineError, caller: Caller | None, credential: str | None) -> None:
        """Note that somebody was not let in; the same again within a minute is counted. The credential is not kept."""
        ...

    async def read(self, caller: Caller, query: AuditQuery) -> Page[AuditEntry]:
        """Return a page of the caller's own tenant, whatever the user."""
        ...


class AuditRows(Protocol):
    """The part of the store that keeps the audit log. Rows are added and never changed."""

    async def add_audit(self, entries: Sequence[AuditEntry]) -> None:
        """Keep entries, on disk on return; one that is there already stays as it is."""
        ...

    async def list_audit(self, caller: Caller, query: AuditQuery) -> Page[AuditEntry]:
        """Return a page of the caller's tenant; the system's are all."""
        ...

    async def prune_audit(self, caller: Caller, *, before: str, entry: AuditEntry) -> int:
        """Remove entries that are older than `before`, but none that tells of a pruning; return how many.

        `entry`, with their number in its details, is kept in the same transaction. Only the system may.

        Raises:
            NotFound: The caller is not the system.
        """
        ...
