"""Which addresses a server may call: public unicast ones, and what its owner allowed in so many words.

Looks at addresses, never at how a name is spelled: `2130706433`, `0x7f.1` and `localhost.` all resolve to what they mean,
and that is what is judged.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

__all__ = ["Allowed", "Place", "is_public", "never_by_name", "origin_of", "place_of"]

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_V4_REFUSED = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's own host, on a public address
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
_V6_UNICAST = ip_network("2000::/3")
"""All else is refused: loopback, mapped and compatible forms of v4, NAT64, private, link-local, multicast."""
_V6_REFUSED = [
    ip_network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID and what else the IETF keeps
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries a v4 address
        "3fff::/20",
    )
]
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)

_NEVER_BY_NAME = [
    ip_network(text)
    for text in ("0.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")
]

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Place:
    """A host and a port, as a connection is asked for; the host in lower case without its last dot."""

    host: str
    port: int


def is_public(address: Address) -> bool:
    """Tell whether anybody may be sent there: global unicast, and no form that carries another address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _V4_REFUSED)
    if address.scope_id is not None or address not in _V6_UNICAST:
        return False
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return False
    return not any(address in network for network in _V6_REFUSED)


def never_by_name(address: Address) -> bool:
    """Tell whether even an allowed name may not lead there: metadata, link-local, multicast, unspecified.

    Only the address itself, written out in the owner's list, opens it.
    """
    if isinstance(address, IPv4Address):
        return any(address in network for network in _NEVER_BY_NAME)
    carried = address.ipv4_mapped or address.sixtofour
    if carried is not None:
        return True
    return address.is_link_local or address.is_multicast or address.is_unspecified or _metadata_v6(address)


def _metadata_v6(address: IPv6Address) -> bool:
    return address in ip_network("fd00:ec2::/32")


def place_of(host: str, port: int) -> Place:
    """Return a place in the form that is compared."""
    return Place(host.lower().removesuffix(".").strip("[]"), port)


def origin_of(url: str) -> Place:
    """Return the place of an origin or URL that the owner wrote.

    Raises:
        ValueError: It is no http, https, ws or wss URL, or carries a user or password.
    """
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError("an address begins with http:// or https:// and names a host")
    if "@" in parts.netloc:
        raise ValueError("an address carries no user or password; give a token or headers instead")
    return place_of(parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the owner opened: `host` (any port) or `host:port`; an address may stand for a host."""

    _any_port: frozenset[str] = frozenset()
    _places: frozenset[Place] = field(default_factory=frozenset[Place])

    @classmethod
    def of(cls, entries: Iterable[str]) -> "Allowed":
        """Read the entries of the setting.

        Raises:
            ValueError: One is neither `host` nor `host:port`.
        """
        hosts, places = set[str](), set[Place]()
        for entry in entries:
            host, port = _split(entry)
            if port is None:
                hosts.add(place_of(host, 0).host)
            else:
                places.add(place_of(host, port))
        return cls(frozenset(hosts), frozenset(places))

    def names(self, place: Place, trusted: Iterable[Place] = ()) -> bool:
        """Tell whether the owner named this place."""
        return place.host in self._any_port or place in self._places or place in trusted

    def may_call(self, place: Place, address: Address, trusted: Iterable[Place] = ()) -> bool:
        """Tell whether a connection to `place`, which resolved to `address`, may be made."""
        if is_public(address):
            return True
        if not self.names(place, trusted):
            return False
        return not never_by_name(address) or _literal(place.host) == address


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _split(entry: str) -> tuple[str, int | None]:
    text = entry.strip()
    if not text or any(c in text for c in "/@ \t*?#"):
        raise ValueError(f"{entry!r} is not host or host:port")
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or _literal(host) is None:
            raise ValueError(f"{entry!r} is not [address] or [address]:port")
        port = rest[1:]
    elif text.count(":") > 1:
        host, port = text, ""
        if _literal(host) is None:
            raise ValueError(f"{entry!r} is not host or host:port")
    else:
        host, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"{entry!r} has no port from 1 to 65535")
    if not host or (":" in text and text.endswith(":") and not text.startswith("[") and text.count(":") == 1):
        raise ValueError(f"{entry!r} is not host or host:port")
    return host, int(port) if port else None
