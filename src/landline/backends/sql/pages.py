"""Opaque cursors of pages: the place after which the next page begins, in base64 so that nobody builds on its form."""

import base64
import binascii
from collections.abc import Sequence

from landline.model.errors import Invalid

__all__ = [
    "bound_limit",
    "group_cursor",
    "id_cursor",
    "number_cursor",
    "pack",
    "pack_group",
    "pair_cursor",
]

LARGEST_PAGE = 1_000


def bound_limit(limit: int) -> int:
    """Return a page size the store is willing to serve."""
    return max(1, min(limit, LARGEST_PAGE))


def pack(*place: str | int) -> str:
    """Return the cursor of a place."""
    return base64.urlsafe_b64encode("|".join(str(part) for part in place).encode()).decode().rstrip("=")


def _unpack(cursor: str, parts: int) -> list[str]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        place = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split("|")
    except (UnicodeError, binascii.Error, ValueError):
        place = []
    if len(place) != parts or not all(place) or any(not part.isprintable() for part in place):
        raise _bad_cursor()
    return place


def id_cursor(cursor: str | None, default: str) -> str:
    """Return the id a cursor names, or `default` on the first page."""
    return default if cursor is None else _unpack(cursor, 1)[0]


def pair_cursor(cursor: str | None, default: tuple[str, str]) -> tuple[str, str]:
    """Return the time and id a cursor names, or `default` on the first page."""
    if cursor is None:
        return default
    first, second = _unpack(cursor, 2)
    return first, second


def number_cursor(cursor: str | None) -> int:
    """Return the number a cursor names, or 0 on the first page."""
    if cursor is None:
        return 0
    text = _unpack(cursor, 1)[0]
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise _bad_cursor()
    return int(text)


def pack_group(values: Sequence[str]) -> str:
    """Return the cursor of a group; its values may be empty and hold anything."""
    return pack(*(f".{value.encode().hex()}" for value in values))


def group_cursor(cursor: str, parts: int) -> list[str]:
    """Return the values of the group that a cursor names."""
    try:
        return [bytes.fromhex(part.removeprefix(".")).decode() for part in _unpack(cursor, parts)]
    except ValueError:
        raise _bad_cursor() from None


def _bad_cursor() -> Invalid:
    return Invalid("The cursor is not one that this server gave out.", code="bad_cursor")
