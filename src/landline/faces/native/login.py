"""Signing in to the pages through the owner's OpenID provider: there, back again, and out (TRU-3)."""

from typing import Annotated, Final

import msgspec
from fastapi import Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from landline.model.errors import Unauthenticated
from landline.ports.page_sign_in import LOGIN_S, PAGE_S, PageSignIn
from landline.web.door import Door
from landline.web.page_sign_in import PAGE_COOKIE, check_own_page
from landline.web.public_url import public_url
from landline.web.route import Entry, public

__all__ = ["LoginRoutes"]

LOGIN_COOKIE: Final = "landline_login"
CALLBACK: Final = "/login/callback"

Answer = Annotated[str | None, Query(min_length=1, max_length=4096)]


class LoginRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, door: Door, pages: PageSignIn) -> None:
        self._door, self._pages = door, pages

    @public
    async def login(self, request: Request) -> Response:
        """Send the browser to the provider."""
        here = public_url(request, self._door, below="/login")
        begun = await self._pages.begin(here + CALLBACK)
        response = RedirectResponse(begun.url, 303, headers={"cache-control": "no-store"})
        _keep(response, LOGIN_COOKIE, begun.kept, here=here, lives_s=LOGIN_S)
        return response

    @public
    async def callback(
        self, request: Request, state: Answer = None, code: Answer = None, error: Answer = None
    ) -> Response:
        """Take the provider's answer, and show the page."""
        kept = request.cookies.get(LOGIN_COOKIE)
        if kept is None or state is None or code is None or error is not None:
            raise Unauthenticated("The sign-in did not come about; begin again.", code="sign_in_refused")
        cookie = await self._pages.finish(kept, state=state, code=code)
        here = public_url(request, self._door, below="/login")
        response = RedirectResponse(f"{here}/simple", 303, headers={"cache-control": "no-store"})
        response.delete_cookie(LOGIN_COOKIE, httponly=True, samesite="lax", secure=_tls(here))
        _keep(response, PAGE_COOKIE, cookie, here=here, lives_s=PAGE_S)
        return response

    @public
    async def logout(self, request: Request) -> Response:
        """Sign this browser out here; `url` is where it goes to be signed out at the provider, if there is such a place."""
        cookie = request.cookies.get(PAGE_COOKIE)
        if cookie is None:
            return _ended(None)
        check_own_page(request, self._door)
        here = public_url(request, self._door, below="/logout")
        response = _ended(await self._pages.end(cookie, back=f"{here}/simple"))
        response.delete_cookie(PAGE_COOKIE, httponly=True, samesite="lax", secure=_tls(here))
        return response

    def routes(self) -> list[Entry]:
        """Return the table."""
        hidden = {"include_in_schema": False}
        return [
            Entry(method="GET", path="/login", endpoint=self.login, name="login", summary="Sign in", docs=hidden),
            Entry(method="GET", path=CALLBACK, endpoint=self.callback, name="login_callback", summary="Back", docs=hidden),
            Entry(method="POST", path="/logout", endpoint=self.logout, name="logout", summary="Sign out", docs=hidden),
        ]  # fmt: skip


def _ended(url: str | None) -> Response:
    body = msgspec.json.encode({"url": url})
    return Response(body, headers={"cache-control": "no-store"}, media_type="application/json")


def _tls(here: str) -> bool:
    return here.startswith("https:")


def _keep(response: Response, name: str, value: str, *, here: str, lives_s: int) -> None:
    # Lax: the provider's redirect comes from another site, and must find the cookie that this one left.
    response.set_cookie(
        name, value, max_age=lives_s, path="/", httponly=True, samesite="lax", secure=_tls(here)
    )
