"""Whose pages may call, read and open: CORS, sockets, cookies, and servers that ask for no credential (TRU-13)."""

from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from landline.web.caller import CallerOf
from landline.web.cors import EXPOSED, Origins
from landline.web.door import Door
from landline.web.guard import Guard
from landline.web.hosts import LOOPBACK_HOSTS, Hosts
from landline.web.origins import page_of, same_origin
from landline.web.problems import install
from landline.web.route import LandlineRoute, public, requires, takes_uploads
from tests.faces.fakes import FakeAuthenticator

APP = "https://app.example"
KEY = {"X-API-Key": "key-local"}
HOSTS = Hosts([*LOOPBACK_HOSTS, "api.example"])

pytestmark = pytest.mark.contract("TRU-13")


class Handlers:
    def __init__(self) -> None:
        self.changed = 0

    @requires("runs:write")
    async def change(self, body: dict[str, Any], caller: CallerOf) -> Response:
        self.changed += 1
        return Response("changed")

    @requires("runs:write")
    @takes_uploads
    async def upload(self, request: Request, caller: CallerOf) -> Response:
        await request.body()
        self.changed += 1
        return Response("taken")

    @public
    async def read(self) -> Response:
        return Response("read", headers={"vary": "Accept"})


def door_of(*origins: str, credentials: bool = False, open_: bool = False, **given: Any) -> Door:
    return Door(
        authenticator=FakeAuthenticator(open_=open_),
        hosts=HOSTS,
        origins=Origins(origins, credentials=credentials),
        **given,
    )


def serving(
    door: Door, *, guarded: bool = True, host: str = "api.example"
) -> tuple[httpx.AsyncClient, Handlers]:
    handlers = Handlers()
    router = APIRouter(route_class=LandlineRoute.bound(door))
    router.add_api_route("/change", handlers.change, methods=["POST"], response_model=None)
    router.add_api_route("/upload", handlers.upload, methods=["POST"], response_model=None)
    router.add_api_route("/read", handlers.read, response_model=None)
    app: Any = FastAPI(openapi_url=None)
    app.include_router(router)
    if guarded:
        install(app)
        app = Guard(app, door=door)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}"), handlers


async def preflight(client: httpx.AsyncClient, origin: str, *wanted: str) -> httpx.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    if wanted:
        headers["Access-Control-Request-Headers"] = ",".join(wanted)
    return await client.options("/change", headers=headers)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example/",
        "https://app.example/x",
        "app.example",
        "//app.example",
        "https://*.example",
        "https://.*",
        "^https://app.example$",
        "https://app(1)?.example",
        "https://user@app.example",
        "https://app.example:0",
        "https://app.example:99999",
        "https://app.example:",
        "https://app..example",
        "https://äpp.example",
        "null",
        "file://",
        "",
    ],
)
def test_what_is_no_exact_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        Origins([origin])


def test_every_origin_comes_alone_and_never_with_credentials() -> None:
    with pytest.raises(ValueError, match="named"):
        Origins(["*"], credentials=True)
    with pytest.raises(ValueError, match="alone"):
        Origins(["*", APP])
    assert not Origins(["*"]).names("*")


def test_a_standard_port_and_capitals_name_what_a_browser_sends() -> None:
    origins = Origins(["HTTPS://App.Example:443", "http://localhost:5173", "https://[::1]:8443"])
    for origin in (APP, "http://localhost:5173", "https://[::1]:8443"):
        assert origins.names(origin)
    for origin in (
        f"{APP}.evil.example",
        f"{APP}:8443",
        "http://app.example",
        "https://sub.app.example",
        "null",
        "",
    ):
        assert not origins.names(origin)


async def test_a_preflight_is_answered_at_the_edge_for_a_named_origin() -> None:
    client, _ = serving(door_of(APP))
    async with client:
        answer = await preflight(client, APP, "content-type", "x-api-key", "idempotency-key", "last-event-id")
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == APP
        assert {"POST", "PATCH", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
        allowed = answer.headers["access-control-allow-headers"]
        assert {"x-api-key", "idempotency-key", "last-event-id", "content-type"} == set(allowed.split(","))
        assert answer.headers["vary"] == "Origin"
        assert 0 < int(answer.headers["access-control-max-age"]) <= 600
        assert "access-control-allow-credentials" not in answer.headers


async def test_names_of_headers_that_are_none_are_not_said_back() -> None:
    client, _ = serving(door_of(APP))
    async with client:
        for odd in ("x y", "a\tb: c", "a;b", "x" * 70, ",".join(["a"] * 80)):
            answer = await preflight(client, APP, odd)
            assert "access-control-allow-headers" not in answer.headers, odd


async def test_pages_of_a_named_origin_read_answers_and_their_headers() -> None:
    client, handlers = serving(door_of(APP))
    async with client:
        answer = await client.post("/change", json={}, headers={"Origin": APP, **KEY})
        assert (answer.text, handlers.changed) == ("changed", 1)
        assert answer.headers["access-control-allow-origin"] == APP
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"X-Request-Id", "Retry-After", "RateLimit", "Location"} <= set(exposed) == set(EXPOSED)
        # What the server refuses is for the page to read as well.
        for refused in (
            await client.post("/change", json={}, headers={"Origin": APP}),
            await client.get("/read", headers={"Origin": APP, "X-Long": "a" * 40_000}),
        ):
            assert refused.status_code in (401, 431)
            assert refused.headers["access-control-allow-origin"] == APP


