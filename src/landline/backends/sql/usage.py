"""Usage between rows and the model, and the one statement that sums it up."""

# ruff: noqa: S608 - the statement is put together from our own text only; values are always bound

from typing import Any

import msgspec

from landline.backends.sql.pages import bound_limit, group_cursor, pack_group
from landline.backends.sql.rows import Row
from landline.backends.sql.statements import usage as sql
from landline.model.callers import Caller
from landline.model.threads import Page
from landline.model.usage import Spent, UsageRow
from landline.ports.store import Append
from landline.ports.usage import UsageQuery

__all__ = ["page_of", "sums", "usage_columns"]


def usage_columns(spent: Spent, batch: Append, run: Row) -> dict[str, Any]:
    """Return what a batch adds, with its place: the day of its last event, and the run's tenant, user, key and agent."""
    at = batch.events[-1].at if batch.events else batch.settle.at if batch.settle else ""
    place = {
        "tenant": run["tenant"],
        "user": run["user_id"],
        "thread_id": run["thread_id"],
        "agent": run["agent"],
    }
    known = {"day": at[:10], "key_id": run["key_id"] or "", "model": spent.model or ""}
    return {**msgspec.structs.asdict(spent), **place, **known}


def sums(caller: Caller, query: UsageQuery) -> tuple[str, dict[str, Any]]:
    """Return the statement of a query and its parameters; rows beyond the limit tell that there is another page."""
    columns = [sql.COLUMN_OF[name] for name in query.group_by]
    wanted = {
        "u.tenant = :tenant": query.tenant if caller.system else caller.tenant,
        "u.user_id = :own": None if caller.system or "admin" in caller.scopes else caller.user,
        "u.day >= :first": query.first,
        "u.day <= :last": query.last,
        "u.user_id = :user": query.user,
        "u.key_id = :key": query.key,
        "u.agent = :agent": query.agent,
        "u.model = :model": query.model,
        "u.thread_id = :thread_id": query.thread_id,
    }
    conditions = [condition for condition, value in wanted.items() if value is not None]
    parameters: dict[str, Any] = {
        condition.rpartition(":")[2]: value for condition, value in wanted.items() if value is not None
    }
    if query.cursor is not None:
        place = group_cursor(query.cursor, len(columns))
        parameters |= {f"place{nth}": part for nth, part in enumerate(place)}
        conditions.append(
            f"({', '.join(columns)}) > ({', '.join(f':place{nth}' for nth in range(len(place)))})"
        )
    named = [f"{column} AS {name}" for name, column in zip(query.group_by, columns, strict=True)]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    grouped = f"GROUP BY {', '.join(columns)} ORDER BY {', '.join(columns)}" if columns else ""
    parameters["limit"] = bound_limit(query.limit) + 1
    return f"SELECT {', '.join([*named, sql.SUMS])} FROM usage u {where} {grouped} LIMIT :limit", parameters


def page_of(query: UsageQuery, rows: list[Any]) -> Page[UsageRow]:
    """Return a page of the rows of `sums`."""
    limit = bound_limit(query.limit)
    # Without a group there is one row even of nothing.
    items = [_row(query, row) for row in rows[:limit] if row["runs"] is not None]
    if len(rows) <= limit:
        return Page(items=items)
    return Page(items=items, next_cursor=pack_group([rows[limit - 1][name] for name in query.group_by]))


def _row(query: UsageQuery, row: Row) -> UsageRow:
    return UsageRow(
        **{name: row[name] or None for name in query.group_by},
        runs=row["runs"],
        model_calls=row["model_calls"],
        unpriced_calls=row["unpriced_calls"],
        tool_calls=row["tool_calls"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        total_tokens=row["input_tokens"] + row["output_tokens"],
        cost_usd=row["cost_usd"],
        seconds=row["seconds"],
    )
