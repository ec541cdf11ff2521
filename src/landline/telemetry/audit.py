"""The audit log of one process: acts are noted at once and written together, twice a second, to the disk (TRU-18)."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from landline.model.audit import OK, AuditEntry
from landline.model.callers import Caller
from landline.model.errors import LandlineError
from landline.model.ids import new_id
from landline.model.redaction import redacted, redacted_data
from landline.model.threads import Page
from landline.model.times import iso
from landline.ports.audit import ORIGIN, AuditQuery
from landline.ports.clock import Clock, Timer
from landline.ports.store import Store

__all__ = ["AuditLog", "entry_of"]

logger = logging.getLogger(__name__)

BATCH_S = 0.5
"""How long an act may wait for others before it is written: what a killed process can lose."""

RETRY_S = 5.0
"""How long to wait for a disk that refused."""

CLOSE_S = 2.0
"""What a stop gives the disk to take what is left."""

MOST_WAITING = 10_000
"""Acts that are held while the disk refuses; what comes after them is counted, and the number noted."""

BATCH_ENTRIES = 500
MINUTE_S = 60.0
MOST_SOURCES = 1_000
"""Different refusals told apart in a minute; from there on they are one."""

MOST_CALLERS = 10_000
MOST_CHARS = 200
KEY_PREFIX = "ll_"
SHOWN_CHARS = 11
"""What is noted of a key that did not hold: its prefix, as `landline keys list` shows it."""

_Source = tuple[str | None, ...]


def entry_of(  # noqa: PLR0913 - one argument is one column
    caller: Caller | None,
    action: str,
    *,
    at: str,
    target: str | None = None,
    outcome: str = OK,
    details: Mapping[str, Any] | None = None,
    remote: str | None = None,
) -> AuditEntry:
    """Return the entry of an act of the present request; without one `remote` tells the way in."""
    origin = ORIGIN.get()
    return AuditEntry(
        id=new_id(),
        at=at,
        action=action,
        outcome=outcome,
        tenant=caller.tenant if caller else "",
        user=caller.user if caller else "",
        key_id=caller.key_id if caller else None,
        roles=sorted(caller.roles) if caller else (),
        target=None if target is None else redacted(target)[:MOST_CHARS],
        request_id=origin.request_id if origin else None,
        remote=origin.remote if origin else remote,
        details=redacted_data(details or {}),
    )


class AuditLog:
    """`ports.Audit` over a store. Everything happens on one event loop; with `on` false nothing is noted."""

    def __init__(self, store: Store, clock: Clock, *, on: bool = True) -> None:
        self._store, self._clock, self._on = store, clock, on
        self._waiting: list[AuditEntry] = []
        self._lost = 0
        self._timer: Timer | None = None
        self._writing: asyncio.Task[None] | None = None
        self._seen: dict[_Source, float] = {}
        self._refused: dict[_Source, tuple[float, AuditEntry]] = {}
        self._again: Counter[_Source] = Counter()

    def note(
        self,
        caller: Caller | None,
        action: str,
        *,
        target: str | None = None,
        outcome: str = OK,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Note an act of the present request."""
        if self._on:
            at = iso(self._clock.now())
            self._keep(entry_of(caller, action, at=at, target=target, outcome=outcome, details=details))

    def signed_in(self, caller: Caller) -> None:
        """Note a credential's use, the first in a minute."""
        who = (caller.tenant, caller.user, caller.key_id or caller.credential)
        if self._clock.steady() - self._seen.get(who, float("-inf")) >= MINUTE_S:
            self._sign_in(who, caller)

    def _sign_in(self, who: _Source, caller: Caller) -> None:
        if len(self._seen) >= MOST_CALLERS:
            self._seen.clear()
        self._seen[who] = self._clock.steady()
        self.note(caller, "sign_in", target=caller.key_id)

    def refused(self, error: LandlineError, caller: Caller | None, credential: str | None) -> None:
        """Note a refusal, the first of its kind in a minute; the others are counted, so that a flood fills no disk."""
        if not self._on:
            return
        shown = credential[:SHOWN_CHARS] if credential and credential.startswith(KEY_PREFIX) else None
        action = "sign_in.failed" if caller is None else "access.denied"
        entry = entry_of(
            caller,
            action,
            at=iso(self._clock.now()),
            target=shown if caller is None else None,
            outcome=error.code,
        )
        source: _Source = (entry.remote, error.code, entry.tenant, entry.user, shown)
        if source not in self._refused and len(self._refused) >= MOST_SOURCES:
            source = ("many",)
        if source in self._refused:
            self._again[source] += 1
        else:
            self._refused[source] = (self._clock.steady(), entry)
            self._keep(entry)
            if len(self._refused) == 1:
                self._clock.call_later(MINUTE_S, self._look_again)

    def _look_again(self) -> None:
        """Note how often each refusal of the last minute was repeated, and forget it."""
        self._count(self._clock.steady() - MINUTE_S)
        if self._refused:
            self._clock.call_later(MINUTE_S, self._look_again)

    def _count(self, until: float) -> None:
        for source, (since, first) in list(self._refused.items()):
            if since <= until:
                del self._refused[source]
                if times := self._again.pop(source, 0):
                    self._keep(self._repeats(first, times, several=source == ("many",)))

    def _repeats(self, first: AuditEntry, times: int, *, several: bool) -> AuditEntry:
        details = {"times": times, "since": first.at}
        if several:
            return self._own("sign_in.failed", "several", details)
        return replace(first, id=new_id(), at=iso(self._clock.now()), request_id=None, details=details)

    def _own(self, action: str, outcome: str, details: dict[str, Any]) -> AuditEntry:
        at = iso(self._clock.now())
        return AuditEntry(
            id=new_id(), at=at, action=action, outcome=outcome, tenant="", user="", details=details
        )

    async def read(self, caller: Caller, query: AuditQuery) -> Page[AuditEntry]:
        """Return a page of the caller's own tenant, with what is not written yet."""
        await self._written()
        return await self._store.list_audit(caller, query)

    async def close(self) -> None:
        """Write what is left. What a disk that still refuses does not take is lost, and the log says how much."""
        if self._on:
            self._count(float("inf"))
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._written()
        except TimeoutError:
            pass  # told below: what is still here is not on the disk
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting or self._lost:
            logger.error("%d acts could not be written to the audit log", len(self._waiting) + self._lost)

    def _keep(self, entry: AuditEntry) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        self._waiting.append(entry)
        if self._timer is None:
            self._timer = self._clock.call_later(BATCH_S, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write(), name="audit")

    async def _written(self) -> None:
        """Return once all that was noted before is written, or the disk has refused it."""
        if self._writing is not None:
            await asyncio.shield(self._writing)
        if self._waiting or self._lost:
            self._begin_now()
            if self._writing is not None:
                await asyncio.shield(self._writing)

    def _begin_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._begin()

    async def _write(self) -> None:
        try:
            while self._waiting or self._lost:
                self._tell_lost()
                batch = self._waiting[:BATCH_ENTRIES]
                await self._store.add_audit([await self._placed(entry) for entry in batch])
                del self._waiting[: len(batch)]
        except Exception as error:  # noqa: BLE001 - a log that cannot be written must not break what it tells of
            if self._timer is None:
                logger.warning("the audit log cannot be written now: %s", error)
                self._timer = self._clock.call_later(RETRY_S, self._begin)
        finally:
            self._writing = None

    def _tell_lost(self) -> None:
        if self._lost and len(self._waiting) < MOST_WAITING:
            lost, self._lost = self._lost, 0
            self._waiting.append(self._own("audit.lost", "storage_failed", {"count": lost}))

    async def _placed(self, entry: AuditEntry) -> AuditEntry:
        """Give a refused key to the tenant whose key begins like it: a revoked or expired one is its admin's to see."""
        if entry.tenant or entry.target is None or not entry.target.startswith(KEY_PREFIX):
            return entry
        rows = await self._store.find_key(entry.target)
        return replace(entry, tenant=rows[0].tenant, key_id=rows[0].id) if len(rows) == 1 else entry
