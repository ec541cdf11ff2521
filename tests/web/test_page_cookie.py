"""What a cookie vouches for: requests and sockets of our own pages, and of no other's (TRU-13)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from landline.model.callers import LOCAL, Caller
from landline.model.errors import Unauthenticated
from landline.ports.page_sign_in import Begun
from landline.web.cors import Origins
from landline.web.door import Door
from landline.web.page_sign_in import CSRF_HEADER, PAGE_COOKIE
from tests.faces.fakes import FakeAuthenticator, World, native_ports
from tests.faces.serving import build_app, served

pytestmark = pytest.mark.contract("TRU-13")

APP = "https://app.example"
COOKIE = {"cookie": f"{PAGE_COOKIE}=good"}
OURS = {CSRF_HEADER: "1"}
BODY = {"agent": "notes"}


class Pages:
    """One cookie that signs in."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def begin(self, callback: str) -> Begun:
        raise NotImplementedError

    async def finish(self, kept: str, *, state: str, code: str) -> str:
        raise NotImplementedError

    async def caller(self, cookie: str) -> Caller:
        if cookie != "good":
            raise Unauthenticated("The sign-in does not hold any more.")
        return LOCAL

    async def end(self, cookie: str, *, back: str) -> str | None:
        self.ended.append(cookie)
        return f"https://login.example/end?{back}"

    async def holds(self, caller: Caller) -> bool:
        return True


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
async def host(pages: Pages, world: World) -> AsyncIterator[str]:
    """A server that pages sign in to, with one origin more that may bring its cookies."""
    origins = Origins([APP], credentials=True)
    door = Door(authenticator=FakeAuthenticator(open_=False), pages=pages, origins=origins)
    _, app = build_app(native_ports(world, door=door))
    async with served(app) as address:
        yield address


@pytest.fixture
def world() -> World:
    return World()


FOREIGN: dict[str, dict[str, str]] = {
    "no word of whose page": {},
    "another site": {"origin": "https://evil.example"},
    "no page in particular": {"origin": "null"},
    "another site, by the browser": {"sec-fetch-site": "cross-site"},
    "a neighbour, by the browser": {"sec-fetch-site": "same-site", "origin": "http://{host}"},
    "typed by the user": {"sec-fetch-site": "none"},
    "a page that lies of its site": {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
    "another program of this machine": {"origin": "http://127.0.0.1:1"},
    "the same under a name we do not have": {"origin": "http://evil.{host}"},
    "another kind of page": {"origin": "file://{host}"},
}
OWN: dict[str, dict[str, str]] = {
    "its origin": {"origin": "http://{host}"},
    "the browser's word": {"sec-fetch-site": "same-origin"},
    "both": {"origin": "http://{host}", "sec-fetch-site": "same-origin"},
    "an origin that the owner named": {"origin": APP, "sec-fetch-site": "cross-site"},
}


def filled(headers: dict[str, str], host: str) -> dict[str, str]:
    return {name: value.replace("{host}", host) for name, value in headers.items()}


async def make(at: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://{at}") as client:
        sent = {**COOKIE, **headers}
        return await client.post("/api/v1/threads", json=BODY, headers=sent)


async def opened(host: str, **headers: str) -> int:
    """Return the status of a socket that is asked for with the cookie."""
    try:
        async with connect(f"ws://{host}/api/v1/ws", additional_headers={**COOKIE, **headers}):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


@pytest.mark.parametrize("name", FOREIGN)
async def test_a_foreign_page_changes_nothing_and_opens_no_socket(host: str, world: World, name: str) -> None:
    headers = filled(FOREIGN[name], host)
    answer = await make(host, **headers, **OURS)
    assert answer.status_code == 403, answer.text
    assert answer.json()["code"] in ("cross_site_request", "foreign_origin")
    assert world.thread_rows == {}
    assert await opened(host, **headers) == 403


@pytest.mark.parametrize("name", OWN)
async def test_a_page_of_ours_needs_the_header_beside(host: str, world: World, name: str) -> None:
    """A socket cannot send one, and needs none."""
    headers = filled(OWN[name], host)
    refused = await make(host, **headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_site_request")
    assert world.thread_rows == {}
    assert (await make(host, **headers, **OURS)).status_code == 201
    assert await opened(host, **headers) == 101


async def test_under_a_forged_host_nothing_is_ours(host: str, world: World) -> None:
    """A name that was rebound to this machine, or written by hand."""
    forged: dict[str, Any] = {"host": "evil.example", "origin": "http://evil.example"}
    answer = await make(host, **forged, **OURS)
    assert (answer.status_code, answer.json()["code"]) == (421, "unknown_host")
    other = {"host": "localhost:1", "origin": f"http://{host}"}
    assert (await make(host, **other, **OURS)).status_code == 403
    assert world.thread_rows == {}


async def test_reading_takes_the_cookie_alone_and_a_key_no_origin(host: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://{host}/api/v1") as client:
        assert (await client.get("/threads", headers=COOKIE)).status_code == 200
        assert (await client.get("/threads")).status_code == 401
        assert (await client.get("/threads", headers={"cookie": f"{PAGE_COOKIE}=bad"})).status_code == 401
        made = await client.post("/threads", json=BODY, headers={**COOKIE, "x-api-key": "key-local"})
        assert made.status_code == 201


@pytest.mark.contract("TRU-3")
async def test_only_a_page_of_ours_signs_out(host: str, pages: Pages) -> None:
    async with httpx.AsyncClient(base_url=f"http://{host}") as client:
        for headers in (
            {},
            OURS,
            {"origin": f"http://{host}"},
            {"origin": "https://evil.example", **OURS},
        ):
            answer = await client.post("/logout", headers={**COOKIE, **headers})
            assert answer.status_code == 403, headers
        assert pages.ended == []
        answer = await client.post("/logout", headers={**COOKIE, "origin": f"http://{host}", **OURS})
        assert answer.json() == {"url": f"https://login.example/end?http://{host}/simple"}
        assert "landline_page=" in answer.headers["set-cookie"]
    assert pages.ended == ["good"]
