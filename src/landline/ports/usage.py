"""Usage as the store keeps it: written with the log's own batches, summed when somebody asks (TRU-10)."""

from dataclasses import dataclass
from typing import Literal, Protocol

from landline.model.callers import Caller
from landline.model.threads import Page
from landline.model.usage import UsageRow

__all__ = ["Grouping", "UsageQuery", "Usages"]

Grouping = Literal["day", "agent", "user", "key", "model"]


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageQuery:
    """A page of sums, one row for each group, in the order of the groups; without `group_by` one row at most.

    `first` and `last` are days (`2026-11-21`, UTC), both included. `tenant` holds for the system only: everybody else sees
    its own tenant.
    """

    group_by: tuple[Grouping, ...] = ("day",)
    first: str | None = None
    last: str | None = None
    tenant: str | None = None
    user: str | None = None
    key: str | None = None
    agent: str | None = None
    model: str | None = None
    thread_id: str | None = None
    limit: int = 50
    cursor: str | None = None


class Usages(Protocol):
    """The part of the store that keeps usage. It outlives the threads and runs it was made by."""

    async def usage(self, caller: Caller, query: UsageQuery) -> Page[UsageRow]:
        """Return the caller's own usage; with the scope `admin` that of its whole tenant.

        Raises:
            Invalid: The cursor is not one of this query's.
        """
        ...
