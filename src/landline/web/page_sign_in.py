"""The cookie of a page that signed in, and whose page sent it along (TRU-3, TRU-13).

A browser sends a cookie with every request to this server, whichever page asked for it. So what changes anything must come
from a page of this very origin, as headers say that no page can write, and carry a header of ours beside.
"""

from typing import Final

from starlette.requests import HTTPConnection

from landline.model.callers import Caller
from landline.model.errors import Forbidden
from landline.web.door import Door
from landline.web.origins import same_origin

__all__ = ["CSRF_HEADER", "PAGE_COOKIE", "check_own_page", "page_caller"]

PAGE_COOKIE: Final = "landline_page"
CSRF_HEADER: Final = "x-landline-csrf"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


async def page_caller(connection: HTTPConnection, door: Door) -> Caller | None:
    """Return who the cookie of a request or socket signs in, None without one; asked only without another credential.

    Raises:
        Unauthenticated: The cookie does not hold.
        Forbidden: The request changes something, or opens a socket, and nothing says that a page of ours sent it.
    """
    cookie = connection.cookies.get(PAGE_COOKIE)
    if cookie is None or door.pages is None:
        return None
    check_own_page(connection, door)
    return await door.pages.caller(cookie)


def check_own_page(connection: HTTPConnection, door: Door) -> None:
    """Refuse what a cookie may not vouch for; see `page_caller`. Raises Forbidden."""
    # The header is asked for beside the origin: no page can add one to a request of another origin without our consent.
    scope = connection.scope
    headed = scope["type"] != "http" or scope["method"] in _SAFE or CSRF_HEADER in connection.headers
    if not (headed and same_origin(connection, door)):
        raise Forbidden(
            "Signed in by a cookie, changes take a page of this server's own and the header X-Landline-CSRF.",
            code="cross_site_request",
        )
