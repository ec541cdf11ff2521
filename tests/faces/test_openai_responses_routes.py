"""Responses over HTTP with fakes behind: whose they are, who may, leaving, draining, and a crash in mid-message."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from landline.faces.openai import face
from landline.faces.openai.responses_socket import ResponsesSocket
from landline.faces.openai.responses_turn import Responses
from landline.model.callers import LOCAL
from landline.model.events import (
    MessageCompleted,
    MessageStarted,
    QuestionAsked,
    RunCompleted,
    RunResumed,
    RunWaiting,
    TextDelta,
)
from landline.model.runs import Question, Usage
from landline.testing.faces.openai_responses import check_stream
from landline.web import problems
from landline.web.door import Door
from landline.web.guard import Guard
from landline.web.route import assert_declared
from landline.web.websocket import ClosedSocket
from tests.faces.fakes import FakeAuthenticator, World, native_ports
from tests.faces.serving import served

RESPONSES = "/v1/responses"

pytestmark = pytest.mark.contract("FACE-7")


def app_of(world: World, door: Door | None = None) -> ASGIApp:
    ports = native_ports(world, **({"door": door} if door else {}))
    app = FastAPI(openapi_url=None)
    app.include_router(face(ports))
    problems.install(app)
    assert_declared(app)
    return Guard(app, door=ports.door)


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app_of(world))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as made:
        yield made


@pytest.fixture
async def keyed(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app_of(world, Door(authenticator=FakeAuthenticator(open_=False))))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as made:
        yield made


async def create(
    client: httpx.AsyncClient, headers: dict[str, str] | None = None, **body: Any
) -> httpx.Response:
    return await client.post(RESPONSES, json={"model": "notes", "input": "Hi", **body}, headers=headers)


@pytest.mark.contract("THR-2")
async def test_anothers_response_is_no_response(keyed: httpx.AsyncClient) -> None:
    mine, other = {"x-api-key": "key-local"}, {"x-api-key": "key-other"}
    made = (await create(keyed, mine)).json()
    for method, path in (
        ("GET", ""), ("GET", "?stream=true"), ("GET", "/input_items"), ("POST", "/cancel"), ("DELETE", ""),
    ):  # fmt: skip
        theirs = await keyed.request(method, f"{RESPONSES}/{made['id']}{path}", headers=other)
        nobodys = await keyed.request(method, f"{RESPONSES}/resp_x{path}", headers=other)
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.text.replace(made["id"], "resp_x") == nobodys.text
    follows = await create(keyed, other, previous_response_id=made["id"])
    assert follows.json()["error"]["code"] == "previous_response_not_found"
    assert (await keyed.get(f"{RESPONSES}/{made['id']}", headers=mine)).json() == made


@pytest.mark.contract("TRU-5")
async def test_a_reader_may_read_only(keyed: httpx.AsyncClient) -> None:
    reader = {"authorization": "Bearer key-reader"}
    refused = await create(keyed, reader)
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")
    assert (await keyed.get(RESPONSES + "/resp_x")).status_code == 401
    runner = {"authorization": "Bearer key-runner"}
    made = (await create(keyed, runner)).json()
    body = {"model": "notes", "previous_response_id": made["id"]}
    packed = await keyed.post(RESPONSES + "/compact", json=body, headers=runner)
    assert packed.status_code == 403, "a window is the thread's messages, packed"


@pytest.mark.contract("TRU-5", "RUN-5")
async def test_a_reader_cancels_and_deletes_nothing(keyed: httpx.AsyncClient, world: World) -> None:
    world.finish = False
    made = (await create(keyed, {"x-api-key": "key-local"}, background=True)).json()
    reader = {"x-api-key": "key-reader"}
    for method, path in (("POST", "/cancel"), ("DELETE", "")):
        refused = await keyed.request(method, f"{RESPONSES}/{made['id']}{path}", headers=reader)
        assert refused.status_code == 403
    assert not world.cancelled
    assert (await keyed.get(f"{RESPONSES}/{made['id']}", headers=reader)).json()["status"] == "in_progress"


@pytest.mark.contract("TRU-5", "RUN-8")
@pytest.mark.parametrize("kind", ["approval", "input"])
async def test_who_may_run_agents_may_not_answer_for_people(
    keyed: httpx.AsyncClient, world: World, kind: Literal["approval", "input"]
) -> None:
    world.finish = False
    runner = {"x-api-key": "key-runner"}
    made = (await create(keyed, runner, background=True)).json()
    run_id = made["id"].removeprefix("resp_")
    asked, _ = world.write(
        run_id,
        QuestionAsked(question_id="q", kind=kind, prompt="Well?"),
        RunWaiting(questions=[Question(question_id="q", kind=kind, prompt="Well?")]),
    )
    place = f"mcpr_{run_id.replace('-', '')}_{asked.seq}"
    approval = [{"type": "mcp_approval_response", "approval_request_id": place, "approve": True}]
    given = approval if kind == "approval" else "Yes"
    refused = await create(keyed, runner, previous_response_id=made["id"], input=given)
    assert (refused.status_code, "approvals:answer" in refused.text) == (403, True)
    assert world.run_rows[run_id].status == "waiting"
    taken = await create(keyed, {"x-api-key": "key-local"}, previous_response_id=made["id"], input=given)
    assert (taken.status_code, world.run_rows[run_id].status) == (200, "completed")


async def test_all_calls_of_the_clients_that_wait_need_their_outputs(
    client: httpx.AsyncClient, world: World
) -> None:
    world.finish = False
    made = (await create(client, background=True)).json()
    run_id = made["id"].removeprefix("resp_")
    calls = [
        QuestionAsked(question_id=name, kind="input", prompt="", tool=name, call_id=name, client=True)
        for name in ("look", "hear")
    ]
    open_ = [
        Question(question_id=c.question_id, kind="input", prompt="", tool=c.tool, client=True) for c in calls
    ]
    *asked, _ = world.write(run_id, *calls, RunWaiting(questions=open_))
    given = [
        {
            "type": "function_call_output",
            "call_id": f"call_{run_id.replace('-', '')}_{one.seq}",
            "output": "x",
        }
        for one in asked
    ]
    for some in (given[:1], given[1:], [given[0], given[0]]):
        refused = await create(client, previous_response_id=made["id"], input=some)
        assert (refused.status_code, "No tool output found" in refused.text) == (400, True)
        assert world.run_rows[run_id].status == "waiting"
    assert (await create(client, previous_response_id=made["id"], input=given)).status_code == 200


async def test_a_repeat_with_the_same_key_is_the_same_response(
    client: httpx.AsyncClient, world: World
) -> None:
    key = {"idempotency-key": "k1"}
    first = await create(client, key)
    assert (await create(client, key)).json() == first.json()
    streamed = await create(client, key, stream=True)
    assert check_stream(streamed.text).response == first.json()
    assert len(world.started) == 1
    assert (await create(client, key, input="other")).status_code == 400


async def test_a_failed_response_is_not_worth_a_retry(client: httpx.AsyncClient) -> None:
    body = await client.post(RESPONSES, json={"model": "notes", "input": "Hi", "temperature": 3})
    assert (body.status_code, body.json()["error"]["param"]) == (400, "temperature")
    assert (await client.post(RESPONSES, content=b"{", headers={"content-type": "application/json"})).json()["error"]["code"] == "invalid_json"  # fmt: skip


def unfinished(world: World, run_id: str, *, name: str = "m1") -> None:
    world.write(
        run_id, MessageStarted(message_id=name, role="assistant"), TextDelta(message_id=name, delta="Hal")
    )


@pytest.mark.contract("EVT-6", "FACE-17")
async def test_after_a_crash_the_stream_ends_with_an_error_and_a_new_read_is_whole(world: World) -> None:
    world.finish = False
    door = Door(authenticator=FakeAuthenticator())
    async with (
        served(app_of(world, door)) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as client,
    ):
        asking = asyncio.create_task(create(client, stream=True))
        await world.until(lambda: world.run_rows)
        (run_id,) = world.run_rows
        unfinished(world, run_id)
        await world.until(lambda: world.following)
        await asyncio.sleep(0.2)
        world.write(run_id, RunResumed(attempt=2, reason="recovered", drop_message_id="m1"))
        broken = check_stream((await asking).text)
        assert broken.error is not None
        assert broken.error["code"] == "message_rewritten"
        world.write(
            run_id,
            MessageStarted(message_id="m2", role="assistant"),
            TextDelta(message_id="m2", delta="Whole"),
            MessageCompleted(message_id="m2", text="Whole"),
            RunCompleted(output="Whole", message_id="m2", usage=Usage()),
        )
        path = f"{RESPONSES}/resp_{run_id}"
        anew = check_stream((await client.get(f"{path}?stream=true")).text)
        assert anew.text == "Whole"
        assert (await client.get(path)).json() == anew.response
        seen = broken.events[-2]["sequence_number"]
        stale = await client.get(f"{path}?stream=true&starting_after={seen}")
        assert (stale.status_code, stale.json()["error"]["code"]) == (400, "message_rewritten")
        rest = await client.get(f"{path}?stream=true&starting_after=1")
        assert check_stream(rest.text, starting_after=1).text == "Whole"


@pytest.mark.parametrize("store", [True, False])
async def test_who_leaves_a_stored_response_changes_nothing_and_one_that_is_not_is_cancelled(
    world: World, store: bool
) -> None:
    world.finish = False
    async with served(app_of(world)) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
        for stream in (True, False):
            body = {"model": "notes", "input": "Hi", "store": store, "stream": stream}
            asking = asyncio.create_task(client.post(RESPONSES, json=body))
            known = set(world.run_rows)
            await world.until(lambda known=known: set(world.run_rows) - known and world.following)
            (run_id,) = set(world.run_rows) - known
            asking.cancel()
            await world.until(lambda: not world.following)
            if not store:
                await world.until(lambda run_id=run_id: run_id in world.cancelled)
            assert (run_id in world.cancelled) is not store


@pytest.mark.contract("FACE-15")
async def test_a_drain_cuts_the_stream_without_an_event_and_it_is_read_on(world: World) -> None:
    world.finish = False
    door = Door(authenticator=FakeAuthenticator(), heartbeat_s=0.05)
    async with (
        served(app_of(world, door)) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as client,
    ):
        asking = asyncio.create_task(create(client, stream=True))
        await world.until(lambda: world.following)
        (run_id,) = world.run_rows
        unfinished(world, run_id)
        await asyncio.sleep(0.2)
        door.drain.start()
        cut = await asking
        assert ": hb" in cut.text
        assert "retry: 1000" in cut.text
        seen = check_stream(cut.text, whole=False).events
        assert seen[-1]["type"] == "response.output_text.delta"
        stopped = await create(client, store=False)
        assert stopped.status_code == 503
        assert json.loads(stopped.text)["error"]["code"] == "draining"


@pytest.mark.contract("FACE-5")
async def test_a_socket_that_is_too_old_says_so_and_closes(world: World) -> None:
    told: list[dict[str, Any]] = []

    class Silent:
        caller = LOCAL

        async def receive(self) -> bytes:
            await asyncio.Event().wait()
            return b""

        async def send(self, *messages: bytes) -> None:
            told.extend(json.loads(message) for message in messages)

    socket: Any = Silent()
    with pytest.raises(BaseExceptionGroup) as closed:
        await ResponsesSocket(socket, Responses(native_ports(world)), {}, max_age_s=0.05).serve()
    assert isinstance(closed.value.exceptions[0], ClosedSocket)
    assert [event["error"]["code"] for event in told] == ["websocket_connection_limit_reached"]


async def test_somebody_elses_calls_are_not_answered(keyed: httpx.AsyncClient, world: World) -> None:
    made = (await create(keyed, {"x-api-key": "key-local"})).json()
    short = made["id"].removeprefix("resp_").replace("-", "")
    for call in (f"call_{short}_3", f"call_{short}_99", "call_x", f"call_{'0' * 32}_1"):
        given = [{"type": "function_call_output", "call_id": call, "output": "x"}]
        for key in ("key-local", "key-other"):
            refused = await create(keyed, {"x-api-key": key}, input=given)
            assert refused.status_code == 400
            assert refused.json()["error"]["message"].startswith("input.0: No tool call found")
