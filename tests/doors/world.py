"""A server with every face, and what Alice has there: the ids that others try at every door."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from landline.app.settings import load_settings
from landline.app.upkeep import accounts
from landline.model.callers import ALL_SCOPES
from landline.model.ids import new_id
from landline.ports.people import KeyOrder, UserOrder
from landline.testing.kill import ServedProcess

AGENTS = Path(__file__).with_name("agents.py")
BOUND_S = 30.0
READING = sorted(scope for scope in ALL_SCOPES if scope.endswith(":read"))
A2A = {"A2A-Version": "1.0"}
MCP = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
}

CALLERS: dict[str, tuple[str, str, list[str] | None]] = {
    "alice": ("acme", "alice", None),
    # Of her tenant, with everything but the right to decide for others, which opens her questions by design (THR-2).
    "colleague": ("acme", "bob", sorted(ALL_SCOPES - {"approvals:answer"})),
    "approver": ("acme", "carol", None),
    "stranger": ("evil", "alice", None),
    # Who operates another tenant, and a gateway of hers that acts for somebody else.
    "rival": ("evil", "root", sorted(ALL_SCOPES | {"admin"})),
    "gateway": ("acme", "gateway", sorted(ALL_SCOPES - {"approvals:answer"} | {"delegate"})),
    "reader": ("acme", "alice", READING),
    "powerless": ("acme", "alice", ["files:read"]),
    "idler": ("acme", "alice", ["agents:read"]),
    "revoked": ("acme", "alice", None),
}
"""Kinds of caller by name: tenant, user and scopes (None for all)."""


@dataclass
class World:
    """The running server, keys by kind of caller, and Alice's ids by what they are."""

    process: ServedProcess
    keys: dict[str, str]
    ids: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def url(self) -> str:
        return self.process.url

    def client(self, who: str | None) -> httpx.AsyncClient:
        """Return a client of a kind of caller; None has no key."""
        headers = {} if who is None else {"X-API-Key": self.keys[who]}
        if who == "gateway":
            headers["X-User-ID"] = "dora"
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=BOUND_S)

    def never(self) -> dict[str, str]:
        """Return ids of the same shapes that nobody ever had."""
        return {name: _like(id_) for name, id_ in self.ids.items()}

    def rows_of_alice(self) -> dict[str, list[Any]]:
        """Return everything the database has of her, for comparison."""
        with closing(sqlite3.connect(self.process.data / "landline.db")) as connection:
            connection.text_factory = bytes
            rows: dict[str, list[Any]] = {}
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (raw,) in tables:
                name = raw.decode()
                columns = {one[1].decode() for one in connection.execute(f"PRAGMA table_info({name})")}
                if {"tenant", "user_id"} <= columns and name not in ("api_keys", "audit"):
                    query = f"SELECT * FROM {name} WHERE tenant = 'acme' AND user_id = 'alice'"
                    rows[name] = sorted(map(repr, connection.execute(query)))
            runs = "SELECT n FROM runs WHERE tenant = 'acme' AND user_id = 'alice'"
            for name in ("events", "journal", "questions"):
                query = f"SELECT * FROM {name} WHERE run_n IN ({runs})"
                rows[name] = sorted(map(repr, connection.execute(query)))
            return rows


def _like(id_: str) -> str:
    """Return an id of the same shape that was never given out."""
    fresh = new_id()
    # Of the same time, which is in the first half: a cursor of nobody's stands where hers does.
    whole = re.sub(
        r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-)[0-9a-f]{12}", lambda m: m[1] + fresh[24:], id_
    )
    if whole == id_:
        whole = re.sub(r"[0-9a-f]{32}", lambda _: fresh.replace("-", ""), id_)
    return whole if whole != id_ else id_[:-6] + secrets.token_hex(3)


async def world_of(folder: Path) -> World:
    """Serve the agents through every face, with keys for every kind of caller; whoever asked kills the process."""
    process = ServedProcess(
        AGENTS, data=folder / "data", options=("--grace", "0", "--faces", "all"), warm=("mcp",)
    )
    settings = load_settings(data=folder / "data")
    keys: dict[str, str] = {}
    ids: dict[str, str] = {}
    async with accounts(settings) as (people, owner):
        for name, (tenant, user, scopes) in CALLERS.items():
            order = KeyOrder(user=user, tenant=tenant, scopes=scopes)
            keys[name], made = await people.make_key(owner, order)
            if name == "revoked":
                await people.revoke_key(owner, made.id)
            if name == "alice":
                ids["key"] = made.id
        ids["user"] = (await people.add_user(owner, UserOrder(name="alice", tenant="acme"))).id
    await process.start(60)
    world = World(process=process, keys=keys, ids=ids)
    try:
        await _furnish(world)
    except BaseException:  # a cancel too must not leave the server behind
        process.kill()
        raise
    return world


