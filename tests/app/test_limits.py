"""Limits on a whole server: every face counts, in its own words, and what was held comes back on every path (TRU-8)."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from starlette.requests import Request

import landline
from landline.app.build import Landline
from landline.app.identity import accounts_of
from landline.faces.a2a import errors as a2a_errors
from landline.faces.ag_ui import errors as ag_ui_errors
from landline.faces.ai_sdk import errors as ai_sdk_errors
from landline.faces.fastagency import routes as fastagency_routes
from landline.faces.mcp import routes as mcp_routes
from landline.faces.openai import errors as openai_errors
from landline.faces.tutorials import errors as tutorials_errors
from landline.gates.auth import make_key
from landline.model.callers import LOCAL, SYSTEM
from landline.model.errors import Kind, LandlineError, RateLimited
from landline.model.limits import LimitState
from landline.model.messages import TextPart
from landline.model.times import iso
from landline.ports.people import KeyOrder
from landline.ports.runs import StartRun
from landline.web import problems
from landline.web.problems import told

pytestmark = pytest.mark.contract("TRU-8", "FACE-16")

RUNS = "/api/v1/runs"
MCP = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}


async def echo(run: Any) -> str:
    return f"echo: {run.input}"


async def asking(run: Any) -> str:
    return f"you said {await run.ask('what?')}"


async def slow(run: Any) -> str:
    await asyncio.Event().wait()
    return ""


async def broken(run: Any) -> str:
    raise RuntimeError("swordfish")


AGENTS = [landline.agent(found, name=found.__name__) for found in (echo, asking, slow, broken)]


@asynccontextmanager
async def serving(
    folder: Path, *rules: str, **options: Any
) -> AsyncGenerator[tuple[httpx.AsyncClient, Landline]]:
    options = {"open": True, "faces": ["all"], **options}
    server = Landline(AGENTS, data=folder, limits=list(rules), **options)
    app = server.app
    async with app._app.router.lifespan_context(app._app):  # pyright: ignore[reportPrivateUsage, reportFunctionMemberAccess] - the guard's inner app, whose lifespan the mcp face needs
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client, server


async def start(client: httpx.AsyncClient, agent: str = "echo", **more: Any) -> httpx.Response:
    return await client.post(RUNS, json={"agent": agent, "input": "hi", "mode": "wait"} | more)


def fields(value: str) -> dict[str, dict[str, str]]:
    """Read a list of items with parameters, as far as these fields use them (RFC 9651)."""
    found: dict[str, dict[str, str]] = {}
    for item in value.split(", "):
        name, *parameters = item.split(";")
        found[name.strip('"')] = dict(one.split("=", 1) for one in parameters)
    return found


def message(text: str = "hi") -> dict[str, Any]:
    return {"message_id": "m1", "role": "ROLE_USER", "parts": [{"text": text}]}


def rpc(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


UI = {"id": "c1", "messages": [{"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}]}
AG_UI: dict[str, Any] = {
    "threadId": "t1", "runId": "r1", "state": {}, "tools": [], "context": [], "forwardedProps": {},
    "messages": [{"id": "u1", "role": "user", "content": "hi"}],
}  # fmt: skip
CHAT = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
A2A = {"a2a-version": "1.0"}

Code = Callable[[httpx.Response], Any]
DOORS: list[tuple[str, str, Any, dict[str, str], Code]] = [
    ("native", RUNS, {"agent": "echo", "input": "hi"}, {}, lambda a: a.json()["code"]),
    ("fan-out", "/api/v1/fanout", {"agents": ["echo", "broken"], "input": "hi"}, {}, lambda a: a.json()["code"]),
    ("openai chat", "/v1/chat/completions", CHAT, {}, lambda a: a.json()["error"]["code"]),
    ("openai responses", "/v1/responses", {"model": "echo", "input": "hi"}, {}, lambda a: a.json()["error"]["code"]),
    ("ai sdk", "/ai/echo", UI, {}, lambda a: a.headers["x-landline-error"]),
    ("ag-ui", "/ag-ui/echo", AG_UI, {}, lambda a: a.json()["code"]),
    ("a2a rpc", "/a2a/echo", rpc("SendMessage", message=message()), A2A,
     lambda a: a.json()["error"]["data"][0]["metadata"]["code"]),
    ("a2a rest", "/a2a/echo/message:send", {"message": message()}, A2A,
     lambda a: a.json()["error"]["details"][0]["metadata"]["code"]),
    ("tutorials", "/chat", {"message": "hi", "agent": "echo"}, {}, lambda a: a.json()["error"]),
]  # fmt: skip
CODES = {
    "openai chat": "rate_limit_exceeded",
    "openai responses": "rate_limit_exceeded",
    "tutorials": "Too Many Requests",
}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: str(door[0]))
async def test_no_face_gets_around_the_limit_on_runs_and_each_says_so_in_its_words(
    tmp_path: Path, door: Any
) -> None:
    name, path, body, headers, code_of = door
    async with serving(tmp_path, "user: 1/minute runs") as (client, server):
        assert (await start(client)).status_code == 200
        refused = await client.post(path, json=body, headers=headers)
        assert refused.status_code == 429, refused.text
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert fields(refused.headers["ratelimit"])["user-runs-60"]["r"] == "0"
        assert fields(refused.headers["ratelimit-policy"])["user-runs-60"] == {"q": "1", "w": "60"}
        assert code_of(refused) == CODES.get(name, "rate_limited")
        assert "swordfish" not in refused.text
        assert len((await client.get(RUNS)).json()["items"]) == 1
        assert not len(server.core.driver)


@pytest.mark.contract("FACE-11")
async def test_a_tool_of_the_mcp_face_is_a_run_and_a_request(tmp_path: Path) -> None:
    call = rpc("tools/call", name="echo", arguments={"message": "hi"})
    hello = rpc(
        "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "t", "version": "1"}
    )
    async with serving(tmp_path, "user: 1/minute runs", "user: 5/minute requests") as (client, _):
        began = await client.post("/mcp", json=hello, headers=MCP)
        assert fields(began.headers["ratelimit"])["user-requests-60"]["r"] == "4"
        headers = (
            MCP | {"mcp-session-id": began.headers["mcp-session-id"]}
            if "mcp-session-id" in began.headers
            else MCP
        )
        await client.post(
            "/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers
        )
        told = [(await client.post("/mcp", json=call, headers=headers)) for _ in range(3)]
        assert "echo: hi" in told[0].text
        assert "rate_limited" in told[1].text
        assert [answer.status_code for answer in told] == [200, 200, 200]
        refused = await client.post("/mcp", json=call, headers=headers)
        assert refused.status_code == 429
        assert refused.json()["error"]["data"]["code"] == "rate_limited"
        assert "retry-after" in refused.headers


@pytest.mark.contract("TRU-8", "RUN-11")
async def test_each_run_of_a_fan_out_counts_and_one_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    many = {"agents": ["echo", "broken", "asking"], "input": "hi"}
    async with serving(tmp_path, "user: 4/minute runs", "tenant: 3 concurrent runs") as (client, server):
        assert (await client.post("/api/v1/fanout", json=many)).status_code < 300
        assert (
            await client.post("/api/v1/fanout", json=many | {"agents": ["echo", "slow"]})
        ).status_code == 429
        # One was counted before the other was refused; neither holds a place.
        assert len((await client.get(RUNS)).json()["items"]) == 3
        assert len(server.core.admission.gates[0]._held) == 0  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] - what a refusal leaves is seen from inside only


async def test_what_is_left_is_told_with_every_answer_also_with_errors_and_streams(tmp_path: Path) -> None:
    rules = ("user: 5/minute requests", "user: 9/hour runs", "ip: 100/minute requests")
    async with serving(tmp_path, *rules) as (client, _):
        answer = await start(client)
        left = fields(answer.headers["ratelimit"])
        assert {name: one["r"] for name, one in left.items()} == {
            "ip-requests-60": "99", "user-requests-60": "4", "user-runs-3600": "8",
        }  # fmt: skip
        assert all(0 < int(one["t"]) <= 3600 for one in left.values())
        missing = await client.get(f"{RUNS}/none")
        assert (missing.status_code, fields(missing.headers["ratelimit"])["user-requests-60"]["r"]) == (
            404,
            "3",
        )
        streamed = await start(client, mode="stream")
        assert fields(streamed.headers["ratelimit"])["user-runs-3600"]["r"] == "7"
        assert "run.completed" in streamed.text


async def test_nothing_is_limited_or_told_without_a_rule_and_health_never_is(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, server):
        assert server.limiter is None
        assert "ratelimit" not in (await start(client)).headers
    async with serving(tmp_path, "ip: 1/minute requests") as (client, _):
        assert (await client.get("/docs")).status_code == 200
        assert (await client.get("/docs")).status_code == 429
        for path in ("/livez", "/readyz", "/health"):
            assert (await client.get(path)).status_code == 200


async def held(client: httpx.AsyncClient) -> bool:
    """Whether the one place there is is taken: nothing is started if it is."""
    answer = await start(client, "echo")
    assert answer.status_code in (200, 429), answer.text
    return answer.status_code == 429


ONE = "tenant: 1 concurrent run"


@pytest.mark.contract("RES-6")
@pytest.mark.parametrize("agent", ["echo", "broken", "asking"])
async def test_a_run_that_ended_or_waits_holds_no_place(tmp_path: Path, agent: str) -> None:
    async with serving(tmp_path, ONE) as (client, _):
        await start(client, agent)
        assert not await held(client)


@pytest.mark.contract("RES-6")
async def test_a_run_holds_its_place_until_it_is_cancelled(tmp_path: Path) -> None:
    async with serving(tmp_path, ONE) as (client, server):
        run = (await start(client, "slow", mode="background")).json()
        refused = await start(client)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_at_once")
        assert refused.headers["retry-after"] == "1"
        policy = fields(refused.headers["ratelimit-policy"])["tenant-concurrent-runs"]
        assert policy == {"q": "1", "qu": '"concurrent-requests"'}
        await client.post(f"{RUNS}/{run['id']}/cancel")
        assert not await held(client)
        # At once, before it has a line.
        for _ in range(5):
            run = (await start(client, "slow", mode="background")).json()
            await server.core.runs.cancel(LOCAL, run["id"])
            assert not await held(client)


@pytest.mark.contract("RES-6")
async def test_a_refused_or_repeated_start_holds_no_place(tmp_path: Path) -> None:
    async with serving(tmp_path, "tenant: 2 concurrent runs") as (client, _):
        thread = (await client.post("/api/v1/threads", json={"agent": "slow"})).json()["id"]
        first = await start(client, "slow", thread_id=thread, mode="background")
        assert first.status_code == 202
        for _ in range(3):
            assert (await start(client, "slow", thread_id=thread)).status_code == 409
        once = {"Idempotency-Key": "k1"}
        body = {"agent": "echo", "input": "hi", "mode": "wait"}
        for _ in range(3):
            assert (await client.post(RUNS, json=body, headers=once)).status_code == 200
        assert (await start(client, "slow", mode="background")).status_code == 202
        assert await held(client)


@pytest.mark.contract("RES-6", "RUN-6")
async def test_a_queued_run_holds_a_place_and_gives_it_back_when_it_never_begins(tmp_path: Path) -> None:
    async with serving(tmp_path, "tenant: 2 concurrent runs") as (client, server):
        thread = (await client.post("/api/v1/threads", json={"agent": "slow"})).json()["id"]
        running = (await start(client, "slow", thread_id=thread, mode="background")).json()
        queued = (await start(client, "slow", thread_id=thread, mode="background", on_busy="queue")).json()
        assert queued["status"] == "queued"
        assert await held(client)
        await client.post(f"{RUNS}/{queued['id']}/cancel")
        assert not await held(client)
        queued = (await start(client, "slow", thread_id=thread, mode="background", on_busy="queue")).json()
        await client.post(f"{RUNS}/{running['id']}/cancel")
        async with asyncio.timeout(5):
            while (await server.core.runs.get(LOCAL, queued["id"])).status != "running":  # noqa: ASYNC110 - the store rings no bell for a test
                await asyncio.sleep(0.01)
        assert not await held(client), "the promoted run has one place, not two"
        assert (await start(client, "slow", mode="background")).status_code == 202
        assert await held(client)


@pytest.mark.contract("RES-6")
async def test_an_answer_is_never_refused_and_the_run_counts_again(tmp_path: Path) -> None:
    async with serving(tmp_path, ONE) as (client, _):
        run = (await start(client, "asking")).json()
        busy = (await start(client, "slow", mode="background")).json()
        question = (await client.get(f"{RUNS}/{run['id']}")).json()["questions"][0]["question_id"]
        answers = {"answers": [{"question_id": question, "value": "yes"}]}
        assert (await client.post(f"{RUNS}/{run['id']}/answers", json=answers)).status_code == 200
        assert await held(client)
        await client.post(f"{RUNS}/{busy['id']}/cancel")
        async with asyncio.timeout(5):
            while (await client.get(f"{RUNS}/{run['id']}")).json()["status"] != "completed":  # noqa: ASYNC110 - asked over HTTP
                await asyncio.sleep(0.01)
        assert not await held(client)


@pytest.mark.contract("RES-6", "RUN-6")
async def test_who_interrupts_takes_the_place_over(tmp_path: Path) -> None:
    async with serving(tmp_path, ONE) as (client, _):
        thread = (await client.post("/api/v1/threads", json={"agent": "slow"})).json()["id"]
        await start(client, "slow", thread_id=thread, mode="background")
        second = await start(client, "slow", thread_id=thread, mode="background", on_busy="interrupt")
        assert second.status_code == 202
        assert (await start(client, "slow", mode="background", on_busy="interrupt")).status_code == 429
        await client.post(f"{RUNS}/{second.json()['id']}/cancel")
        assert not await held(client)


@pytest.mark.contract("REL-3", "RES-6")
async def test_a_recovered_run_counts_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path, ONE) as (client, _):
        run = (await start(client, "slow", mode="background")).json()
    async with serving(tmp_path, ONE) as (client, server):
        async with asyncio.timeout(5):
            while not len(server.core.driver):  # noqa: ASYNC110 - the driver says nothing when it takes a run up
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert await held(client)
        await client.post(f"{RUNS}/{run['id']}/cancel")
        assert not await held(client)


STREAMS: list[tuple[str, Any, dict[str, str]]] = [
    (RUNS, {"agent": "echo", "input": "hi", "mode": "stream"}, {}),
    ("/v1/chat/completions", CHAT | {"stream": True}, {}),
    ("/v1/responses", {"model": "echo", "input": "hi", "stream": True}, {}),
    ("/ai/echo", UI, {}),
    ("/ag-ui/echo", AG_UI, {}),
    ("/a2a/echo", rpc("SendStreamingMessage", message=message()), A2A),
    ("/a2a/echo/message:stream", {"message": message()}, A2A),
    ("/chat/stream", {"message": "hi", "agent": "echo"}, {}),
    ("/stream-chat", {"message": "hi", "agent": "echo"}, {}),
]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: str(stream[0]))
async def test_a_stream_too_many_is_refused_before_its_run_begins(tmp_path: Path, stream: Any) -> None:
    path, body, headers = stream
    async with serving(tmp_path, "user: 1 stream") as (client, server):
        limiter = server.limiter
        assert limiter is not None
        tally = await limiter.arrived("192.0.2.1")
        release = await limiter.stream(tally, LOCAL)
        refused = await client.post(path, json=body, headers=headers)
        assert refused.status_code == 429, refused.text
        assert not (await client.get(RUNS)).json()["items"]
        release()
        for _ in range(3):
            told = await client.post(path, json=body, headers=headers)
            assert (told.status_code, told.headers["content-type"].partition(";")[0]) == (
                200,
                "text/event-stream",
            )


async def test_uploads_are_counted_in_every_face_that_takes_files(tmp_path: Path) -> None:
    async with serving(tmp_path, "user: 1/minute uploads") as (client, _):
        file = {"file": ("a.txt", b"words", "text/plain")}
        assert (await client.post("/api/v1/files", files=file)).status_code == 201
        assert (await client.post("/api/v1/files", files=file)).status_code == 429
        part = {
            "type": "file",
            "mediaType": "text/plain",
            "filename": "a.txt",
            "url": "data:text/plain;base64,d29yZHM=",
        }
        said = UI | {"messages": [{"id": "u1", "role": "user", "parts": [part]}]}
        assert (await client.post("/ai/echo", json=said)).status_code == 429


async def test_credentials_that_do_not_hold_shut_their_address_out(tmp_path: Path) -> None:
    async with serving(tmp_path, open=False, failed_sign_ins="3/minute", trusted_proxies=["127.0.0.0/8"]) as (
        client,
        server,
    ):
        key, record = make_key(tenant="home", user="ann", at=iso(server.clock.now()))
        await server.store.add_key(SYSTEM, record)
        good, bad = {"X-API-Key": key}, {"X-API-Key": "ll_wrong"}
        for _ in range(5):
            assert (await client.get(RUNS)).status_code == 401, "no credential at all is no attempt"
        assert [(await client.get(RUNS, headers=bad)).status_code for _ in range(4)] == [401, 401, 401, 429]
        shut = await client.get(RUNS, headers=good)
        assert (shut.status_code, shut.json()["code"]) == (429, "too_many_failed_sign_ins")
        assert "retry-after" in shut.headers
        elsewhere = good | {"X-Forwarded-For": "198.51.100.7"}
        assert (await client.get(RUNS, headers=elsewhere)).status_code == 200


def kinds(of: type[LandlineError] = LandlineError) -> dict[str, type[LandlineError]]:
    """Every kind of error with a class that has it."""
    found: dict[str, type[LandlineError]] = {of.kind: of}
    for below in of.__subclasses__():
        found |= {kind: cls for kind, cls in kinds(below).items() if kind not in found}
    return found


TELLS: dict[str, Any] = {
    "native": problems.respond,
    "openai": openai_errors.tell,
    "ai_sdk": ai_sdk_errors.tell,
    "ag_ui": ag_ui_errors.tell,
    "tutorials": tutorials_errors.tell,
    "a2a_rest": a2a_errors.tell_rest,
    "fastagency": fastagency_routes._tell,  # pyright: ignore[reportPrivateUsage] - the face's own map is what is checked
    "mcp": mcp_routes._tell,  # pyright: ignore[reportPrivateUsage] - the same
}


@pytest.mark.parametrize("face", TELLS)
@pytest.mark.parametrize("kind", get_args(Kind))
def test_no_faces_map_of_errors_has_a_gap(kind: str, face: str) -> None:
    """A kind without a place becomes a 500, or a KeyError in the middle of telling."""
    cls = kinds()[kind]
    error = cls.__new__(cls)
    LandlineError.__init__(error, "Said.", retry_after_s=7)
    if isinstance(error, RateLimited):
        error = RateLimited("Said.", retry_after_s=7, states=[LimitState("user-runs-60", 5, 60, 0, 7)])
    scope: dict[str, Any] = {"type": "http", "headers": [], "state": {"request_id": "r1"}, "path": "/"}
    answer = TELLS[face](error, Request(scope))
    wanted = problems.status_of(error)
    near = {(422, "openai"): 400, (422, "a2a_rest"): 400, (409, "a2a_rest"): 400, (410, "a2a_rest"): 410}
    assert answer.status_code == near.get((wanted, face), wanted)
    assert answer.headers["retry-after"] == "7"
    assert b"Said." in answer.body
    if kind == "limited":
        assert answer.status_code == 429
        assert answer.headers["ratelimit"] == '"user-runs-60";r=0;t=7'


def test_a_limit_is_429_with_its_states() -> None:
    state = LimitState("user-runs-60", 5, 60, 0, 12)
    problem, headers = told(RateLimited("Too often.", retry_after_s=12, states=[state]), "r1")
    assert (problem.status, problem.code) == (429, "rate_limited")
    assert headers == {
        "retry-after": "12",
        "ratelimit": '"user-runs-60";r=0;t=12',
        "ratelimit-policy": '"user-runs-60";q=5;w=60',
    }


@pytest.mark.contract("TRU-1")
async def test_a_keys_own_limits_hold_and_one_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, open=False) as (client, server):
        accounts = accounts_of(server.settings, server.store, server.clock)
        order = KeyOrder(user="ann", tenant="home", limits={"runs": "1/minute", "concurrent-runs": "5"})
        key, _ = await accounts.make_key(SYSTEM, order)
        headers, body = {"X-API-Key": key}, {"agent": "echo", "input": "hi", "mode": "wait"}
        told = [await client.post(RUNS, json=body, headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in told] == [200, 429]
        with pytest.raises(LandlineError, match="runs=60/minute") as refused:
            await accounts.make_key(SYSTEM, replace(order, limits={"runs": "many"}))
        assert refused.value.code == "bad_limit"


async def test_a_run_without_a_request_is_counted_too(tmp_path: Path) -> None:
    """What code of the owner's starts goes through the same admission."""
    async with serving(tmp_path, "tenant: 1/minute runs") as (_, server):
        request = StartRun(agent="echo", input=[TextPart(text="hi")])
        await server.runs.start(LOCAL, request)
        with pytest.raises(LandlineError, match="tenant together"):
            await server.runs.start(LOCAL, request)
