"""Leases: what stays open stays so only while the credential it was opened with holds (TRU-1).

Streams, sockets and waiting requests hold a lease on their caller. One task looks at every distinct caller every few
seconds and ends the leases of those whose credential was revoked, expired, or belongs to somebody who is kept out now.
Runs that were started go on; only the doors close.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from landline.model.callers import Caller
from landline.model.errors import Unauthenticated
from landline.ports.authenticator import Authenticator

__all__ = ["CHECK_S", "Lease", "Leases", "revoked"]

CHECK_S: Final = 2.0
"""Between two looks. With the 2 s that a good key is believed this keeps the 5 s of TRU-1."""
_PATIENCE_S: Final = 5.0
"""How long one look at one caller may take; an authenticator that does not answer says nothing about anybody."""
_AT_ONCE: Final = 64

_logger = logging.getLogger("landline.web.leases")

_Key = tuple[str | None, str, str]


def revoked() -> Unauthenticated:
    """Return what is said when a credential stops holding while something of it is open."""
    return Unauthenticated("The credential does not hold any more.", code="credential_revoked")


@dataclass(slots=True, eq=False)
class Lease:
    """The right of one stream, socket or request to stay open; `ended` once its credential does not hold."""

    end: Callable[[], object]
    held: "_Held | None" = None
    ended: bool = False

    def release(self) -> None:
        """Give the lease back; a second time changes nothing."""
        self.end = _nothing  # often a task's, which would hold the lease in turn
        held, self.held = self.held, None
        if held is not None:
            held.drop(self)


@dataclass(slots=True)
class _Held:
    """All leases of one caller; with the last one it is forgotten."""

    caller: Caller
    forget: Callable[[], object]
    leases: set[Lease] = field(default_factory=set[Lease])

    def drop(self, lease: Lease) -> None:
        self.leases.discard(lease)
        if not self.leases:
            self.forget()


class Leases:
    """The leases of one process."""

    def __init__(self, check_s: float = CHECK_S) -> None:
        self._check_s = check_s
        self._held: dict[_Key, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, caller: Caller | None, end: Callable[[], object]) -> Lease:
        """Return a lease for `caller`; `end` is called once if its credential stops holding. Release it when done."""
        if caller is None or caller.credential is None:
            return Lease(end)
        key = (caller.credential, caller.tenant, caller.user)
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = _Held(caller, partial(self._held.pop, key, None))
        lease = Lease(end, held)
        held.leases.add(lease)
        return lease

    @asynccontextmanager
    async def running(self, authenticator: Authenticator) -> AsyncGenerator[None]:
        """Look every `check_s` seconds while the block runs; never for an authenticator that cannot tell."""
        holds: Callable[[Caller], Awaitable[bool]] | None = getattr(authenticator, "holds", None)
        if holds is None:
            yield
            return
        task = asyncio.create_task(self._keep(holds), name="landline-leases")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _keep(self, holds: Callable[[Caller], Awaitable[bool]]) -> None:
        while True:
            await asyncio.sleep(self._check_s)
            await self.check(holds)

    async def check(self, holds: Callable[[Caller], Awaitable[bool]]) -> None:
        """Look at every caller once, and end what does not hold."""
        callers = list(self._held.values())
        for start in range(0, len(callers), _AT_ONCE):
            await self._check(callers[start : start + _AT_ONCE], holds)

    async def _check(self, some: Sequence[_Held], holds: Callable[[Caller], Awaitable[bool]]) -> None:
        verdicts = await asyncio.gather(*(_holds(held.caller, holds) for held in some))
        for held, good in zip(some, verdicts, strict=True):
            for lease in () if good else list(held.leases):
                lease.ended = True
                lease.end()


async def _holds(caller: Caller, holds: Callable[[Caller], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await holds(caller)
    except Exception as error:  # noqa: BLE001 - who cannot answer now must not cut everybody off; the next look asks again
        _logger.warning("a credential could not be checked: %s", type(error).__name__)
        return True


def _nothing() -> Any:
    pass