async def _furnish(world: World) -> None:
    """Let Alice use every wire once, and keep the ids she was given or chose."""
    ids = world.ids
    async with world.client("alice") as alice:

        async def post(path: str, body: Any, **headers: str) -> Any:
            answer = await alice.post(path, json=body, headers=headers)
            assert answer.status_code < 300, (path, answer.status_code, answer.text)
            return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text

        run = await post("/api/v1/runs", {"agent": "talk", "input": "secret-of-alice", "mode": "wait"})
        ids |= {"run": run["id"], "thread": run["thread_id"], "message": run["message_id"]}
        waiting = await post("/api/v1/runs", {"agent": "asks", "input": "secret-of-alice", "mode": "wait"})
        ids |= {"waiting": waiting["id"], "waiting_thread": waiting["thread_id"]}
        ids["question"] = waiting["questions"][0]["question_id"]
        file = await alice.post("/api/v1/files", files={"file": ("a.txt", b"secret-of-alice", "text/plain")})
        ids["file"] = file.json()["id"]

        response = await post("/v1/responses", {"model": "talk", "input": "secret-of-alice"})
        asked = await post("/v1/responses", {"model": "asks", "input": "secret-of-alice"})
        held = await post("/v1/conversations", {})
        words = "secret-of-alice"
        told = await post("/v1/responses", {"model": "talk", "input": words, "conversation": held["id"]})
        items = (await alice.get(f"/v1/conversations/{held['id']}/items")).json()
        ids |= {"response": response["id"], "asked": asked["id"], "conversation": held["id"]}
        ids |= {"item": items["data"][0]["id"], "told": told["id"]}
        approval = [item for item in asked["output"] if item["type"] == "mcp_approval_request"]
        ids["approval"] = approval[0]["id"]

        said = {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "secret-of-alice"}]}
        sent = await post("/a2a/asks/message:send", {"message": said}, **A2A)
        ids |= {"task": sent["task"]["id"], "context": sent["task"]["contextId"]}

        ids |= {"ui": f"ui-{secrets.token_hex(8)}", "chat": f"chat-{secrets.token_hex(8)}"}
        ui = ag_ui_body(ids["ui"])
        await post("/ag-ui/asks", ui)
        await post("/ai/asks", {"id": ids["chat"], "message": ui_message("secret-of-alice")})
        ids["session"] = (await post("/chat", {"message": "secret-of-alice", "agent": "talk"}))["session_id"]
        ids["client"] = f"client-{secrets.token_hex(8)}"
        ids["workflow"] = secrets.token_hex(16)
        await post("/fastagency/initiate_workflow", initiate(ids["workflow"]))
    while True:  # until nothing of hers is at work any more
        async with world.client("alice") as alice:
            if not (await alice.get("/api/v1/runs", params={"status": "running"})).json()["items"]:
                return
        await asyncio.sleep(0.05)


def ag_ui_body(thread: str, **more: Any) -> dict[str, Any]:
    """Return a request of AG-UI's."""
    said = {"id": f"m{secrets.token_hex(4)}", "role": "user", "content": "hello"}
    body: dict[str, Any] = {"threadId": thread, "runId": secrets.token_hex(8), "messages": [said]}
    return {**body, "state": {}, "tools": [], "context": [], "forwardedProps": {}, **more}


def ui_message(text: str) -> dict[str, Any]:
    """Return a message of the AI SDK's."""
    return {"id": f"m{secrets.token_hex(4)}", "role": "user", "parts": [{"type": "text", "text": text}]}


def initiate(workflow: str, user: str | None = None) -> dict[str, Any]:
    """Return FastAgency's request for a workflow."""
    return {
        "workflow_uuid": workflow,
        "user_id": user,
        "workflow_name": "asks",
        "params": {"message": "hello"},
    }


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)|\b\d{10}(\d{3})?\b")


def normal(text: str, ids: dict[str, str]) -> str:
    """Return an answer without what differs between any two answers: the ids that were tried, fresh ids, times."""
    for name, id_ in sorted(ids.items(), key=lambda pair: -len(pair[1])):
        text = text.replace(id_, f"<{name}>").replace(json.dumps(id_)[1:-1], f"<{name}>")
    text = _TIME.sub("<time>", _UUID.sub("<id>", text))
    return re.sub(r'"(?:created|created_at|completed_at)":\s*\d+', '"at"', text)
