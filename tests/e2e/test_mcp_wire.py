"""The MCP face message by message: its door, its streams, what a client that leaves changes, drain, files, host routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Header, HTTPException
from mcp import Client
from mcp.shared.exceptions import MCPError

import landline
from landline.app.build import Landline
from landline.model.callers import LOCAL
from landline.model.runs import TERMINAL
from landline.ports.store import RunQuery
from landline.testing.fixture.mcp import PIXEL, everything
from tests.e2e.conftest import Serve
from tests.e2e.mcp_line import ACCEPT, LEGACY, Keys, Line, agents, line, message, routing, served

pytestmark = pytest.mark.contract("FACE-11")

FORMS: dict[str, Any] = {"elicitation": {}}


@pytest.fixture
async def open_line(tmp_path: Path) -> AsyncIterator[Line]:
    async with line(tmp_path, heartbeat_s=0.2) as found:
        yield found


async def the_run(found: Line, holds: Callable[[Any], bool]) -> Any:
    """Return the one run once it `holds`."""
    async with asyncio.timeout(10):
        while True:
            for run in (await found.landline.runs.history(LOCAL, RunQuery())).items:
                if holds(run):
                    return run
            await asyncio.sleep(0.02)


class Session:
    """A session of the older wire, by hand."""

    def __init__(self, found: Line, client: httpx.AsyncClient) -> None:
        self.url = found.url
        self.client = client
        self.headers = {**ACCEPT, "mcp-protocol-version": LEGACY}

    async def open(self, **headers: str) -> Session:
        params = {
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        self.headers |= headers
        answer = await self.post("initialize", params, id=0)
        assert answer.status_code == 200, answer.text
        self.headers["mcp-session-id"] = answer.headers["mcp-session-id"]
        await self.post("notifications/initialized")
        return self

    def body(self, method: str, params: Any = None, **more: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "method": method, **({"params": params} if params else {}), **more}

    async def post(self, method: str, params: Any = None, **more: Any) -> httpx.Response:
        return await self.client.post(self.url, json=self.body(method, params, **more), headers=self.headers)


@pytest.mark.contract("FACE-11", "FACE-17")
async def test_a_call_is_one_stream_of_progress_and_one_response(open_line: Line) -> None:
    answered = await open_line.call("echo", {"message": "one"}, progress="p1")
    assert [told["params"]["message"] for told in answered.notifications] == ["half (50%)", "Writing"]
    assert answered.result["content"] == [{"type": "text", "text": "one"}]
    silent = await open_line.call("echo", {"message": "one"})
    assert silent.notifications == []


@pytest.mark.contract("FACE-11", "TRU-1", "TRU-11", "TRU-13")
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "unauthenticated"),
        ({"x-api-key": "nobody"}, 401, "unauthenticated"),
        ({"x-api-key": "ann", "authorization": "Bearer bob"}, 400, "two_credentials"),
        ({"x-api-key": "ann", "origin": "http://evil.example"}, 403, "foreign_origin"),
        ({"x-api-key": "ann", "origin": "null"}, 403, "foreign_origin"),
    ],
)
async def test_the_door_is_the_one_of_every_face(
    tmp_path: Path, headers: dict[str, str], status: int, code: str
) -> None:
    async with line(tmp_path, authenticator=Keys()) as found:
        for method in ("tools/list", "tools/call"):
            response = await found.post(message(method), headers={**routing(method, {}), **headers})
            assert response.status_code == status
            error = response.json()["error"]
            assert error["data"]["code"] == code
            assert error["data"]["request_id"] == response.headers["x-request-id"]
            if status == 401:
                assert response.headers["www-authenticate"] == "Bearer"
        async with httpx.AsyncClient() as client:
            for method in ("GET", "DELETE"):
                refused = await client.request(method, found.url, headers={**ACCEPT, **headers})
                assert refused.status_code == status


async def test_a_page_of_the_servers_own_may_speak_to_it(open_line: Line) -> None:
    headers = {**routing("tools/list", {}), "origin": f"http://{open_line.address}"}
    assert (await open_line.post(message("tools/list"), headers=headers)).status_code == 200


@pytest.mark.contract("FACE-11", "TRU-11")
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}', {}, 400),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"tools/list"}', {}, 400),
        (b"[" * 100 + b"]" * 100, {}, 400),
        (b"", {}, 400),
        (b"[]", {}, 400),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', {"host": "evil.example"}, 421),
        (b'"' + b"x" * 5_000_000 + b'"', {}, 413),
    ],
)
@pytest.mark.parametrize("wire", ["2026-07-28", LEGACY])
async def test_hostile_bodies_are_refused(
    open_line: Line, wire: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    response = await open_line.post(
        body, headers={"mcp-protocol-version": wire, "mcp-method": "tools/list", **headers}
    )
    assert response.status_code == status, response.text
    if status == 400 and body != b"[]":
        assert response.json()["error"]["data"]["code"] == "invalid_json"


@pytest.mark.contract("FACE-11", "THR-2")
async def test_a_session_serves_who_opened_it(tmp_path: Path) -> None:
    async with line(tmp_path, authenticator=Keys()) as found, httpx.AsyncClient(timeout=20) as client:
        session = await Session(found, client).open(**{"x-api-key": "ann"})
        assert (await session.post("tools/list", id=1)).status_code == 200
        session.headers["x-api-key"] = "bob"
        theirs = await session.post("tools/list", id=2)
        session.headers["mcp-session-id"] = "0" * 32
        never = await session.post("tools/list", id=2)
        assert (
            (theirs.status_code, theirs.content) == (never.status_code, never.content) == (404, never.content)
        )


@pytest.mark.contract("FACE-11", "RUN-5")
async def test_a_client_that_closes_a_stateless_call_cancels_its_run(open_line: Line) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        params: dict[str, Any] = {"name": "hold", "arguments": {}}
        body = message("tools/call", params, progress="p")
        headers = {**ACCEPT, **routing("tools/call", params)}
        async with client.stream("POST", open_line.url, json=body, headers=headers) as response:
            async for _ in response.aiter_raw():
                break
    run = await the_run(open_line, lambda run: run.status in TERMINAL)
    assert run.status == "cancelled"


@pytest.mark.contract("FACE-11", "RUN-2")
async def test_a_broken_connection_on_the_older_wire_changes_nothing(open_line: Line) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        session = await Session(open_line, client).open()
        call = {"name": "hold", "arguments": {}, "_meta": {"progressToken": "p"}}
        body = session.body("tools/call", call, id=7)
        async with client.stream("POST", open_line.url, json=body, headers=session.headers) as response:
            async for _ in response.aiter_raw():
                break
        run = await the_run(open_line, lambda run: run.status == "running")
        await asyncio.sleep(0.3)
        assert (await open_line.run(run.id)).status == "running"
        # Taken back with the protocol's own word, and not before.
        await session.post("notifications/cancelled", {"requestId": 7})
        await the_run(open_line, lambda run: run.status == "cancelled")


@pytest.mark.contract("FACE-11", "RUN-2")
async def test_ending_a_session_ends_no_run(open_line: Line) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        session = await Session(open_line, client).open()
        call = {"name": "hold", "arguments": {}, "_meta": {"progressToken": "p"}}
        body = session.body("tools/call", call, id=7)
        async with client.stream("POST", open_line.url, json=body, headers=session.headers) as response:
            async for _ in response.aiter_raw():
                break
        run = await the_run(open_line, lambda run: run.status == "running")
        assert (await client.delete(open_line.url, headers=session.headers)).status_code == 200
        assert (await session.post("tools/list", id=8)).status_code == 404
        await asyncio.sleep(0.3)
        assert (await open_line.run(run.id)).status == "running"


@pytest.mark.contract("FACE-11", "REL-4")
@pytest.mark.parametrize("streams", [True, False])
async def test_a_stop_is_said_with_the_run_that_goes_on(open_line: Line, streams: bool) -> None:
    call = asyncio.create_task(open_line.call("hold", {}, progress="p" if streams else None))
    run = await the_run(open_line, lambda run: run.status == "running")
    await asyncio.sleep(0.1)
    open_line.landline.drain.start()
    error = (await call).error
    assert error["data"] == {"code": "draining", "run_id": run.id}
    assert (await open_line.run(run.id)).status == "running"
    await open_line.landline.runs.cancel(LOCAL, run.id)


@pytest.mark.contract("FACE-11", "REL-4")
async def test_a_signal_ends_no_stream_of_the_older_wire_before_its_time(serve: Serve) -> None:
    """The protocol's package would end them at the signal, while the run still has its grace time."""
    server = serve(grace_s=1.0, faces="native,mcp")
    await server.start()
    began = asyncio.Event()

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        began.set()

    async with Client(f"http://127.0.0.1:{server.port}/mcp", mode="legacy") as client:
        call = asyncio.create_task(client.call_tool("hold", {"message": "x"}, progress_callback=tell))
        await asyncio.wait_for(began.wait(), 20)
        stopped = asyncio.create_task(server.process.stop())
        with pytest.raises(MCPError) as told:
            await call
        assert await stopped == 0
    assert told.value.data["code"] == "draining"
    assert told.value.data["run_id"]


