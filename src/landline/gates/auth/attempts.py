"""How often somebody may try a password: by name and by address, the same for names that do not exist (TRU-3).

A try counts as failed before it is looked at, so that a hundred at once are a hundred. `Attempts` counts in this process,
for any name, and says so with 429. `KeptLocks` counts in the store, over restarts and for all processes, which can be done
for users only: it answers like a wrong password, since 429 would tell that there is such a user.
"""

import hashlib
import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol, TypeVar

from landline.model.times import iso
from landline.ports.clock import Clock
from landline.ports.people import UserRow
from landline.ports.sign_in import TooManySignIns

__all__ = ["Attempts", "KeptLocks", "NotesSignIns"]

FREE: Final = 5
"""Wrong passwords in a row before a name is locked."""
FIRST_LOCK_S: Final = 60.0
LONGEST_LOCK_S: Final = 900.0
"""Each further failure doubles the lock, up to this. Whoever tries for ever gets a hundred a day, and whoever locks a
stranger out does so for minutes."""
FORGET_S: Final = 3600.0
"""A name that nobody tried for so long begins anew."""
PER_ADDRESS: Final = 30
ADDRESS_WINDOW_S: Final = 900.0
MOST_KEPT: Final = 50_000
"""Names and addresses that are remembered; the one that was tried longest ago is forgotten first."""


_Key = TypeVar("_Key", bytes, str)


@dataclass(slots=True)
class _Tries:
    count: int = 0
    kept: int = 0
    last: float = 0.0
    until: float = 0.0


class Attempts:
    """Counts tries. Addresses are as `web.client` tells them: the limits count the same ones."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._names: OrderedDict[bytes, _Tries] = OrderedDict()
        self._addresses: OrderedDict[str, _Tries] = OrderedDict()

    def begin(self, tenant: str, name: str, address: str | None) -> bytes:
        """Count a try and return what `right` takes. Raises TooManySignIns without counting it."""
        now = self._clock.steady()
        key = _key(tenant, name)
        named = self._names.get(key) or _Tries()
        if now - named.last >= FORGET_S:
            named = _Tries()
        placed = self._addresses.get(address) or _Tries() if address else None
        if placed is not None and now >= placed.until:
            placed.count, placed.until = 0, now + ADDRESS_WINDOW_S
        wait_s = max(named.until - now, 0.0)
        if placed is not None and placed.count >= PER_ADDRESS:
            wait_s = max(wait_s, placed.until - now)
        if wait_s > 0:
            raise TooManySignIns(
                "Too many sign-ins failed; try again later.", retry_after_s=max(1, math.ceil(wait_s))
            )
        named.count, named.last = named.count + 1, now
        if named.count >= FREE:
            named.until = now + _lock_s(named.count)
        _keep(self._names, key, named)
        if placed is not None and address:
            placed.count += 1
            _keep(self._addresses, address, placed)
        return key

    def right(self, key: bytes, address: str | None) -> None:
        """The password was right: its name begins anew, and the address has one failure less."""
        self._names.pop(key, None)
        placed = self._addresses.get(address or "")
        if placed is not None:
            placed.count = max(0, placed.count - 1)

    def kept(self, key: bytes, count: int) -> None:
        """The store counts `count` failures of this name."""
        if key in self._names:
            self._names[key].kept = count

    def lift(self, tenant: str, name: str, user: UserRow | None) -> bool:
        """Forget a name whose failures the store has forgotten, and tell whether it was one.

        Somebody who looks after users took the lock away, or the password was right elsewhere. Two tries at once may be
        taken for that; what they try is counted in the store all the same.
        """
        key = _key(tenant, name)
        named = self._names.get(key)
        if user is None or named is None or user.failed_count >= named.kept:
            return False
        del self._names[key]
        return True


class NotesSignIns(Protocol):
    """The part of the store that counts tries of users."""

    async def note_sign_in(
        self, user_id: str, *, right: bool, lock_at: int = 0, locked_until: str | None = None
    ) -> int:
        """Count a try; see `ports.people.Users`."""
        ...


class KeptLocks:
    """Counts the tries of users in the store, by the same rules."""

    def __init__(self, users: NotesSignIns, clock: Clock) -> None:
        self._users, self._clock = users, clock

    async def begin(self, user: UserRow | None) -> tuple[bool, int]:
        """Count a try as failed; return whether it may hold, and the failures in a row. One while it is locked is none."""
        if user is None or user.password_hash is None:
            return False, 0
        now, failed = self._clock.now(), user.failed_count
        if user.locked_until is not None:
            if iso(now) < user.locked_until:
                return False, failed
            if user.locked_until < iso(now - timedelta(seconds=FORGET_S)):
                failed = await self._users.note_sign_in(user.id, right=True)
        until = iso(now + timedelta(seconds=_lock_s(failed + 1)))
        count = await self._users.note_sign_in(user.id, right=False, lock_at=FREE, locked_until=until)
        # Beyond the free ones only one try follows each lock: whoever came at the same time was counted first.
        return count <= FREE or count == failed + 1, count

    async def right(self, user: UserRow) -> None:
        """The password was right: the user begins anew."""
        await self._users.note_sign_in(user.id, right=True)


def _key(tenant: str, name: str) -> bytes:
    # Hashed: what people type here by mistake may be a password.
    return hashlib.sha256(f"{tenant}\0{name}".encode("utf-8", "surrogatepass")).digest()


def _lock_s(count: int) -> float:
    doublings = min(max(count - FREE, 0), 10)
    return min(FIRST_LOCK_S * 2.0**doublings, LONGEST_LOCK_S)


def _keep(kept: OrderedDict[_Key, _Tries], key: _Key, tries: _Tries) -> None:
    kept[key] = tries
    kept.move_to_end(key)
    if len(kept) > MOST_KEPT:
        kept.popitem(last=False)
