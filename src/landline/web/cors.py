"""CORS (TRU-13): the origins whose pages may read what this server answers, and what is said to a browser that asks."""

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["EXPOSED", "MAX_AGE_S", "Cors", "Origins"]

Pairs = list[tuple[bytes, bytes]]

MAX_AGE_S: Final = 600
"""How long a browser may keep our answer; an origin that is taken off the list is out after that."""

EXPOSED: Final = (
    "Content-Disposition",
    "Content-Location",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Mcp-Session-Id",
    "RateLimit",
    "RateLimit-Limit",
    "RateLimit-Policy",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
)
"""What a page may read beside the headers that every page may."""

_METHODS: Final = b"DELETE, GET, HEAD, PATCH, POST, PUT"
_ORIGIN: Final = re.compile(
    r"(https?)://(\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9_-]|\.(?=[a-z0-9])){0,252})(?::([0-9]{1,5}))?"
)
_STANDARD: Final = {"http": "80", "https": "443"}
_NAMES: Final = re.compile(
    rb"[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,64}(?:[ \t]*,[ \t]*[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,64}){0,63}"
)


class Origins:
    """Exact origins such as `https://app.example`, or `*` for every one.

    Raises:
        ValueError: One is not of that form, or `*` comes with others or with credentials.
    """

    def __init__(self, origins: Iterable[str] = (), *, credentials: bool = False) -> None:
        given = [origin.strip().lower() for origin in origins]
        self.every = "*" in given
        self.credentials = credentials
        if self.every and credentials:
            raise ValueError(
                "with credentials every origin has to be named: * would let any page act as its reader"
            )
        if self.every and len(given) > 1:
            raise ValueError("* is every origin; name it alone, or name the others")
        self._exact: frozenset[str] = frozenset(map(_exact, given)) if not self.every else frozenset()

    def __bool__(self) -> bool:
        return self.every or bool(self._exact)

    def names(self, origin: str) -> bool:
        """Tell whether the owner named this very origin; `*` names none."""
        return origin in self._exact


def _exact(origin: str) -> str:
    found = _ORIGIN.fullmatch(origin)
    if not found or int(found[3] or 1) not in range(1, 65536):
        raise ValueError(
            f"{origin!r} is no origin: write scheme, name and port as a browser does, without path or pattern"
        )
    # Browsers leave the standard port out.
    return origin if found[3] != _STANDARD[found[1]] else origin[: -len(found[3]) - 1]


class Cors:
    """What is said to browsers. `open_` tells whether the server asks for no credential: then `*` means nobody.

    A server that lets in whoever reaches it would otherwise let in every page that its user visits.
    """

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    def allows(self, origin: bytes, *, open_: bool) -> bool:
        """Tell whether pages of this origin may read answers."""
        if self._origins.every:
            return not open_
        return self._origins.names(origin.decode("latin-1"))

    def headers(self, origin: bytes | None, *, open_: bool) -> Pairs:
        """Return what is added to a response to a request of that origin."""
        if origin is None or not self.allows(origin, open_=open_):
            return [] if self._origins.every else [(b"vary", b"Origin")]
        return [*self._allowed(origin), (b"access-control-expose-headers", ", ".join(EXPOSED).encode())]

    def preflight(self, origin: bytes, wanted: bytes, *, open_: bool) -> Pairs | None:
        """Return the headers of the answer to a preflight that asks for those request headers; None where it is refused."""
        if not self.allows(origin, open_=open_):
            return None
        answer = [
            *self._allowed(origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-max-age", str(MAX_AGE_S).encode()),
        ]
        # Which headers a face or a gate reads is theirs to say: an origin that may send a body may send a header.
        if _NAMES.fullmatch(wanted):
            answer.append((b"access-control-allow-headers", wanted))
        return answer

    def _allowed(self, origin: bytes) -> Pairs:
        if self._origins.every:
            return [(b"access-control-allow-origin", b"*")]
        pairs = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        return (
            [*pairs, (b"access-control-allow-credentials", b"true")] if self._origins.credentials else pairs
        )
