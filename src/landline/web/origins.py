"""Which pages may talk to this server, and whose page sent a request (TRU-13).

A browser sends what a user has (cookies, a place in the network) along with any page's request, so where one of these
lets somebody in, the page must be ours. What says so are headers that no page can write: `Sec-Fetch-Site`, `Origin`.
"""

from typing import Final, Literal
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from landline.model.errors import Forbidden
from landline.web.door import Door
from landline.web.hosts import is_loopback

__all__ = ["Page", "check_page", "page_of", "same_origin"]

Page = Literal["ours", "foreign", "none"]
"""Ours, that is this server's own or one of the origins that the owner named; another; or no browser's."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SIMPLE: Final = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})


def page_of(connection: HTTPConnection, door: Door) -> Page:
    """Tell whose page sent this request or opens this socket."""
    site = connection.headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):  # none: the user did it, by typing an address say
        return "ours"
    origin = connection.headers.get("origin")
    if origin is None:
        return "none" if site is None else "foreign"
    return "ours" if _is_ours(origin, connection, door) else "foreign"


def same_origin(connection: HTTPConnection, door: Door) -> bool:
    """Tell whether a cookie of this request may be believed: it reads only, or the browser says that our page sent it.

    Whoever signs a caller in by a cookie asks this first and refuses otherwise (CSRF). A socket always needs the proof.
    Cookies know no ports and a name of ours may be shared with others: where any allowed name does elsewhere, here it must
    be the very name and port that was asked for, or `public_url`. Origins of `cors_origins` count with `cors_credentials`
    only.
    """
    if connection.scope["type"] == "http" and connection.scope["method"] in _SAFE:
        return True
    site, origin = connection.headers.get("sec-fetch-site"), connection.headers.get("origin")
    if origin is not None and door.origins.credentials and door.origins.names(origin):
        return True
    if origin is None:
        return site == "same-origin"
    return site in (None, "same-origin") and _is_very_own(origin, connection, door)


def check_page(connection: HTTPConnection, door: Door) -> None:
    """Refuse what another origin's page sends to a server that asks for no credential.

    Safe methods change nothing, and no page reads their answers without our consent. In a host's app what needs a
    preflight got the host's consent; what does not (forms, plain text) got nobody's.

    Raises:
        Forbidden: It changes something, and the page is not ours.
    """
    scope = connection.scope
    if scope["type"] != "http" or scope["method"] in _SAFE or page_of(connection, door) != "foreign":
        return
    kind = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if "landline.guarded" in scope or (scope["method"] == "POST" and kind in _SIMPLE):
        raise Forbidden(
            "A page of another origin may not change anything on a server that runs open; name it in cors_origins.",
            code="foreign_origin",
        )


def _is_ours(origin: str, connection: HTTPConnection, door: Door) -> bool:
    return door.origins.names(origin) or _is_own(origin, connection, door)


def _is_own(origin: str, connection: HTTPConnection, door: Door) -> bool:
    if door.public_url is not None and origin.lower() == _origin_of(door.public_url):
        return True
    if door.tls and origin.startswith("http:") and not is_loopback(origin[len("http://") :]):
        return False  # whoever sits on the line writes such a page
    return door.hosts.allows_origin(origin, connection.headers.get("host"))


def _is_very_own(origin: str, connection: HTTPConnection, door: Door) -> bool:
    if not _is_own(origin, connection, door):
        return False
    asked = {connection.headers.get("host", "").lower(), urlsplit(door.public_url or "").netloc.lower()}
    return urlsplit(origin).netloc.lower() in asked


def _origin_of(url: str) -> str:
    scheme, _, rest = url.lower().partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
