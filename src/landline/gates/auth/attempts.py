"""How often somebody may try a password: by name and by address, the same for names that do not exist (TRU-3).

Counted in this process. A try counts as failed before it is looked at, so that a hundred at once are a hundred.
"""

import hashlib
import math
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeVar

from landline.ports.clock import Clock
from landline.ports.sign_in import TooManySignIns

__all__ = ["Attempts"]

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
    last: float = 0.0
    until: float = 0.0


class Attempts:
    """Counts tries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._names: OrderedDict[bytes, _Tries] = OrderedDict()
        self._addresses: OrderedDict[str, _Tries] = OrderedDict()

    def begin(self, tenant: str, name: str, address: str | None) -> bytes:
        """Count a try and return what `right` takes. Raises TooManySignIns without counting it."""
        now = self._clock.steady()
        # Hashed: what people type here by mistake may be a password.
        key = hashlib.sha256(f"{tenant}\0{name}".encode("utf-8", "surrogatepass")).digest()
        named = self._names.get(key) or _Tries()
        if now - named.last >= FORGET_S:
            named = _Tries()
        place = _place(address)
        placed = self._addresses.get(place) or _Tries() if place else None
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
            named.until = now + min(FIRST_LOCK_S * 2.0 ** (named.count - FREE), LONGEST_LOCK_S)
        _keep(self._names, key, named)
        if placed is not None and place:
            placed.count += 1
            _keep(self._addresses, place, placed)
        return key

    def right(self, key: bytes, address: str | None) -> None:
        """The password was right: its name begins anew, and the address has one failure less."""
        self._names.pop(key, None)
        placed = self._addresses.get(_place(address))
        if placed is not None:
            placed.count = max(0, placed.count - 1)


def _keep(kept: OrderedDict[_Key, _Tries], key: _Key, tries: _Tries) -> None:
    kept[key] = tries
    kept.move_to_end(key)
    if len(kept) > MOST_KEPT:
        kept.popitem(last=False)


def _place(address: str | None) -> str:
    """Return what one client can have: an address, or the network of IPv6 that a provider gives out whole."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped) if found.ipv4_mapped else str(found.packed[:8].hex())
    return str(found)
