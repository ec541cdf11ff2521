"""What an owner does with the audit log from the command line: look, export, prune; and the notes of what is done there."""

import csv
import getpass
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

import msgspec

from landline.app.faults import SetupError
from landline.app.settings import Settings
from landline.app.storing import open_store
from landline.model.audit import AuditEntry
from landline.model.callers import SYSTEM, Caller
from landline.model.times import iso
from landline.ports.audit import AuditQuery
from landline.ports.store import Store
from landline.telemetry.audit import entry_of

__all__ = ["Wanted", "by_owner", "exported", "newest", "pruned"]

PAGE = 500
COLUMNS = (
    "at", "tenant", "user", "action", "target", "outcome", "key_id", "roles", "request_id", "remote", "details", "id",
)  # fmt: skip
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What begins a formula in a spreadsheet; such a cell gets an apostrophe before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which entries; None is any. Moments are ISO."""

    action: str | None = None
    user: str | None = None
    target: str | None = None
    tenant: str | None = None
    after: str | None = None
    before: str | None = None


def by_owner(
    action: str, *, tenant: str, target: str | None, details: Mapping[str, Any] | None = None
) -> AuditEntry:
    """Return the entry of what the owner did on this machine, as the user of its system, in a tenant."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container may know no name for its user
        name = "unknown"
    owner = Caller(tenant=tenant, user=f"os:{name}", scopes=frozenset())
    at = iso(datetime.now(UTC))
    return entry_of(owner, action, at=at, target=target, details=details, remote="cli")


async def newest(settings: Settings, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
    """Return up to `limit` entries, newest first."""
    found: list[dict[str, Any]] = []
    async with open_store(settings) as store:
        async for entry in _entries(store, wanted, oldest_first=False):
            found.append(msgspec.to_builtins(entry))
            if len(found) == limit:
                break
    return found


async def exported(
    settings: Settings, wanted: Wanted, form: Literal["jsonl", "csv"], output: Path | None
) -> int:
    """Write the entries, oldest first, to a new file or to stdout; return how many.

    Raises:
        SetupError: The file is there already, or cannot be made.
    """
    try:
        opened = nullcontext(sys.stdout) if output is None else output.open("x", encoding="utf-8", newline="")
    except OSError as error:
        raise SetupError(
            f"{output} cannot be written: {error.strerror}",
            where="option --output",
            how="name a file that does not exist yet",
            code="output_unwritable",
        ) from None
    count = 0
    with opened as stream:
        write = _writer(stream, form)
        async with open_store(settings) as store:
            async for entry in _entries(store, wanted, oldest_first=True):
                write(entry)
                count += 1
    return count


async def pruned(settings: Settings, before: str) -> int:
    """Remove what is older than `before` (ISO) and note that it was done; return how many entries it were."""
    async with open_store(settings) as store:
        entry = by_owner("audit.prune", tenant="", target=None, details={"before": before})
        return await store.prune_audit(SYSTEM, before=before, entry=entry)


async def _entries(store: Store, wanted: Wanted, *, oldest_first: bool) -> AsyncIterator[AuditEntry]:
    caller = SYSTEM if wanted.tenant is None else Caller(tenant=wanted.tenant, user="", scopes=frozenset())
    cursor = None
    while True:
        query = AuditQuery(
            limit=PAGE,
            cursor=cursor,
            action=wanted.action,
            user=wanted.user,
            target=wanted.target,
            after=wanted.after,
            before=wanted.before,
            oldest_first=oldest_first,
        )
        page = await store.list_audit(caller, query)
        for entry in page.items:
            yield entry
        if (cursor := page.next_cursor) is None:
            return


def _writer(stream: TextIO, form: Literal["jsonl", "csv"]) -> Any:
    if form == "jsonl":

        def line(entry: AuditEntry) -> None:
            stream.write(msgspec.json.encode(entry).decode() + "\n")

        return line
    rows = csv.writer(stream, lineterminator="\r\n")
    rows.writerow(COLUMNS)

    def row(entry: AuditEntry) -> None:
        fields = msgspec.to_builtins(entry)
        rows.writerow([_cell(fields[name]) for name in COLUMNS])

    return row


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(FORMULAS) else text
