"""Whose address a request comes from: the connection's own, unless a proxy that the owner trusts says another (TRU-8).

A proxy adds the address it was called from at the right end of `X-Forwarded-For` or `Forwarded` (RFC 7239); whatever stands
left of that, the caller may have written himself. So the fields are read from the right, as long as the address that was
found is a trusted proxy's. An IPv6 client holds a whole /64 and is counted as one.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, cast

__all__ = ["NOBODY", "Proxies", "client_address"]

_Address = IPv4Address | IPv6Address
NOBODY: Final = "unknown"
"""What has no address, such as a client on a local socket: counted as one."""

_MOST_HOPS: Final = 32
_REMEMBERED: Final = 4096
_REMEMBERED_BYTES: Final = 256
_FOR: Final = re.compile(r'(?:^|[;\s])for\s*=\s*("[^"]*"|[^;\s]+)', re.IGNORECASE)


class Proxies:
    """The proxies whose word is taken; none without any.

    Args:
        networks: Addresses and networks: `10.0.0.0/8`, `192.0.2.1`, `2001:db8::/32`.

    Raises:
        ValueError: One of them is neither.
    """

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        for network in networks:
            try:
                self._networks.append(ip_network(network))
            except ValueError as error:
                raise ValueError(f"{network!r} is no network: {error}") from None

        # Clients come again: what one connection's headers say is read once for most of its requests.
        self.behind = lru_cache(maxsize=_REMEMBERED)(self.read)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trust(self, address: _Address) -> bool:
        """Tell whether `address` is a proxy's."""
        return any(address in network for network in self._networks)

    def read(self, host: str, told: bytes, standard: bytes) -> str:
        """Return who called the outermost trusted proxy, by `X-Forwarded-For` and `Forwarded`, as limits count it."""
        peer = _address(host)
        if peer is None or not self.trust(peer):
            return _counted(peer)
        found = [
            _outermost(hops, peer, self)
            for hops in (
                told.decode("latin-1").split(",") if told else [],
                [_for_of(element) for element in standard.decode("latin-1").split(",")] if standard else [],
            )
            if hops
        ]
        # A proxy writes one of the two and passes the other on as the client sent it: where they differ, neither counts.
        agreed = found and all(address == found[0] for address in found)
        return _counted(found[0] if agreed else peer)


def client_address(scope: Any, proxies: Proxies) -> str:
    """Return the client's address as limits count it: an IPv4 address, or the /64 of an IPv6 one."""
    peer = scope.get("client")
    host = str(peer[0]) if peer else ""
    if not proxies:
        return _counted_of(host)
    told = standard = b""
    for name, value in cast("list[tuple[bytes, bytes]]", scope["headers"]):
        if name == b"x-forwarded-for":
            told = told + b"," + value if told else value
        elif name == b"forwarded":
            standard = standard + b"," + value if standard else value
    short = len(told) + len(standard) <= _REMEMBERED_BYTES
    return (proxies.behind if short else proxies.read)(host, told, standard)


def _outermost(hops: Sequence[str], peer: _Address, proxies: Proxies) -> _Address:
    last = peer
    for hop in hops[: -_MOST_HOPS - 1 : -1]:
        address = _address(_without_port(hop.strip()))
        if address is None:
            return last
        if not proxies.trust(address):
            return address
        last = address
    return last


def _for_of(element: str) -> str:
    match = _FOR.search(element)
    return match[1].strip('"') if match else ""


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _address(text: str) -> _Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=4096)
def _counted_of(host: str) -> str:
    return _counted(_address(host))


def _counted(address: _Address | None) -> str:
    if address is None:
        return NOBODY
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))
