"""Landline in a host's own FastAPI app: its lifespan, its dependencies, its errors stay the host's (AGT-6)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Header, HTTPException

import landline
from landline.app.build import Landline
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
