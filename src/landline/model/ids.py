"""Identifiers: UUIDv7, so that ids sort by the time they were made (RFC 9562, section 5.7)."""

import hashlib
import os
import threading
import time
import uuid

__all__ = ["fingerprint", "is_id", "new_id"]

_RANDOM = 10
"""Random bytes in an id."""

_lock = threading.Lock()
_last = 0
_random = bytearray()


def _fork() -> None:
    """Have a child take randomness of its own."""
    _random.clear()


os.register_at_fork(after_in_child=_fork)


def new_id() -> str:
    """Return a fresh UUIDv7 as text; ids made in one process rise strictly, also within a millisecond.

    The standard library has `uuid.uuid7` from Python 3.14 on; this is the same layout with the counter
    in the 74 random bits (RFC 9562, section 6.2, method 2).
    """
    global _last  # noqa: PLW0603 - the one counter that makes ids monotonic
    now = int(time.time() * 1000) << 74
    with _lock:
        if not _random:
            # A call of the system for every id costs more than all else here.
            _random.extend(os.urandom(_RANDOM * 100))
        tail = int.from_bytes(_random[-_RANDOM:], "big") & ((1 << 73) - 1)
        del _random[-_RANDOM:]
        value = now | tail
        if value <= _last:
            value = _last + 1
        _last = value
    ms, low = value >> 74, value & ((1 << 74) - 1)
    rand_a, rand_b = low >> 62, low & ((1 << 62) - 1)
    return str(uuid.UUID(int=(ms << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b))


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of an id; anything else cannot name a row and is answered as unknown."""
    if len(text) != 36:
        return False
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def fingerprint(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex: the name of a content, a body or a definition."""
    return hashlib.sha256(data).hexdigest()
