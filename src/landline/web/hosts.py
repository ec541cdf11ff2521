"""Which names this server answers to: the allow-list for Host, and for the Origin of sockets (TRU-13)."""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["ANY_ADDRESS", "LOOPBACK_HOSTS", "Hosts", "is_loopback"]

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
ANY_ADDRESS = "<address>"
"""A pattern for every IP address, and no name."""

_HOST = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")


class Hosts:
    """An allow-list: `example.com` (any port), `example.com:8443`, `*.example.com`, `ANY_ADDRESS`, or `*` for all."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._endings: list[str] = []
        self._all = False
        for pattern in patterns:
            name = pattern.strip().lower()
            if name == "*":
                self._all = True
            elif name.startswith("*."):
                self._endings.append(name[1:])
            else:
                self._exact.add(name)

    @property
    def names_known(self) -> bool:
        """Whether a Host that is allowed is one of a list, and not any name a client may say."""
        return not self._all

    def allows(self, host: str | None) -> bool:
        """Tell whether a Host header names this server; a malformed one never does."""
        found = _HOST.fullmatch(host or "")
        if not found:
            return False
        if self._all:
            return True
        whole = found[0].lower()
        name = found[1].lower().rstrip(".")
        if ANY_ADDRESS in self._exact and _is_address(name):
            return True
        return whole in self._exact or name in self._exact or any(name.endswith(end) for end in self._endings)

    def allows_origin(self, origin: str, host: str | None) -> bool:
        """Tell whether a page of `origin` is one of this server's own: it was served under an allowed name.

        With the list open (`*`) only the same name and port as `host` are, because a browser would send the user's
        network position along with any page; the same on loopback, where every port is another program.
        """
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            return False
        name = parts.hostname or ""
        if self._all or name == "localhost" or _is_address(name):
            return parts.netloc.lower() == (host or "").lower()
        return self.allows(parts.netloc)


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether a Host header names this machine to itself."""
    found = _HOST.fullmatch(host)
    return found is not None and found[1].lower() in LOOPBACK_HOSTS
