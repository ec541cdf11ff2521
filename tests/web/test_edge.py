"""The guard, hosts, credentials, declarations and problems: what gets in, and what is said to what does not."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from landline.model import errors
from landline.web.caller import CallerOf
from landline.web.door import Door
from landline.web.guard import Guard
from landline.web.hosts import Hosts
from landline.web.problems import install, status_of
from landline.web.route import LandlineRoute, assert_declared, public, requires
from tests.faces.fakes import FakeAuthenticator


class Body(BaseModel):
    number: int


class Handlers:
    @requires("runs:write")
    async def take(self, body: Body, caller: CallerOf) -> Response:
        return Response(f"{caller.user} {body.number}")

    @public
    async def fail(self, what: str) -> Response:
        if what == "crash":
            raise ValueError("postgres://user:secret@db")
        raise {
            "busy": errors.Busy("run-1"),
            "unavailable": errors.Unavailable("Not now.", retry_after_s=7),
            "storage": errors.StorageFailed("The disk is full."),
            "gone": errors.Gone("That part is not kept."),
        }[what]

    @public
    async def swallow(self, request: Request) -> Response:
        return Response(str(len(await request.body())))


def app_of(door: Door) -> FastAPI:
    handlers = Handlers()
    router = APIRouter(route_class=LandlineRoute.bound(door))
    router.add_api_route("/take", handlers.take, methods=["POST"], response_model=None)
    router.add_api_route("/fail/{what}", handlers.fail, response_model=None)
    router.add_api_route("/swallow", handlers.swallow, methods=["POST"], response_model=None)
    app = FastAPI(openapi_url=None)
    app.include_router(router)
    return app


def client_of(app: Any, host: str = "localhost") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


@pytest.fixture(params=["guarded", "mounted"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """The same routes in an app of their own, and inside a host's app that has neither guard nor handlers."""
    door = Door(authenticator=FakeAuthenticator(open_=False), max_body_bytes=2000, max_upload_bytes=4000)
    app: Any = app_of(door)
    if request.param == "guarded":
        install(app)
        app = Guard(app, door=door)
    async with client_of(app) as found:
        yield found


KEY = {"X-API-Key": "key-local"}


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["code"] == code
    assert set(told) >= {"type", "title", "detail", "request_id"}
    assert answer.headers["x-request-id"] == told["request_id"]
    return told


@pytest.mark.contract("TRU-1")
async def test_both_credential_headers_mean_the_same(client: httpx.AsyncClient) -> None:
    for headers in (KEY, {"Authorization": "Bearer key-local"}, {"authorization": "bearer key-local", **KEY}):
        answer = await client.post("/take", json={"number": 1}, headers=headers)
        assert (answer.status_code, answer.text) == (200, "local 1")


@pytest.mark.contract("TRU-1", "WIRE-4")
async def test_a_missing_or_wrong_credential_is_401_with_a_challenge(client: httpx.AsyncClient) -> None:
    for headers in (
        {},
        {"X-API-Key": "wrong"},
        {"X-API-Key": ""},
        {"Authorization": "Basic abc"},
        {"X-API-Key": "k" * 9000},
    ):
        answer = await client.post("/take", json={"number": 1}, headers=headers)
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.contract("TRU-1")
async def test_two_different_credentials_and_keys_in_urls_are_refused(client: httpx.AsyncClient) -> None:
    both = {"X-API-Key": "key-local", "Authorization": "Bearer key-other"}
    assert_problem(await client.post("/take", json={"number": 1}, headers=both), 400, "two_credentials")
    for name in ("api_key", "X-Api-Key", "access_token"):
        answer = await client.post("/take", params={name: "key-local"}, json={"number": 1}, headers=KEY)
        assert_problem(answer, 400, "credential_in_url")