@pytest.mark.contract("FACE-11", "FACE-15")
async def test_silence_is_filled_with_comments(open_line: Line) -> None:
    params: dict[str, Any] = {"name": "hold", "arguments": {}}
    seen = b""
    async with (
        httpx.AsyncClient(timeout=20) as client,
        client.stream(
            "POST", open_line.url, json=message("tools/call", params, progress="p"),
            headers={**ACCEPT, **routing("tools/call", params)},
        ) as response,
    ):  # fmt: skip
        assert response.headers["x-accel-buffering"] == "no"
        async for piece in response.aiter_raw():
            seen += piece
            if seen.count(b": hb\n\n") == 2:
                break


@pytest.mark.contract("FACE-11", "TRU-19")
async def test_a_state_leads_to_the_callers_own_runs_only(tmp_path: Path) -> None:
    async with line(tmp_path, authenticator=Keys()) as found:
        ann, bob = {"x-api-key": "ann"}, {"x-api-key": "bob"}
        asked = await found.call("asks", {"message": "x"}, capabilities=FORMS, headers=ann)
        state = asked.result["requestState"]
        (key,) = asked.result["inputRequests"]
        answers = {key: {"action": "accept", "content": {"answer": "Eve"}}}
        run_id = asked.result["_meta"]["landline/run_id"]
        for tool, headers, wrong in (
            ("asks", bob, state),
            ("echo", ann, state),
            ("asks", ann, f"{state}-TAMPERED"),
            ("asks", ann, f"{'0' * 36}.4"),
        ):
            tried = await found.call(
                tool, {"message": "x"}, capabilities=FORMS, headers=headers,
                params={"requestState": wrong, "inputResponses": answers},
            )  # fmt: skip
            assert tried.error == {"code": -32602, "message": "Invalid or expired requestState"}
        assert (await found.run(run_id, "ann")).status == "waiting"
        good = {"requestState": state, "inputResponses": answers}
        second = await found.call("asks", {"message": "x"}, capabilities=FORMS, headers=ann, params=good)
        assert second.result["requestState"] != state
        # The same again, as by a client that did not get the answer: nothing is answered twice.
        again = await found.call("asks", {"message": "x"}, capabilities=FORMS, headers=ann, params=good)
        assert again.result["inputRequests"] == second.result["inputRequests"]


