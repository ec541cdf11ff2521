"""Landline in a host's own FastAPI app: its lifespan, its dependencies, its errors stay the host's (AGT-6)."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Header, HTTPException
from starlette.requests import Request

import landline
from landline.app.build import Landline
from landline.app.context import HostContext
from landline.gates.auth import make_key
from landline.model.callers import SYSTEM


async def greet(run: Any) -> str:
    """Say the user's name."""
    return f"hello {run.context['name'] if run.context else 'nobody'}"


async def ask(run: Any) -> str:
    """Ask, then say the user's name."""
    await run.ask("sure?")
    return f"hello {run.context['name']}"


class Host:
    """A host app that opens something for each user and wants it closed."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.open: list[str] = []
        self.closed: list[str] = []
        self.began = False
        agents = [landline.agent(greet, name="greet"), landline.agent(ask, name="ask")]
        self.landline = Landline(agents, open=True, data=folder, context=self.user, **options)

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
            self.began = True
            yield

        self.app = FastAPI(lifespan=lifespan)
        self.app.include_router(self.landline.router)

        @self.app.get("/own")
        async def own() -> None:
            raise HTTPException(418, "the host's own words")

    async def user(
        self, authorization: Annotated[str | None, Header()] = None
    ) -> AsyncGenerator[dict[str, str]]:
        if authorization is None:
            raise HTTPException(401, "Invalid token")
        name = authorization.removeprefix("Token ")
        self.open.append(name)
        yield {"name": name}
        self.closed.append(name)

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(self.app)
        async with (
            self.app.router.lifespan_context(self.app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            yield client


@pytest.mark.contract("AGT-6")
async def test_the_hosts_dependency_is_the_runs_context_until_its_end(tmp_path: Path) -> None:
    host = Host(tmp_path)
    async with host.client() as client:
        assert host.began
        signed = {"authorization": "Token ann"}
        done = await client.post("/api/v1/runs", json={"agent": "greet", "input": "hi"}, headers=signed)
        assert done.json()["output"] == "hello ann", done.text
        assert host.open == host.closed == ["ann"]
        refused = await client.post("/api/v1/runs", json={"agent": "greet", "input": "hi"})
        assert refused.status_code == 401
        assert "Invalid token" in refused.text
        unknown = await client.post("/api/v1/runs", json={"agent": "no", "input": "hi"}, headers=signed)
        assert unknown.status_code == 404
        assert host.closed == ["ann", "ann"]


@pytest.mark.contract("AGT-6")
async def test_a_context_that_came_with_a_request_is_lost_and_never_stale(tmp_path: Path) -> None:
    host = Host(tmp_path)
    async with host.client() as client:
        signed = {"authorization": "Token ann"}
        run = (await client.post("/api/v1/runs", json={"agent": "ask", "input": "hi"}, headers=signed)).json()
        assert run["status"] == "waiting", run
        assert host.closed == ["ann"]
        answers = {"answers": [{"question_id": run["questions"][0]["question_id"], "value": "yes"}]}
        answered = await client.post(f"/api/v1/runs/{run['id']}/answers", json=answers)
        assert answered.status_code == 200, answered.text
        await client.get(f"/api/v1/runs/{run['id']}/events?after=5")
        done = (await client.get(f"/api/v1/runs/{run['id']}")).json()
        assert (done["status"], done["error"]["code"]) == ("failed", "context_lost")


@pytest.mark.contract("AGT-6")
async def test_the_hosts_own_routes_do_not_change(tmp_path: Path) -> None:
    host = Host(tmp_path)
    async with host.client() as client:
        own = await client.get("/own")
        assert (own.status_code, own.json()) == (418, {"detail": "the host's own words"})
        assert (await client.get("/nowhere")).json() == {"detail": "Not Found"}
        ours = await client.get("/api/v1/runs/0")
        assert ours.headers["content-type"] == "application/problem+json"


@pytest.mark.contract("TRU-6")
def test_a_mounted_server_does_not_guess_who_may_call(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="authenticator"):
        _ = Landline([landline.agent(greet, name="greet")], data=tmp_path).router


@pytest.mark.contract("TRU-1", "TRU-6")
async def test_with_keys_nobody_gets_in_without_one(tmp_path: Path) -> None:
    instance = Landline([landline.agent(greet, name="greet")], open=False, data=tmp_path)
    secret, row = make_key(
        tenant="t", user="ann", at="2026-01-01T00:00:00.000Z", scopes=["runs:write", "runs:read"]
    )
    transport = httpx.ASGITransport(instance.app)
    async with (
        instance.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        await instance.store.add_key(SYSTEM, row)
        body = {"agent": "greet", "input": "hi"}
        nobody = await client.post("/api/v1/runs", json=body)
        assert nobody.status_code == 401
        assert nobody.headers["www-authenticate"]
        wrong = await client.post("/api/v1/runs", json=body, headers={"x-api-key": secret[:-1] + "0"})
        assert wrong.status_code == 401 or secret.endswith("0")
        answers = [
            await client.post("/api/v1/runs", json=body, headers=headers)
            for headers in ({"x-api-key": secret}, {"authorization": f"Bearer {secret}"})
        ]
        assert [answer.json()["output"] for answer in answers] == ["hello nobody"] * 2
        assert (await client.get("/api/v1/threads", headers={"x-api-key": secret})).status_code == 403
        both = {"x-api-key": secret, "authorization": "Bearer ll_other"}
        assert (await client.post("/api/v1/runs", json=body, headers=both)).status_code == 400


@pytest.mark.contract("REL-4")
async def test_the_engine_stops_in_order_whatever_the_body_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = Landline([landline.agent(greet, name="greet")], open=True, data=tmp_path)
    order: list[str] = []

    def noted(owner: Any, name: str, as_: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any) -> Any:
            order.append(as_)
            return real(*args)

        monkeypatch.setattr(owner, name, call)

    noted(instance.drain, "start", "drain")
    noted(type(instance.core), "stop", "engine")
    noted(instance, "_close_adapters", "adapters")
    noted(type(instance.store), "close", "store")
    with pytest.raises(KeyError):
        async with instance.started():
            raise KeyError
    assert order == ["drain", "engine", "adapters", "store"]


class Exits(BaseException):
    """What no framework expects of a dependency."""


@pytest.mark.contract("AGT-6")
@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), Exits(), StopIteration()])
async def test_a_dependency_that_breaks_out_fails_its_request(error: BaseException) -> None:
    async def dependency() -> None:
        raise error

    with pytest.raises(RuntimeError):
        async with asyncio.timeout(5):
            await HostContext(dependency)(request(), SYSTEM)


@pytest.mark.contract("AGT-6")
async def test_a_dependency_that_fails_after_its_request_has_left_fails_quietly() -> None:
    entered, go = asyncio.Event(), asyncio.Event()
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: failures.append(what))

    async def dependency() -> None:
        entered.set()
        await go.wait()
        raise HTTPException(403, "too late")

    asking = asyncio.create_task(HostContext(dependency)(request(), SYSTEM))
    await entered.wait()
    asking.cancel()
    await asyncio.wait({asking})
    go.set()
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert asking.cancelled()
    assert not failures


def request() -> Request:
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    return Request(scope)


@pytest.mark.contract("TRU-6", "TRU-1")
async def test_a_key_of_ours_is_never_taken_for_the_local_user(tmp_path: Path) -> None:
    instance = Landline([landline.agent(greet, name="greet")], open=True, data=tmp_path)
    secret, row = make_key(tenant="t", user="ann", at="2026-01-01T00:00:00.000Z")
    transport = httpx.ASGITransport(instance.app)
    async with (
        instance.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        await instance.store.add_key(SYSTEM, row)
        mine = (await client.post("/api/v1/threads", json={"agent": "greet"})).json()
        assert mine["user_id"] == "local"
        hers = await client.post("/api/v1/threads", json={"agent": "greet"}, headers={"x-api-key": secret})
        assert hers.json()["user_id"] == "ann"
        forged = {"x-api-key": "ll_" + "0" * 40}
        assert (await client.get("/api/v1/threads", headers=forged)).status_code == 401
        any_key = {"authorization": "Bearer sk-whatever"}
        assert (await client.get("/api/v1/threads", headers=any_key)).json()["items"][0]["id"] == mine["id"]


@pytest.mark.contract("UI-8", "AGT-5")
async def test_the_address_leads_to_the_page_and_an_unknown_agent_to_the_known_ones(tmp_path: Path) -> None:
    instance = Landline([landline.agent(greet, name="greet")], open=True, data=tmp_path)
    transport = httpx.ASGITransport(instance.app)
    async with (
        instance.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        home = await client.get("/", follow_redirects=True)
        assert (home.status_code, home.url.path) == (200, "/simple")
        unknown = await client.post("/api/v1/runs", json={"agent": "gret", "input": "hi"})
        assert unknown.status_code == 404
        assert "there are: greet" in unknown.json()["detail"]
