"""The audit log of a whole server: who did what through which door, on disk, and never what was said (TRU-18)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline
from landline.app.upkeep import KeyOrder
from landline.model.callers import ALL_SCOPES, SYSTEM
from landline.model.errors import StorageFailed
from landline.model.ids import fingerprint
from landline.ports.audit import AuditQuery
from tests.keys import add_key, revoke_key

pytestmark = pytest.mark.contract("TRU-18")

WORDS = "tulips in the garden"


def talk(text: str) -> str:
    return f"you said {text}"


async def asks(run: Any) -> Any:
    done = await run.ask(WORDS, kind="approval", tool="water_tulips", arguments={"where": WORDS})
    yield "yes" if done else "no"


@asynccontextmanager
async def served(
    tmp_path: Path, **settings: Any
) -> AsyncGenerator[tuple[Landline, httpx.AsyncClient, dict[str, str]]]:
    """Serve in this process, with keys of an ordinary user, an admin, and one of another tenant."""
    instance = Landline(
        [landline.agent(talk, name="talk"), landline.agent(asks, name="asks")],
        open=False,
        data=tmp_path,
        **settings,
    )
    keys: dict[str, str] = {}
    for name, tenant, scopes in (
        ("alice", "acme", None),
        ("admin", "acme", [*ALL_SCOPES, "admin"]),
        ("mallory", "evil", [*ALL_SCOPES, "admin"]),
        ("revoked", "acme", None),
    ):
        keys[name], row = await add_key(instance.settings, KeyOrder(user=name, tenant=tenant, scopes=scopes))
        if name == "revoked":
            await revoke_key(instance.settings, row.id)
        keys[f"{name}_id"] = row.id
    transport = httpx.ASGITransport(instance.app, client=("192.0.2.7", 4711))
    async with (
        instance.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        client.headers["X-API-Key"] = keys["alice"]
        yield instance, client, keys


async def entries(client: httpx.AsyncClient, key: str, **filters: str) -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/admin/audit", params=filters, headers={"X-API-Key": key})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])[::-1]


def rows(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "landline.db")) as connection:
        return [f"{row}" for row in connection.execute("SELECT * FROM audit ORDER BY n")]


async def asked(client: httpx.AsyncClient) -> dict[str, Any]:
    body = {"agent": "asks", "input": WORDS, "mode": "wait"}
    return dict((await client.post("/api/v1/runs", json=body)).json())


async def test_behind_a_proxy_the_client_is_noted_and_not_the_proxy(tmp_path: Path) -> None:
    async with served(tmp_path, trusted_proxies=["192.0.2.0/24"]) as (_, client, keys):
        said = {"X-Forwarded-For": "10.9.9.9, 198.51.100.4"}  # the first is the client's own claim
        assert (await client.post("/api/v1/threads", json={"agent": "talk"}, headers=said)).status_code == 201
        assert (await client.delete("/api/v1/threads/none", headers=said)).status_code == 404
        found = await entries(client, keys["admin"])
        assert [e["remote"] for e in found if e["user"] == "alice" and e["remote"] != "cli"] == [
            "198.51.100.4"
        ] * 2


async def test_acts_are_noted_with_who_what_where_and_how_they_ended(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client, keys):
        run = await asked(client)
        question = run["questions"][0]
        answer = {"answers": [{"question_id": question["question_id"], "approve": True}]}
        first = await client.post(f"/api/v1/runs/{run['id']}/answers", json=answer)
        assert first.status_code == 200, first.text
        second = await client.post(f"/api/v1/runs/{run['id']}/answers", json=answer)
        assert second.status_code == 409
        thread = (await client.post("/api/v1/threads", json={"agent": "talk", "title": WORDS})).json()["id"]
        await client.patch(f"/api/v1/threads/{thread}", json={"title": f"more {WORDS}"})
        await client.post(f"/api/v1/threads/{thread}/fork", json={})
        await client.delete(f"/api/v1/threads/{thread}")
        gone = await client.delete(f"/api/v1/threads/{thread}")
        await client.post(f"/api/v1/runs/{(await asked(client))['id']}/cancel")
        found = await entries(client, keys["admin"])
        acts = [(e["action"], e["user"], e["outcome"]) for e in found if e["remote"] != "cli"]
        assert (
            acts
            == [
                ("sign_in", "alice", "ok"),
                ("question.answer", "alice", "ok"),
                ("question.answer", "alice", second.json()["code"]),
                ("thread.update", "alice", "ok"),
                ("thread.fork", "alice", "ok"),
                ("thread.delete", "alice", "ok"),
                ("thread.delete", "alice", "thread_not_found"),
                ("run.cancel", "alice", "ok"),
                ("sign_in", "admin", "ok"),
                ("admin.read_audit", "admin", "ok"),
            ][: len(acts)]
        )
        answered = next(e for e in found if e["action"] == "question.answer")
        assert (answered["target"], answered["remote"]) == (question["question_id"], "192.0.2.7")
        assert (answered["tenant"], answered["key_id"]) == ("acme", keys["alice_id"])
        assert answered["request_id"] == first.headers["x-request-id"]
        arguments = json.dumps({"where": WORDS}, separators=(",", ":")).encode()
        assert answered["details"] == {
            "run_id": run["id"],
            "approve": True,
            "kind": "approval",
            "decided": "approved",
            "tool": "water_tulips",
            "arguments_sha256": fingerprint(arguments),
        }
        failed = next(e for e in found if e["outcome"] == "thread_not_found")
        assert (failed["target"], failed["request_id"]) == (thread, gone.headers["x-request-id"])
        assert next(e for e in found if e["action"] == "thread.update")["details"] == {"fields": ["title"]}
        made = [(e["action"], e["target"], e["details"]["user"]) for e in found if e["remote"] == "cli"]
        assert made == [
            ("key.create", keys["alice_id"], "alice"),
            ("key.create", keys["admin_id"], "admin"),
            ("key.create", keys["revoked_id"], "revoked"),
            ("key.revoke", keys["revoked_id"], "revoked"),
        ]
    assert "tulips in" not in "".join(rows(tmp_path))
    assert keys["alice"][12:] not in "".join(rows(tmp_path))


async def test_a_reading_is_noted_too_once_for_all_its_pages(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client, keys):
        await entries(client, keys["admin"], user="alice", limit="1")
        first = await client.get("/api/v1/admin/audit?limit=1", headers={"X-API-Key": keys["admin"]})
        cursor = first.json()["next_cursor"]
        await entries(client, keys["admin"], cursor=cursor)
        found = await entries(client, keys["admin"], action="admin.read_audit")
    assert [e["details"] for e in found] == [{"user": "alice"}, {}]


async def test_only_an_admin_reads_and_only_of_the_own_tenant(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client, keys):
        await client.delete("/api/v1/threads/nothing")
        refused = await client.get("/api/v1/admin/audit")
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
        theirs = await entries(client, keys["mallory"])
        assert {e["tenant"] for e in theirs} == {"evil"}
        ours = await entries(client, keys["admin"])
        assert {e["tenant"] for e in ours} == {"acme"}
        assert [e["outcome"] for e in ours if e["action"] == "access.denied"] == ["missing_scope"]
        for filters in ({"from": "nonsense"}, {"unknown": "x"}, {"limit": "0"}, {"cursor": "?"}):
            bad = await client.get(
                "/api/v1/admin/audit", params=filters, headers={"X-API-Key": keys["admin"]}
            )
            assert bad.status_code == 422, filters
        assert await entries(client, keys["admin"], **{"from": "2100-01-01"}) == []
        assert await entries(client, keys["admin"], to="2020-01-01T00:00:00Z") == []


async def test_failed_sign_ins_are_noted_once_a_minute_and_counted(tmp_path: Path) -> None:
    async with served(tmp_path) as (instance, client, keys):
        for key in [keys["revoked"]] * 5 + ["ll_" + "0" * 40, "sk-somebodys-own-key-1234", *["nonsense"] * 3]:
            assert (await client.get("/api/v1/runs", headers={"X-API-Key": key})).status_code == 401
        assert (await client.get("/api/v1/runs?api_key=tulipsecret")).status_code == 400
        ours = [e for e in await entries(client, keys["admin"]) if e["action"] == "sign_in.failed"]
        assert [(e["target"], e["key_id"], e["user"]) for e in ours] == [
            (keys["revoked"][:11], keys["revoked_id"], "")
        ]
        await instance.audit.close()
        told = (
            await instance.store.list_audit(SYSTEM, AuditQuery(action="sign_in.failed", oldest_first=True))
        ).items
    assert [(e.outcome, e.target, e.details.get("times")) for e in told] == [
        ("unauthenticated", keys["revoked"][:11], None),
        ("unauthenticated", "ll_00000000", None),
        ("unauthenticated", None, None),
        ("credential_in_url", None, None),
        ("unauthenticated", keys["revoked"][:11], 4),
        ("unauthenticated", None, 3),
    ]
    text = "".join(rows(tmp_path))
    for secret in ("somebodys", "nonsense", "tulipsecret", keys["revoked"][12:]):
        assert secret not in text


async def test_everything_is_noted_on_demand_with_content_only_when_that_is_on(tmp_path: Path) -> None:
    for content in (False, True):
        folder = tmp_path / str(content)
        async with served(folder, audit="all", audit_content=content) as (_, client, keys):
            run = await asked(client)
            fanned = await client.post(
                "/api/v1/fanout", json={"agents": ["talk", "asks"], "input": WORDS, "mode": "wait"}
            )
            assert fanned.status_code < 300, fanned.text
            await client.post("/api/v1/threads", json={"agent": "talk", "title": WORDS})
            file = (await client.post("/api/v1/files?name=tulips.txt", content=b"x")).json()
            await client.post("/api/v1/runs", json={"agent": "nobody", "input": WORDS})
            found = await entries(client, keys["admin"], user="alice")
        acts = [
            (e["action"], e["target"] is not None, e["outcome"]) for e in found if e["action"] != "sign_in"
        ]
        assert acts == [
            ("run.start", True, "ok"),
            ("run.start", True, "ok"),
            ("run.start", True, "ok"),
            ("thread.create", True, "ok"),
            ("file.upload", True, "ok"),
            ("run.start", False, "agent_not_found"),
        ]
        assert found[1]["target"] == run["id"]
        assert found[5]["details"]["sha256"] == file["sha256"]
        assert ("tulips" in "".join(rows(folder))) is content
        if content:
            assert found[1]["details"]["content"] == {"input": WORDS}


async def test_off_notes_nothing_and_old_entries_stay_readable(tmp_path: Path) -> None:
    async with served(tmp_path, audit="off") as (_, client, keys):
        await client.post(f"/api/v1/runs/{(await asked(client))['id']}/cancel")
        assert (await client.get("/api/v1/runs", headers={"X-API-Key": "nobody"})).status_code == 401
        assert await entries(client, keys["admin"]) == []
    assert rows(tmp_path) == []


async def test_acts_of_a_moment_ago_are_on_the_disk_after_a_stop(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client, _keys):
        await client.delete("/api/v1/threads/nothing")
    assert any("thread.delete" in row for row in rows(tmp_path))


async def test_acts_share_a_commit_and_wait_for_none(tmp_path: Path) -> None:
    async with served(tmp_path) as (instance, client, _keys):
        await client.get("/api/v1/runs")
        await asyncio.sleep(0.7)
        store: Any = instance.store
        writer = store._writer  # its own count of commits is what is promised
        before, writes = int(writer.commits), 30
        for _ in range(writes):
            await client.delete("/api/v1/threads/0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10")
        within = int(writer.commits) - before - writes  # the deletes themselves are one transaction each
        await instance.audit.close()
    assert within <= 2
    assert sum("thread.delete" in row for row in rows(tmp_path)) == writes


async def test_a_full_disk_breaks_no_request_and_loses_nothing_it_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landline.telemetry.audit.MOST_WAITING", 5)
    monkeypatch.setattr("landline.telemetry.audit.BATCH_S", 0.01)
    async with served(tmp_path) as (instance, client, keys):
        kept = instance.store.add_audit

        async def full(_: Any) -> None:
            raise StorageFailed("The database cannot be written or read now (SQLITE_FULL).")

        monkeypatch.setattr(instance.store, "add_audit", full)
        for _ in range(9):
            assert (await client.delete("/api/v1/threads/nothing")).status_code == 404
            await asyncio.sleep(0.02)
        monkeypatch.setattr(instance.store, "add_audit", kept)
        found = await entries(client, keys["admin"], action="thread.delete")
        lost = await instance.store.list_audit(SYSTEM, AuditQuery(action="audit.lost"))
    assert len(found) == 4
    assert [e.details for e in lost.items] == [{"count": 6}]