@pytest.mark.contract("FACE-11", "TRU-19")
async def test_an_approval_before_the_question_is_none(open_line: Line) -> None:
    given = {"approve": {"action": "accept", "content": {"approve": True}}}
    asked = await open_line.call(
        "eraser", {"message": "x"}, capabilities=FORMS, params={"inputResponses": given}
    )
    (key,) = asked.result["inputRequests"]
    run = await open_line.run(asked.result["_meta"]["landline/run_id"])
    assert (run.status, key) == ("waiting", run.questions[0].question_id)


@pytest.mark.contract("FACE-11", "EVT-4")
async def test_who_comes_back_with_an_answer_is_told_only_what_is_new(open_line: Line) -> None:
    asked = await open_line.call("eraser", {"message": "x"}, capabilities=FORMS, progress="p1")
    (key,) = asked.result["inputRequests"]
    given = {key: {"action": "accept", "content": {"approve": True}}}
    state = {"requestState": asked.result["requestState"], "inputResponses": given}
    done = await open_line.call("eraser", {"message": "x"}, capabilities=FORMS, progress="p2", params=state)
    said = [[told["params"]["message"] for told in answer.notifications] for answer in (asked, done)]
    assert said == [
        ["Writing", "Asking: Allow erase?"],
        ["Going on", "Calling erase", "erase is done", "Writing"],
    ]


@pytest.mark.contract("FACE-11", "EVT-4")
async def test_a_state_survives_a_restart(tmp_path: Path) -> None:
    async with line(tmp_path) as found:
        asked = await found.call("eraser", {"message": "x"}, capabilities=FORMS)
    async with line(tmp_path) as found:
        (key,) = asked.result["inputRequests"]
        given = {"inputResponses": {key: {"action": "accept", "content": {"approve": True}}}}
        done = await found.call(
            "eraser", {"message": "x"}, capabilities=FORMS,
            params={**given, "requestState": asked.result["requestState"]},
        )  # fmt: skip
        assert done.result["structuredContent"]["output"] == "Let me see. Erased x."


