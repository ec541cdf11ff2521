"""Usage and budgets through a whole server: what it tells whom, and how it refuses."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline
from landline.model.callers import ALL_SCOPES, Caller
from landline.model.errors import Unauthenticated
from landline.model.events import UsageReported

ALICE = Caller(tenant="acme", user="alice", key_id="key-a")
CALLERS = {
    "alice": ALICE,
    "bob": replace(ALICE, user="bob", key_id="key-b"),
    "root": replace(ALICE, user="root", key_id=None, scopes=ALL_SCOPES | {"admin"}),
    "operator": replace(ALICE, user="operator", key_id=None, scopes=frozenset({"admin"})),
    "mallory": replace(ALICE, tenant="elsewhere", key_id="key-m"),
    "reader": replace(ALICE, user="reader", scopes=frozenset({"threads:read"})),
}


class ByName:
    """The credential is the caller's name."""

    open = False

    async def authenticate(self, credential: str | None) -> Caller:
        if credential not in CALLERS:
            raise Unauthenticated("The credential does not hold.")
        return CALLERS[credential]


async def talks(run: Any) -> str:
    """Use one call of a model, and say so."""
    model, _, tokens = run.input.partition(" ")
    count = int(tokens or 10)
    await run.emit(
        UsageReported(input_tokens=count - 1, output_tokens=1, total_tokens=count, model=model or None)
    )
    return "done"


class Server:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, who: str, **query: Any) -> httpx.Response:
        return await self._client.get("/api/v1/usage", params=query, headers={"X-API-Key": who})

    async def rows(self, who: str, **query: Any) -> list[dict[str, Any]]:
        answer = await self.get(who, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    async def run(self, who: str, text: str) -> httpx.Response:
        body = {"agent": "talks", "input": text, "mode": "wait"}
        return await self._client.post("/api/v1/runs", json=body, headers={"X-API-Key": who})

    async def document(self) -> dict[str, Any]:
        return (await self._client.get("/openapi.json", headers={"X-API-Key": "alice"})).json()


@asynccontextmanager
async def served(folder: Path, **settings: Any) -> AsyncGenerator[Server]:
    instance = Landline(
        [landline.agent(talks, name="talks")], authenticator=ByName(), data=folder, **settings
    )
    transport = httpx.ASGITransport(instance.app)
    async with (
        instance.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield Server(client)


@pytest.mark.contract("TRU-10", "THR-2")
async def test_everybody_sees_its_own_usage_and_admins_their_tenants(tmp_path: Path) -> None:
    async with served(tmp_path, prices={"mine": (0, 1_000_000)}) as server:
        for who in ("alice", "alice", "bob", "mallory"):
            assert (await server.run(who, "mine")).json()["status"] == "completed"
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        (own,) = await server.rows("alice", group_by="day,agent,user,key,model")
        assert own.pop("seconds") >= 0
        assert own == {
            "day": today, "agent": "talks", "user": "alice", "key": "key-a", "model": "mine", "runs": 2,
            "model_calls": 2, "unpriced_calls": 0, "tool_calls": 0, "input_tokens": 18, "output_tokens": 2,
            "total_tokens": 20, "cost_usd": 2.0,
        }  # fmt: skip
        assert [row["model_calls"] for row in await server.rows("mallory", group_by="user")] == [1]
        for admin in ("root", "operator"):
            rows = await server.rows(admin, group_by="user")
            assert [(row["user"], row["model_calls"]) for row in rows] == [("alice", 2), ("bob", 1)]
        assert [row["user"] for row in await server.rows("root", group_by="user", key_id="key-b")] == ["bob"]
        assert [row["model_calls"] for row in await server.rows("root", user="alice")] == [2]
        assert await server.rows("alice", user="alice") != []
        assert await server.rows("alice", key_id="key-b") == []
        refused = await server.get("alice", user="bob")
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
        assert (await server.get("reader")).status_code == 403
        assert (await server.get("nobody")).status_code == 401


@pytest.mark.contract("TRU-10", "WIRE-1")
async def test_usage_is_paged_filtered_and_strict(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        for model in ("gpt-4o", "nobody's", " 10"):
            await server.run("alice", model)
        first = (await server.get("alice", group_by="model", limit=2)).json()
        rest = (await server.get("alice", group_by="model", limit=2, cursor=first["next_cursor"])).json()
        assert [row["model"] for row in first["items"] + rest["items"]] == [None, "gpt-4o", "nobody's"]
        assert "next_cursor" not in rest
        costs = [row["cost_usd"] for row in first["items"] + rest["items"]]
        assert costs[1] > 0
        assert (costs[0], costs[2]) == (None, None)
        assert await server.rows("alice", to="2020-01-01") == []
        assert await server.rows("alice", **{"from": "2999-01-01"}) == []
        for wrong in (
            {"group_by": "colour"},
            {"group_by": "day,day"},
            {"group_by": ""},
            {"from": "yesterday"},
            {"to": "2026-02-30"},
            {"limit": 0},
            {"cursor": "nonsense"},
            {"tenant": "elsewhere"},
        ):
            assert (await server.get("alice", **wrong)).status_code == 422, wrong
        told = (await server.document())["paths"]["/api/v1/usage"]["get"]
        assert {parameter["name"] for parameter in told["parameters"]} == {
            "limit", "cursor", "from", "to", "group_by", "user", "key_id", "agent", "model",
        }  # fmt: skip


@pytest.mark.contract("TRU-9", "WIRE-4")
async def test_a_budget_that_is_used_up_is_a_429_that_names_it_also_after_a_restart(tmp_path: Path) -> None:
    budgets = ["user: 100 tokens/day", "agent:other: 0 tokens"]
    async with served(tmp_path, budgets=budgets) as server:
        assert (await server.run("alice", "m 60")).json()["status"] == "completed"
        assert (await server.run("alice", "m 40")).json()["status"] == "completed"
    async with served(tmp_path, budgets=budgets) as server:
        refused = await server.run("alice", "m 1")
        assert refused.status_code == 429
        assert refused.json()["code"] == "budget_user_tokens_day"
        assert "user: 100 tokens/day" in refused.json()["detail"]
        assert 0 < int(refused.headers["retry-after"]) <= 86_401
        assert (await server.run("bob", "m 1")).json()["status"] == "completed"
        over = (await server.run("bob", "m 100")).json()
        assert (over["status"], over["error"]["code"]) == ("failed", "budget_user_tokens_day")
    async with served(tmp_path) as server:
        assert (await server.run("alice", "m 1")).json()["status"] == "completed"
