"""Passwords: kept as argon2id hashes, checked in a thread because that is slow on purpose (TRU-3)."""

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pwdlib import PasswordHash

__all__ = ["MAX_PASSWORD_CHARS", "hash_password", "verify_password"]

MAX_PASSWORD_CHARS: Final = 1024
"""More than a person types; what is longer is refused before it costs anything."""


async def hash_password(password: str) -> str:
    """Return the argon2id hash of `password` with a salt of its own, in the PHC form that names its own cost.

    Raises:
        ValueError: The password is empty, longer than `MAX_PASSWORD_CHARS`, or no Unicode text.
    """
    if not _plausible(password):
        raise ValueError(f"a password has 1 to {MAX_PASSWORD_CHARS} characters of Unicode text")
    return await asyncio.to_thread(_hasher().hash, password)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Tell whether `password` is the one of `password_hash`.

    Without a hash (no such user, or one without a password) the answer is no, after the same work: how long it takes tells
    nobody which names exist. A hash of another kind, or a damaged one, is no too.
    """
    plausible = _plausible(password)
    # A password that cannot be right is replaced, not refused at once: it must take as long as any.
    return await asyncio.to_thread(_verify, password if plausible else "x", password_hash) and plausible


def _verify(password: str, password_hash: str | None) -> bool:
    from pwdlib.exceptions import UnknownHashError

    try:
        holds = _hasher().verify(password, _nobody() if password_hash is None else password_hash)
    except (UnknownHashError, ValueError):
        return False
    return holds and password_hash is not None


@cache
def _hasher() -> "PasswordHash":
    # Imported when the first password is: most servers know keys only.
    from pwdlib import PasswordHash
    from pwdlib.hashers.argon2 import Argon2Hasher

    return PasswordHash((Argon2Hasher(),))


@cache
def _nobody() -> str:
    """A hash of this process's own making, to compare with where there is none."""
    return _hasher().hash("nobody's password")


def _plausible(password: str) -> bool:
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(password) <= MAX_PASSWORD_CHARS