async def test_other_origins_get_nothing_but_the_word_that_answers_differ() -> None:
    client, _ = serving(door_of(APP))
    async with client:
        for origin in (
            "https://evil.example",
            f"{APP}.evil.example",
            "null",
            "http://app.example",
            "https://APP.example",
        ):
            refused = await preflight(client, origin, "x-api-key")
            assert (refused.status_code, refused.json()["code"]) == (403, "foreign_origin")
            answer = await client.get("/read", headers={"Origin": origin})
            for found in (refused, answer):
                assert not [name for name in found.headers if name.startswith("access-control")], origin
                assert "Origin" in found.headers["vary"]
        plain = await client.get("/read")
        assert plain.headers.get_list("vary") == ["Accept", "Origin"]


async def test_credentials_are_allowed_only_when_the_owner_says_so() -> None:
    client, _ = serving(door_of(APP, credentials=True))
    async with client:
        for answer in (await preflight(client, APP), await client.get("/read", headers={"Origin": APP})):
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert answer.headers["access-control-allow-origin"] == APP


async def test_every_origin_is_told_so_but_not_by_a_server_that_asks_for_no_credential() -> None:
    """A page that the user happens to visit must not talk to their agents."""
    client, _ = serving(door_of("*"))
    async with client:
        answer = await client.get("/read", headers={"Origin": "https://any.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert (await preflight(client, "https://any.example")).status_code == 204
    client, handlers = serving(door_of("*", open_=True))
    async with client:
        assert (await preflight(client, "https://any.example")).status_code == 403
        answer = await client.get("/read", headers={"Origin": "https://any.example"})
        assert "access-control-allow-origin" not in answer.headers
        assert (
            await client.post("/change", json={}, headers={"Origin": "https://any.example"})
        ).status_code == 403
        assert handlers.changed == 0


async def test_without_the_setting_there_is_no_cors() -> None:
    client, _ = serving(door_of())
    async with client:
        assert (await preflight(client, APP)).status_code == 405
        answer = await client.get("/read", headers={"Origin": APP})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers.get_list("vary") == ["Accept"]


SIMPLE = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/plain;charset=UTF-8",
    "",
)


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("kind", SIMPLE)
async def test_a_form_of_another_page_changes_nothing_on_an_open_server(guarded: bool, kind: str) -> None:
    """Simple requests are sent without a preflight: the server itself must refuse them."""
    client, handlers = serving(door_of(open_=True), guarded=guarded, host="localhost:8000")
    async with client:
        for page in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:3000"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"},
        ):
            headers = {**page, **({"Content-Type": kind} if kind else {})}
            for path in ("/change", "/upload"):
                answer = await client.post(path, content=b'{"a": 1}', headers=headers)
                assert answer.status_code == 403, (page, path, answer.text)
                assert answer.json()["code"] == "foreign_origin"
    assert handlers.changed == 0


