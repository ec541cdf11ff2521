"""Secrets of every shape, planted wherever a server may meet one, and failures through every door: none comes out (TRU-17)."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from landline.app.settings import load_settings
from landline.app.upkeep import KeyOrder
from landline.model.callers import ALL_SCOPES
from landline.testing.kill import ServedProcess
from tests.keys import add_key

pytestmark = pytest.mark.contract("TRU-17")

AGENTS = Path(__file__).with_name("canary_agents.py")
LEAST_FAILURES = 30
FAILING = [
    "raises", "chained", "late", "tool", "step", "unfit", "graph", "pai-tool", "pai-model", "sdk-model", "mcp",
    "far-model", "far-line", "far-a2a",
]  # fmt: skip
"""Agents whose every run fails. `noisy`, `waits`, `sdk-tool` and `pai-mcp` go on or ask."""


def _made() -> dict[str, str]:
    tail = secrets.token_hex
    jwt = ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=")
        for part in (b'{"alg":"HS256"}', tail(20).encode())
    )
    return {
        "ours": f"ll_{tail(20)}",
        "openai": f"sk-proj-{tail(20)}",
        "anthropic": f"sk-ant-api03-{tail(20)}",
        "aws_id": f"AKIA{tail(8).upper()}",
        "aws": f"{tail(8)}/{tail(8)}+{tail(3)}",
        "github": f"ghp_{tail(18)}",
        "jwt": f"{jwt}.{tail(16)}",
        "basic": f"pw{tail(10)}",
        "password": f"pw {tail(6)} {tail(6)}",
        "cookie": f"session={tail(16)}; theme=dark",
        "bearer": tail(16),
        "postgres": f"pw{tail(10)}",
        "redis": f"pw{tail(10)}",
        "pem": f"-----BEGIN PRIVATE KEY-----\n{tail(24)}\n{tail(24)}\n-----END PRIVATE KEY-----",
        "mcp": f"{tail(6)}-plain-{tail(6)}",
    }


CANARIES = _made()
SAID = "; ".join(
    [
        f"Incorrect API key provided: {CANARIES['openai']}",
        f"invalid x-api-key {CANARIES['anthropic']} or {CANARIES['ours']}",
        f"signed with {CANARIES['aws_id']} and {CANARIES['aws']}",
        f"remote: {CANARIES['github']} denied",
        f"token {CANARIES['jwt']} expired",
        f"GET https://me:{CANARIES['basic']}@host.example/ failed",
        f"login {{'user': 'me', 'password': '{CANARIES['password']}'}} refused",
        f"sent {{'Cookie': '{CANARIES['cookie']}', 'Authorization': 'Bearer {CANARIES['bearer']}'}}",
        f"could not connect: postgresql://app:{CANARIES['postgres']}@db.example/x",
        f"redis://:{CANARIES['redis']}@cache.example:6379/0",
        f"X-Acme-Access: {CANARIES['mcp']}",
        f"key file: {CANARIES['pem']}",
    ]
)
ENVIRONMENT = {
    "OPENAI_API_KEY": CANARIES["openai"],
    "ANTHROPIC_API_KEY": CANARIES["anthropic"],
    "AWS_ACCESS_KEY_ID": CANARIES["aws_id"],
    "AWS_SECRET_ACCESS_KEY": CANARIES["aws"],
    "GITHUB_TOKEN": CANARIES["github"],
    "PGPASSWORD": CANARIES["postgres"],
    "CELERY_BROKER": f"redis://:{CANARIES['redis']}@cache.example:6379/0",
    "LANDLINE_API_KEY": CANARIES["ours"],
    "LANDLINE_LOG_LEVEL": "debug",
    "LANDLINE_LOG_FORMAT": "json",
}

PIECES = sorted(
    {
        piece
        for whole in CANARIES.values()
        for piece in (*whole.replace(";", "\n").replace("session=", "").splitlines(),)
        if len(piece) >= 12 and "-----" not in piece
    }
    | {CANARIES["password"].split()[2], base64.b64encode(f"me:{CANARIES['basic']}".encode()).decode()}
)
"""What must be found nowhere: every canary, long ones in the lines they may be told in."""


def found_in(text: str) -> list[str]:
    """Return the names of the canaries that a text holds, as they are or as JSON writes them."""
    pieces = [piece for piece in PIECES if piece in text or json.dumps(piece)[1:-1] in text]
    return [next((name for name, value in CANARIES.items() if piece in value), piece) for piece in pieces]


class _Tells(BaseHTTPRequestHandler):
    """Answers whatever it is asked with 401, and tells all it was sent in the body and in a header."""

    protocol_version = "HTTP/1.1"

    def _tell(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length") or 0)).decode("utf-8", "replace")
        told = f"{SAID} {dict(self.headers)} {sent}"
        body = json.dumps({"error": {"message": told, "code": told}, "detail": told, "code": "x"}).encode()
        self.send_response(401, "Unauthorized")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("www-authenticate", f'Bearer error="{CANARIES["bearer"]}"')
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _tell  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextmanager
def stub() -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Tells)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class Told:
    """Every answer that the server gave, with where it came from; `failed` counts those that tell of a failure."""

    def __init__(self) -> None:
        self.failed: set[str] = set()
        self.leaks: dict[str, list[str]] = {}
        self.errors: list[tuple[str, httpx.Response]] = []

    def text(self, where: str, text: str, *, failed: bool) -> None:
        if failed:
            self.failed.add(where)
        if leaked := found_in(text):
            self.leaks[where] = leaked

    def answer(self, where: str, answer: httpx.Response) -> httpx.Response:
        words = ("error", "failed", "isError")
        failed = answer.status_code >= 400 or any(word in answer.text for word in words)
        self.text(where, f"{answer.text} {dict(answer.headers)}", failed=failed)
        if answer.status_code >= 400:
            self.errors.append((where, answer))
        return answer


def bodies_of_faces(agent: str) -> dict[str, tuple[str, Any, dict[str, str]]]:
    """Return a turn of `agent` in every face that speaks HTTP: path, body and headers."""
    n = secrets.token_hex(6)
    user = {"id": f"m{n}", "role": "user"}
    ag_ui: dict[str, Any] = {
        "threadId": f"t{n}", "runId": f"r{n}", "messages": [{**user, "content": "hi"}], "state": {}, "tools": [],
        "context": [], "forwardedProps": {},
    }  # fmt: skip
    a2a = {"message": {"messageId": n, "role": "ROLE_USER", "parts": [{"text": "hi"}]}}
    client = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "canaries", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    mcp = {
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": agent, "arguments": {"message": "hi"}, "_meta": client},
    }  # fmt: skip
    mcp_headers = {
        "accept": "application/json, text/event-stream", "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call", "mcp-name": agent,
    }  # fmt: skip
    chat = {"model": agent, "messages": [{"role": "user", "content": "hi"}]}
    return {
        "native wait": ("/api/v1/runs", {"agent": agent, "input": "hi", "mode": "wait"}, {}),
        "native stream": ("/api/v1/runs", {"agent": agent, "input": "hi", "mode": "stream"}, {}),
        "chat": ("/v1/chat/completions", chat, {}),
        "chat stream": ("/v1/chat/completions", {**chat, "stream": True}, {}),
        "responses": ("/v1/responses", {"model": agent, "input": "hi"}, {}),
        "responses stream": ("/v1/responses", {"model": agent, "input": "hi", "stream": True}, {}),
        "ag_ui": (f"/ag-ui/{agent}", ag_ui, {}),
        "ai_sdk": (
            f"/ai/{agent}",
            {"id": f"c{n}", "message": {**user, "parts": [{"type": "text", "text": "hi"}]}},
            {},
        ),
        "a2a": (f"/a2a/{agent}/message:send", a2a, {"A2A-Version": "1.0"}),
        "a2a stream": (f"/a2a/{agent}/message:stream", a2a, {"A2A-Version": "1.0"}),
        "mcp": ("/mcp", mcp, mcp_headers),
        "tutorial": ("/chat", {"message": "hi", "agent": agent}, {}),
        "tutorial stream": ("/chat/stream", {"message": "hi", "agent": agent}, {}),
    }


def refusals() -> list[tuple[str, str, str, dict[str, Any]]]:
    """Return requests that are refused with a canary in them: a name, method, path, and what httpx is given."""
    basic = base64.b64encode(f"me:{CANARIES['basic']}".encode()).decode()
    key, words = {"X-API-Key": CANARIES["ours"]}, CANARIES["openai"]
    return [
        ("key", "GET", "/api/v1/runs", {"headers": key}),
        ("bearer", "GET", "/v1/models", {"headers": {"Authorization": f"Bearer {CANARIES['jwt']}"}}),
        ("basic", "GET", "/api/v1/runs", {"headers": {"Authorization": f"Basic {basic}"}}),
        ("two keys", "GET", "/api/v1/runs", {"headers": {**key, "Authorization": f"Bearer {CANARIES['bearer']}"}}),
        ("key in the URL", "GET", f"/api/v1/runs?token={CANARIES['github']}", {}),
        ("cookie", "POST", "/mcp", {"headers": {**key, "Cookie": CANARIES["cookie"]}, "json": {}}),
        ("host", "GET", "/livez", {"headers": {"Host": f"{CANARIES['aws_id']}.example"}}),
        ("id", "GET", f"/api/v1/runs/{words}", {}),
        ("thread", "DELETE", f"/api/v1/threads/{CANARIES['mcp']}", {}),
        ("agent", "POST", "/api/v1/runs", {"json": {"agent": words, "input": "hi"}}),
        ("model", "POST", "/v1/chat/completions", {"json": {"model": words, "messages": [{"role": "user", "content": "x"}]}}),
        ("response", "GET", f"/v1/responses/{words}", {}),
        ("field", "POST", "/api/v1/runs", {"json": {words: 1, "agent": "raises", "input": "hi"}}),
        ("value", "POST", "/api/v1/runs", {"json": {"agent": "raises", "input": "hi", "mode": CANARIES["github"]}}),
        ("cursor", "GET", f"/api/v1/threads?cursor={words}", {}),
        ("filter", "GET", f"/api/v1/runs?{words}=1", {}),
        ("no json", "POST", "/v1/responses", {"content": f"{{{words}", "headers": {"Content-Type": "application/json"}}),
        ("path", "GET", f"/nothing/{words}", {}),
        ("type", "POST", "/api/v1/runs", {"content": "x", "headers": {"Content-Type": words}}),
        ("file type", "POST", f"/api/v1/files?name={words}.exe", {"content": b"MZ\x00\x00"}),
        ("a2a", "POST", "/a2a/raises", {"json": {"jsonrpc": "2.0", "id": 1, "method": words}, "headers": {"A2A-Version": "1.0"}}),
        ("mcp", "POST", "/mcp", {"json": {"jsonrpc": "2.0", "id": 1, "method": words}}),
        ("fastagency", "POST", "/fastagency/initiate_workflow", {"json": {"workflow_name": words}}),
    ]  # fmt: skip


async def until(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happens():  # noqa: ASYNC110 - the server's log says nothing to wait for
            await asyncio.sleep(0.1)


async def sockets(url: str, key: str, told: Told) -> None:
    ws = url.replace("http", "ws")
    talks = {
        "/api/v1/ws": [
            {"op": "start", "ref": 1, "agent": "raises", "input": "hi"},
            {"op": CANARIES["openai"], "ref": 2},
        ],
        "/v1/responses": [{"type": "response.create", "model": "chained", "input": "hi"}],
        "/fastagency/ws": [{"workflow_name": CANARIES["github"]}],
    }
    for path, messages in talks.items():
        for message in messages:
            heard = ""
            with suppress(TimeoutError, WebSocketException):
                async with connect(ws + path, additional_headers={"X-API-Key": key}) as socket:
                    await socket.send(json.dumps(message))
                    for _ in range(12):
                        heard += str(await asyncio.wait_for(socket.recv(), 2))
            told.text(f"socket {path} {list(message)}", heard, failed=True)
    for headers in (
        {"X-API-Key": CANARIES["ours"]},
        {"Origin": f"https://{CANARIES['aws_id']}.example", "X-API-Key": key},
    ):
        with pytest.raises(WebSocketException) as refused:
            async with connect(ws + "/api/v1/ws", additional_headers=headers):
                pass
        told.text(
            f"socket refused {list(headers)}", repr(getattr(refused.value, "response", "")), failed=True
        )


def rows(database: Path) -> dict[str, str]:
    """Return everything the database holds, by table and column."""
    held: dict[str, list[str]] = {}
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in connection.execute(f"SELECT * FROM {name}"):
                for column in row.keys():  # noqa: SIM118 - a row is no mapping
                    value = row[column]
                    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                    held.setdefault(f"{name}.{column}", []).append(text)
    return {place: "\n".join(texts) for place, texts in held.items()}


@pytest.mark.timeout(240)
async def test_no_canary_leaves_the_server(tmp_path: Path) -> None:
    own = f"ghp_{secrets.token_hex(18)}"
    told = Told()
    with stub() as address:
        (tmp_path / "planted.json").write_text(
            json.dumps({"said": SAID, "stub": address, "canaries": CANARIES})
        )
        process = ServedProcess(
            f"{AGENTS}:agents",
            data=tmp_path / "data",
            environ={**ENVIRONMENT, "LANDLINE_EGRESS_ALLOW": address.removeprefix("http://")},
            options=("--grace", "0", "--faces", "all"),
        )
        settings = load_settings(data=tmp_path / "data")
        key, _ = await add_key(settings, KeyOrder(user="ana", tenant="acme", scopes=[*ALL_SCOPES, "admin"]))
        await process.start(90)
        try:
            await _drive(process, key, own, told)
        finally:
            await process.stop()
    log = process.output.read_text()

    assert not told.leaks, "\n".join(f"{where}: {names}" for where, names in told.leaks.items())
    assert len(told.failed) >= LEAST_FAILURES
    for where, answer in told.errors:
        assert answer.headers["x-request-id"], where
        if "problem+json" in answer.headers["content-type"]:
            body = answer.json()
            assert body["code"], where
            assert body["request_id"] == answer.headers["x-request-id"], where
    # The log tells of everything that failed, but for the secrets.
    assert found_in(log) == []
    for word in (
        "ValueError",
        "ExceptionGroup",
        "PermissionError",
        "a thread failed",
        "Incorrect API key provided",
        "noisy",
    ):
        assert word in log, word
    held = rows(tmp_path / "data" / "landline.db")
    assert {place: names for place, text in held.items() if (names := found_in(text))} == {}
    # What the user said is the user's: it is where content is, and nowhere else.
    mine = {place for place, text in held.items() if own in text}
    assert mine <= {
        "messages.content", "messages.parts", "runs.input", "events.body", "journal.value", "runs.output", "files.name",
        "threads.title", "search.content",
    }, mine  # fmt: skip
    assert {"messages.content", "files.name"} <= mine
    assert own not in log


async def _drive(process: ServedProcess, key: str, own: str, told: Told) -> None:
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        signed = {"X-API-Key": key}

        async def turn(agent: str, face: str) -> None:
            path, body, headers = bodies_of_faces(agent)[face]
            answer = await client.post(path, json=body, headers={**headers, **signed})
            told.answer(f"{agent} through {face}", answer)

        for agent in [*FAILING, "noisy", "sdk-tool", "pai-mcp", "waits"]:
            await turn(agent, "native wait")
        for face in bodies_of_faces("x"):
            for agent in ("late", "chained"):
                await turn(agent, face)
        statuses = (await client.get("/api/v1/runs?limit=200", headers=signed)).json()["items"]
        ended = {run["agent"]: run["status"] for run in statuses}
        assert {agent: ended.get(agent) for agent in FAILING} == dict.fromkeys(FAILING, "failed")
        assert (ended["noisy"], ended["waits"]) == ("completed", "waiting")
        question = next(run for run in statuses if run["agent"] == "waits")
        run = (await client.get(f"/api/v1/runs/{question['id']}", headers=signed)).json()
        answers = {"answers": [{"question_id": run["questions"][0]["question_id"], "approve": True}]}
        told.answer(
            "answer", await client.post(f"/api/v1/runs/{run['id']}/answers", json=answers, headers=signed)
        )

        for name, method, path, given in refusals():
            headers = (
                {**signed, **given.get("headers", {})}
                if name not in ("bearer", "basic")
                else given["headers"]
            )
            options: Any = {**given, "headers": headers}
            answer = await client.request(method, path, **options)
            told.answer(name, answer)
            assert answer.status_code >= 400 or name in ("a2a", "mcp"), (name, answer.status_code)

        body = {"agent": "raises", "input": f"mine is {own}", "mode": "wait"}
        told.answer("own", await client.post("/api/v1/runs", json=body, headers=signed))
        file = await client.post(f"/api/v1/files?name={own}.txt", content=b"x", headers=signed)
        assert file.status_code == 201
        told.answer("own id", await client.get(f"/api/v1/runs/{own}", headers=signed))
        await sockets(process.url, key, told)
        for run in (await client.get("/api/v1/runs?limit=200", headers=signed)).json()["items"]:
            events = await client.get(
                f"/api/v1/runs/{run['id']}/events?live=false",
                headers={**signed, "Accept": "application/json"},
            )
            told.text(f"events of {run['agent']}", events.text, failed=False)
        told.text(
            "audit", (await client.get("/api/v1/admin/audit?limit=200", headers=signed)).text, failed=False
        )
        told.text("agents", (await client.get("/api/v1/agents", headers=signed)).text, failed=False)