@pytest.mark.contract("FACE-11", "THR-9")
async def test_files_go_in_as_base64_and_come_out_as_blocks(tmp_path: Path) -> None:
    instance = everything(tmp_path)
    async with served(instance.app) as address:
        found = Line(instance, address)
        image = await found.call("test_image_content")
        assert image.result["content"] == [{"type": "image", "data": PIXEL, "mimeType": "image/png"}]
        mixed = await found.call("test_multiple_content_types")
        assert [block["type"] for block in mixed.result["content"]] == ["text", "image", "resource"]
        assert mixed.result["content"][2]["resource"]["uri"].startswith("landline://files/")
        sound = await found.call("test_audio_content")
        assert sound.result["content"][0]["mimeType"] == "audio/wav"
        refused = await found.call("test_simple_text", {"files": [{"name": "a.png", "data": PIXEL}]})
        assert "takes no image/png" in refused.result["content"][0]["text"]
        wrong = await found.call(
            "test_simple_text", {"files": [{"name": "a", "data": "https://example.com/a"}]}
        )
        assert "base64" in wrong.result["content"][0]["text"]


@pytest.mark.contract("FACE-16")
async def test_the_suites_agents_really_answer(tmp_path: Path) -> None:
    """The public suite takes any result for one; here it is the right one."""
    instance = everything(tmp_path)
    async with served(instance.app) as address:
        found = Line(instance, address)
        asked = await found.call("test_input_required_result_elicitation", capabilities=FORMS)
        assert list(asked.result["inputRequests"]) == ["user_name"]
        given = {"user_name": {"action": "accept", "content": {"name": "Ada"}}}
        done = await found.call(
            "test_input_required_result_elicitation", capabilities=FORMS,
            params={"inputResponses": given, "requestState": asked.result["requestState"]},
        )  # fmt: skip
        assert done.result["content"][0]["text"] == "Hello, Ada!"
        at_once = await found.call(
            "test_input_required_result_elicitation", capabilities=FORMS, params={"inputResponses": given}
        )
        assert at_once.result["content"][0]["text"] == "Hello, Ada!"
        answers: dict[str, Any] = {}
        for step, field, value in (("step1", "name", "Ada"), ("step2", "color", "blue")):
            asked = await found.call(
                "test_input_required_result_multi_round", capabilities=FORMS, params=answers
            )
            assert list(asked.result["inputRequests"]) == [step]
            filled = {step: {"action": "accept", "content": {field: value}}}
            answers = {"inputResponses": filled, "requestState": asked.result["requestState"]}
        done = await found.call("test_input_required_result_multi_round", capabilities=FORMS, params=answers)
        assert done.result["content"][0]["text"] == "Ada likes blue."


async def test_routes_of_the_host_are_tools_with_the_callers_own_credential(tmp_path: Path) -> None:
    host = FastAPI()

    @host.get("/notes/{note_id}", tags=["notes"], operation_id="get_note", summary="Get a note")
    async def get(note_id: int, x_api_key: Annotated[str | None, Header()] = None) -> dict[str, Any]:
        if x_api_key != "ann":
            raise HTTPException(403, "Not yours.")
        return {"id": note_id, "owner": x_api_key}

    @host.delete("/notes/{note_id}", tags=["notes", "admin"], operation_id="purge_note")
    async def purge(note_id: int) -> None:
        raise AssertionError("an admin's route was called")

    instance = Landline(
        agents(), authenticator=Keys(), data=tmp_path, faces=("native", "mcp"),
        host_routes=landline.mcp_routes(host, tags=["notes"]),
    )  # fmt: skip
    host.include_router(instance.router)
    async with served(host) as address:
        found = Line(instance, address)
        ann, bob = {"x-api-key": "ann"}, {"x-api-key": "bob"}
        tools = {tool["name"]: tool for tool in (await found.ask("tools/list", headers=ann)).result["tools"]}
        assert tools["get_note"]["annotations"]["readOnlyHint"]
        assert "purge_note" not in tools
        mine = await found.call("get_note", {"note_id": 4}, headers=ann)
        assert mine.result["structuredContent"] == {"id": 4, "owner": "ann"}
        theirs = await found.call("get_note", {"note_id": 4}, headers=bob)
        assert (theirs.result["isError"], theirs.result["content"][0]["text"]) == (True, "HTTP 403")
        assert (await found.call("purge_note", {"note_id": 4}, headers=ann)).error["code"] == -32602
        assert (await found.call("echo", {"message": "x"}, headers=ann)).result["content"][0]["text"] == "x"


async def test_without_the_apps_lifespan_it_says_so(tmp_path: Path) -> None:
    instance = Landline(agents(), open=True, data=tmp_path, faces=("mcp",))
    transport = httpx.ASGITransport(app=instance.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        response = await client.post("/mcp", json=message("tools/list"), headers=ACCEPT)
    assert (response.status_code, response.json()["error"]["data"]["code"]) == (503, "unavailable")