async def test_an_open_server_serves_its_own_page_and_programs() -> None:
    client, handlers = serving(door_of("http://localhost:5173", open_=True), host="localhost:8000")
    async with client:
        for page in (
            {},
            {"Origin": "http://localhost:8000"},
            {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"},
            {"Origin": "http://localhost:5173", "Sec-Fetch-Site": "same-site"},
        ):
            assert (await client.post("/change", json={}, headers=page)).status_code == 200, page
        assert (await client.get("/read", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200
    assert handlers.changed == 4


async def test_in_a_hosts_app_what_its_own_preflight_let_through_passes() -> None:
    client, handlers = serving(door_of(open_=True), guarded=False)
    async with client:
        headers = {"Origin": "https://front.example", "Content-Type": "application/json"}
        assert (await client.post("/change", content=b"{}", headers=headers)).status_code == 200
    assert handlers.changed == 1


async def test_a_name_that_was_rebound_to_this_machine_is_refused() -> None:
    """To the browser the page and the server have one origin then; only the name gives it away."""
    client, handlers = serving(door_of("*", open_=True), host="rebound.evil.example:8000")
    async with client:
        headers = {"Origin": "http://rebound.evil.example:8000", "Sec-Fetch-Site": "same-origin"}
        for answer in (
            await client.post("/change", json={}, headers=headers),
            await client.get("/read", headers=headers),
        ):
            assert (answer.status_code, answer.json()["code"]) == (421, "unknown_host")
    assert handlers.changed == 0


def connection(method: str = "POST", kind: str = "http", **headers: str) -> HTTPConnection:
    named = {"host": "api.example", **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return HTTPConnection({"type": kind, "method": method, "headers": raw, "path": "/", "query_string": b""})


def test_a_cookie_is_believed_from_our_own_page_only() -> None:
    door = door_of(APP)
    assert same_origin(connection(origin="https://api.example"), door)
    assert same_origin(connection(sec_fetch_site="same-origin"), door)
    assert same_origin(connection("GET"), door)
    for foreign in (
        connection(),
        connection(origin="null"),
        connection(origin="https://evil.example"),
        connection(origin="https://evil.api.example"),
        connection(origin="https://api.example.evil.example"),
        connection(sec_fetch_site="cross-site"),
        connection(sec_fetch_site="same-site", origin="https://other.example"),
        connection("DELETE", origin="https://evil.example"),
        connection("GET", "websocket"),
        connection("GET", "websocket", origin="https://evil.example"),
        connection(origin=APP),
    ):
        assert not same_origin(foreign, door), foreign.headers
    assert same_origin(connection(origin=APP, sec_fetch_site="cross-site"), door_of(APP, credentials=True))


def test_over_tls_a_page_without_it_is_foreign() -> None:
    """Who sits on the line can put any words into such a page."""
    door = door_of(tls=True, public_url="https://api.example/agents")
    assert page_of(connection(origin="https://api.example"), door) == "ours"
    assert page_of(connection(origin="http://api.example"), door) == "foreign"
    assert page_of(connection(origin="http://localhost:8000", host="localhost:8000"), door) == "ours"


def test_behind_a_proxy_that_changes_the_host_the_public_address_is_ours() -> None:
    door = door_of(public_url="https://agents.example.org/x")
    assert page_of(connection(origin="https://agents.example.org", host="localhost:8000"), door) == "ours"
    assert page_of(connection(origin="https://agents.example", host="localhost:8000"), door) == "foreign"


@pytest.mark.parametrize("scheme", ["http", "websocket"])
def test_named_origins_may_open_sockets_and_every_origin_may_not(scheme: str) -> None:
    assert page_of(connection("GET", scheme, origin=APP), door_of(APP)) == "ours"
    assert page_of(connection("GET", scheme, origin=APP), door_of("*")) == "foreign"
    assert page_of(connection("GET", scheme), door_of(APP)) == "none"


async def test_tls_is_asked_for_over_tls_only() -> None:
    for given, host, told in (
        ({}, "api.example", False),
        ({"tls": True}, "api.example", True),
        ({"tls": True}, "localhost:8000", False),
        ({"tls": True}, "127.0.0.1", False),
    ):
        client, _ = serving(door_of(**given), host=host)
        async with client:
            found = (await client.get("/read")).headers.get("strict-transport-security")
            assert (found is not None) is told, (given, host)
    client, _ = serving(door_of())
    async with client:
        answer = await client.get("https://api.example/read")
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_mounted_routes_carry_the_security_headers_too() -> None:
    client, _ = serving(door_of(), guarded=False)
    async with client:
        for answer in (await client.get("/read"), await client.post("/change", json={})):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert not {"server", "x-xss-protection", "x-powered-by"} & set(answer.headers)


async def test_an_address_that_is_too_long_and_a_packed_body_are_refused() -> None:
    client, handlers = serving(door_of())
    async with client:
        answer = await client.get("/read?" + "a" * 17_000)
        assert (answer.status_code, answer.json()["code"]) == (414, "url_too_long")
        for coding in ("gzip", "deflate", "br", "zstd", "identity, gzip"):
            for path in ("/change", "/upload"):
                answer = await client.post(
                    path,
                    content=b"{}",
                    headers={**KEY, "content-type": "application/json", "content-encoding": coding},
                )
                assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
        headers = {**KEY, "content-encoding": "identity"}
        assert (await client.post("/change", json={}, headers=headers)).status_code == 200
    assert handlers.changed == 1