@pytest.mark.contract("TRU-5")
async def test_a_caller_without_the_scope_is_403(client: httpx.AsyncClient) -> None:
    answer = await client.post("/take", json={"number": 1}, headers={"X-API-Key": "key-reader"})
    assert_problem(answer, 403, "missing_scope")


@pytest.mark.contract("TRU-11")
async def test_a_strangers_body_is_not_even_parsed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/take", content=b"[" * 1000, headers={"content-type": "application/json"})
    assert_problem(answer, 401, "unauthenticated")


@pytest.mark.contract("TRU-11")
async def test_hostile_json_is_400_and_a_wrong_shape_is_422_without_an_echo(
    client: httpx.AsyncClient,
) -> None:
    for body in (b'{"number": NaN}', b'{"number": 1, "number": 2}', b"[" * 1500, b"\xff", b'"\\ud800"', b""):
        headers = {**KEY, "content-type": "application/json"}
        answer = await client.post("/take", content=body, headers=headers)
        assert_problem(answer, 422 if not body else 400, "invalid_request" if not body else "invalid_json")
    answer = await client.post("/take", json={"number": "canary-value"}, headers=KEY)
    told = assert_problem(answer, 422, "invalid_request")
    assert told["errors"][0]["loc"] == ["body", "number"]
    assert "canary" not in answer.text


@pytest.mark.contract("TRU-13")
async def test_a_form_is_no_json(client: httpx.AsyncClient) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/jsonish"):
        answer = await client.post("/take", content=b'{"number": 1}', headers={**KEY, "content-type": kind})
        assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.contract("TRU-11")
async def test_a_body_over_the_limit_is_413_with_and_without_a_length(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    headers = {**KEY, "content-type": "application/json"}
    assert_problem(await client.post("/take", content=b" " * 2001, headers=headers), 413, "too_large")
    assert_problem(await client.post("/take", content=chunks(), headers=headers), 413, "too_large")
    assert_problem(await client.post("/swallow", content=chunks()), 413, "too_large")
    assert (await client.post("/swallow", content=b" " * 2000)).text == "2000"


@pytest.mark.contract("TRU-13")
async def test_another_hosts_name_is_refused(client: httpx.AsyncClient) -> None:
    for host in ("evil.example", "localhost.evil.example", "localhost:99999999", "", "a b"):
        answer = await client.get("/fail/gone", headers={"host": host})
        assert_problem(answer, 421, "unknown_host")


@pytest.mark.contract("WIRE-4", "TRU-17")
async def test_every_kind_of_error_has_its_status_and_a_crash_tells_nothing(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    busy = assert_problem(await client.get("/fail/busy"), 409, "thread_busy")
    assert busy["active_run_id"] == "run-1"
    unavailable = await client.get("/fail/unavailable")
    assert_problem(unavailable, 503, "unavailable")
    assert unavailable.headers["retry-after"] == "7"
    assert_problem(await client.get("/fail/storage"), 507, "storage_failed")
    assert_problem(await client.get("/fail/gone"), 410, "cursor_gone")
    crash = await client.get("/fail/crash")
    told = assert_problem(crash, 500, "internal")
    assert "secret" not in crash.text
    assert told["request_id"] in caplog.text


def test_the_map_from_kinds_to_statuses_is_total() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.LandlineError)
    ]
    for kind in kinds:
        made = kind.__new__(kind)
        made.code = kind.code
        assert 400 <= status_of(made) < 600


async def guarded(**given: Any) -> httpx.AsyncClient:
    door = Door(authenticator=FakeAuthenticator(), **given)
    app = app_of(door)
    install(app)
    return client_of(Guard(app, door=door))


@pytest.mark.contract("TRU-13")
async def test_every_guarded_response_has_security_headers_and_its_own_id() -> None:
    async with await guarded() as client:
        seen: set[str] = set()
        for path in ("/fail/gone", "/nowhere", "/swallow"):
            answer = await client.get(path, headers={"x-request-id": "chosen-by-client"})
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert "strict-transport-security" not in answer.headers
            seen.add(answer.headers["x-request-id"])
        assert len(seen) == 3
        assert "chosen-by-client" not in seen


@pytest.mark.contract("TRU-11")
async def test_headers_over_32_kb_are_431() -> None:
    async with await guarded() as client:
        answer = await client.get("/fail/gone", headers={"x-long": "a" * 33_000})
        assert_problem(answer, 431, "headers_too_large")


@pytest.mark.contract("WIRE-4")
async def test_unknown_paths_and_methods_are_problems_in_an_app_of_our_own() -> None:
    async with await guarded() as client:
        assert_problem(await client.get("/nowhere"), 404, "not_found")
        answer = await client.get("/take")
        assert_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "POST"


@pytest.mark.contract("TRU-6")
async def test_an_open_server_refuses_what_came_through_a_proxy() -> None:
    async with await guarded() as client:
        for name in ("X-Forwarded-For", "Forwarded", "X-Forwarded-Host", "X-Real-IP"):
            answer = await client.post("/take", json={"number": 1}, headers={name: "192.0.2.1"})
            assert_problem(answer, 403, "forwarded_in_open_mode")
        assert (await client.post("/take", json={"number": 1})).status_code == 200


@pytest.mark.contract("TRU-5")
def test_a_route_without_a_declaration_does_not_start() -> None:
    async def silent() -> Response:
        return Response()

    door = Door(authenticator=FakeAuthenticator())
    router = APIRouter(route_class=LandlineRoute.bound(door))
    with pytest.raises(TypeError, match="/silent"):
        router.add_api_route("/silent", silent)

    plain = APIRouter()
    plain.add_api_route("/quiet", silent)
    outer = APIRouter()
    outer.include_router(plain, prefix="/inner")
    with pytest.raises(TypeError, match="/inner/quiet"):
        assert_declared(outer)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(app_of(door).router)
    assert_declared(app)


@pytest.mark.contract("TRU-5")
def test_only_scopes_that_exist_can_be_required() -> None:
    with pytest.raises(ValueError, match="runs:fly"):
        requires("runs:fly")
    with pytest.raises(ValueError, match="none"):
        requires()


@pytest.mark.contract("TRU-13")
@pytest.mark.parametrize(
    ("pattern", "host", "allowed"),
    [
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com:8443", True),
        ("example.com", "example.com.", True),
        ("example.com", "notexample.com", False),
        ("example.com:8443", "example.com:8443", True),
        ("example.com:8443", "example.com", False),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "aexample.com", False),
        ("[::1]", "[::1]:8000", True),
        ("*", "anything.test", True),
        ("*", "bad host", False),
        ("*", None, False),
        ("example.com", "example.com/../x", False),
        ("example.com", "user@example.com", False),
    ],
)
def test_the_host_list(pattern: str, host: str | None, allowed: bool) -> None:
    assert Hosts([pattern]).allows(host) is allowed


@pytest.mark.contract("TRU-13")
def test_an_origin_is_checked_by_the_same_list() -> None:
    hosts = Hosts(["localhost", "app.test"])
    assert hosts.allows_origin("http://localhost:8000", "localhost:8000")
    assert hosts.allows_origin("https://app.test", "localhost:8000")
    for origin in (
        "null",
        "https://evil.test",
        "file://",
        "http://[",
        "https://app.test.evil.test",
        "chrome-extension://x",
    ):
        assert not hosts.allows_origin(origin, "localhost:8000")
    every = Hosts(["*"])
    assert every.allows_origin("https://a.test", "a.test")
    assert not every.allows_origin("https://b.test", "a.test")


async def test_the_guard_lets_the_lifespan_through() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Any:
        return {}

    async def send(message: Any) -> None:
        pass

    await Guard(app, door=Door(authenticator=FakeAuthenticator()))({"type": "lifespan"}, receive, send)
    assert seen == ["lifespan"]
