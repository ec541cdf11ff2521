"""The WebSocket: admission, subscriptions that last, operations, refusals, drain."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from starlette.requests import Request
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from landline.model.callers import LOCAL, Caller
from landline.model.errors import Forbidden
from landline.model.events import QuestionAsked, RunWaiting, TextDelta
from landline.model.ids import new_id
from landline.model.runs import Question
from landline.web.door import Door
from tests.faces.fakes import FakeAuthenticator, World, native_ports
from tests.faces.serving import build_app, served

pytestmark = pytest.mark.contract("FACE-5", "WIRE-5")


@pytest.fixture
async def socket(live: tuple[str, Door]) -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://{live[0]}/api/v1/ws") as found:
        yield found


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        return json.loads(await socket.recv())


async def ask(socket: ClientConnection, **message: Any) -> dict[str, Any]:
    await say(socket, **message)
    return await hear(socket)


async def until(socket: ClientConnection, type_: str) -> list[dict[str, Any]]:
    found = [await hear(socket)]
    while found[-1]["type"] != type_:
        found.append(await hear(socket))
    return found


async def test_a_started_run_is_followed_over_its_questions_to_its_end(
    socket: ClientConnection, world: World
) -> None:
    world.finish = False
    ack = await ask(socket, op="start", ref=1, input="Hello", subscribe=True)
    assert (ack["type"], ack["ref"], ack["run"]["status"]) == ("ack", 1, "running")
    run_id = ack["run_id"]
    asked = Question(question_id=new_id(), kind="approval", prompt="Really?")
    ask_event = QuestionAsked(question_id=asked.question_id, kind="approval", prompt="Really?")
    world.write(run_id, ask_event, RunWaiting(questions=[asked]))
    before = await until(socket, "run.waiting")
    answers = [{"question_id": asked.question_id, "approve": True}]
    await say(socket, op="answer", ref="a", run_id=run_id, answers=answers)
    after = await until(socket, "run.completed")
    events = [one for one in before + after if "seq" in one]
    assert [one["seq"] for one in events] == list(range(1, len(world.logs[run_id]) + 1))
    assert events == [json.loads(event.wire) for event in world.logs[run_id]]
    if not any(one["type"] == "ack" for one in after):
        assert (await hear(socket))["type"] == "ack"


async def test_a_run_is_followed_from_a_cursor(socket: ClientConnection, world: World) -> None:
    run_id = (await ask(socket, op="start", ref=1, input="Hello"))["run_id"]
    ack = await ask(socket, op="subscribe", ref=2, run_id=run_id, after=3)
    assert (ack["type"], ack["status"]) == ("ack", "completed")
    events = await until(socket, "run.completed")
    assert events[0]["seq"] == 4
    ack = await ask(socket, op="subscribe", ref=3, run_id=run_id, after=events[-1]["seq"])
    assert ack["type"] == "ack"
    assert (await ask(socket, op="ping", ref=4)) == {"type": "pong", "ref": 4}


async def test_a_thread_is_followed_through_its_later_runs(socket: ClientConnection, world: World) -> None:
    world.finish = False
    first = await ask(socket, op="start", ref=1, input="a")
    thread_id = first["thread_id"]
    assert (await ask(socket, op="subscribe", ref=2, thread_id=thread_id))["type"] == "ack"
    world.complete(first["run_id"], "one")
    assert {e["run_id"] for e in await until(socket, "run.completed")} == {first["run_id"]}
    world.finish = True
    await say(socket, op="start", ref=3, input="b", thread_id=thread_id)
    events = [one for one in await until(socket, "run.completed") if one["type"] != "ack"]
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))


async def test_a_reader_of_a_thread_comes_back_and_misses_no_run(
    socket: ClientConnection, world: World
) -> None:
    first = await ask(socket, op="start", ref=1, input="a")
    second = await ask(socket, op="start", ref=2, input="b", thread_id=first["thread_id"])
    await say(socket, op="subscribe", ref=3, thread_id=first["thread_id"], run_id=first["run_id"], after=2)
    events = [
        one
        for one in await until(socket, "run.completed") + await until(socket, "run.completed")
        if "seq" in one
    ]
    assert [(e["run_id"], e["seq"]) for e in events] == [
        *((first["run_id"], seq) for seq in range(3, 7)),
        *((second["run_id"], seq) for seq in range(1, 7)),
    ]


async def test_unsubscribing_ends_the_events(socket: ClientConnection, world: World) -> None:
    world.finish = False
    run_id = (await ask(socket, op="start", ref=1, input="a"))["run_id"]
    await say(socket, op="subscribe", ref=2, run_id=run_id)
    await until(socket, "run.started")
    assert (await ask(socket, op="unsubscribe", ref=3, run_id=run_id)) == {
        "type": "ack",
        "ref": 3,
        "op": "unsubscribe",
        "run_id": run_id,
    }
    await world.until(lambda: not world.following)
    world.write(run_id, TextDelta(message_id="m", delta="unheard"))
    assert (await ask(socket, op="ping", ref=4))["type"] == "pong"
    assert (await ask(socket, op="unsubscribe", ref=5, run_id=run_id))["code"] == "not_found"


async def test_cancel_and_steer(socket: ClientConnection, world: World) -> None:
    world.finish = False
    run_id = (await ask(socket, op="start", ref=1, input="a"))["run_id"]
    await ask(socket, op="steer", ref=2, run_id=run_id, input="more")
    assert (world.started[-1].on_busy, world.started[-1].agent) == ("steer", "notes")
    ahead = world.run_rows[run_id]
    world.run_rows[run_id] = msgspec.structs.replace(ahead, status="queued")
    assert (await ask(socket, op="steer", ref=5, run_id=run_id, input="more"))["code"] == "run_queued"
    world.run_rows[run_id] = ahead
    ack = await ask(socket, op="cancel", ref=3, run_id=run_id)
    assert ack["run"]["status"] == "cancelled"
    assert (await ask(socket, op="steer", ref=4, run_id=run_id, input="more"))["code"] == "run_ended"


async def test_a_start_is_made_once_per_key(socket: ClientConnection, world: World) -> None:
    first = await ask(socket, op="start", ref=1, input="a", idempotency_key="k")
    again = await ask(socket, op="start", ref=2, input="a", idempotency_key="k", subscribe=False)
    assert (again["run_id"], again["replayed"]) == (first["run_id"], True)
    assert (await ask(socket, op="start", ref=3, input="b", idempotency_key="k"))["type"] == "error"


@pytest.mark.contract("TRU-1", "TRU-5")
async def test_a_start_that_cannot_be_followed_starts_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landline.faces.native.socket._MOST_SUBSCRIPTIONS", 1)
    world.finish = False
    async with (
        served(build_app(native_ports(world))[1]) as address,
        connect(f"ws://{address}/api/v1/ws") as socket,
    ):
        await ask(socket, op="start", ref=1, input="a", subscribe=True)
        await until(socket, "run.started")
        told = await ask(socket, op="start", ref=2, input="b", subscribe=True)
        assert (told["type"], told["ref"], told["code"]) == ("error", 2, "too_many_subscriptions")
        assert len(world.started) == 1
        assert (await ask(socket, op="start", ref=3, input="c"))["type"] == "ack"


@pytest.mark.contract("AGT-6", "TRU-5")
async def test_the_hosts_context_is_asked_for_at_every_start(world: World) -> None:
    asked: list[Request] = []

    async def context(request: Request, caller: Caller) -> dict[str, str]:
        assert caller == LOCAL
        assert (request.method, await request.body()) == ("GET", b"")
        asked.append(request)
        if request.headers.get("x-team") != "blue":
            raise Forbidden("not yours", code="refused_by_host")
        return {"team": request.headers["x-team"]}

    async with served(build_app(native_ports(world, context=context))[1]) as address:
        url = f"ws://{address}/api/v1/ws"
        async with connect(url) as socket:
            told = await ask(socket, op="start", ref=1, input="a", subscribe=True)
            assert (told["type"], told["code"], told["detail"]) == ("error", "refused_by_host", "not yours")
            assert not world.started
        async with connect(url, additional_headers={"x-team": "blue"}) as socket:
            told = await ask(socket, op="start", ref=1, input="a", context={"team": "red"})
            assert (told["type"], told["code"]) == ("error", "unsupported")
            for ref in (2, 3):
                assert (await ask(socket, op="start", ref=ref, input="a"))["type"] == "ack"
        assert [(run.has_context, run.context) for run in world.started] == [(True, {"team": "blue"})] * 2
        assert len(asked) == 3


REFUSED = [
    ("{", "invalid_json", None),
    ('{"op":"ping","ref":1,"ref":2}', "invalid_json", None),
    ('{"op":"ping","ref":NaN}', "invalid_json", None),
    ("[]", "invalid_request", None),
    ('{"ref":7}', "invalid_request", 7),
    ('{"op":"fly","ref":7}', "invalid_request", 7),
    ('{"op":"ping","ref":7,"more":1}', "invalid_request", 7),
    ('{"op":"subscribe","ref":7}', "invalid_request", 7),
    ('{"op":"subscribe","ref":7,"run_id":"x"}', "not_found", 7),
    ('{"op":"subscribe","ref":7,"thread_id":"x"}', "not_found", 7),
    ('{"op":"subscribe","ref":7,"run_id":"x","after":-1}', "invalid_request", 7),
    ('{"op":"start","ref":7}', "invalid_request", 7),
    ('{"op":"start","ref":7,"input":"a","mode":"wait"}', "invalid_request", 7),
    ('{"op":"answer","ref":7,"run_id":"x","answers":[]}', "invalid_request", 7),
    ('{"op":"cancel","ref":7,"run_id":"x"}', "not_found", 7),
]


@pytest.mark.contract("TRU-11")
async def test_what_does_not_fit_is_told_under_its_ref(socket: ClientConnection) -> None:
    for message, code, ref in REFUSED:
        await socket.send(message)
        told = await hear(socket)
        assert (told["type"], told["code"], told["ref"]) == ("error", code, ref), message
        assert (await ask(socket, op="ping", ref=0))["type"] == "pong"


async def closed(socket: ClientConnection) -> tuple[int, str]:
    async with asyncio.timeout(5):
        await socket.wait_closed()
    return socket.close_code or 0, socket.close_reason or ""


@pytest.mark.contract("TRU-12")
async def test_binary_and_oversized_messages_close_the_socket_with_a_reason(live: tuple[str, Door]) -> None:
    async with connect(f"ws://{live[0]}/api/v1/ws") as socket:
        await socket.send(b"{}")
        code, reason = await closed(socket)
        assert code == 1003
        assert "binary" in reason
    async with connect(f"ws://{live[0]}/api/v1/ws") as socket:
        await socket.send('{"op":"ping","ref":"' + "a" * 1_100_000 + '"}')
        assert (await closed(socket))[0] == 1009


@pytest.mark.contract("REL-4")
async def test_drain_closes_sockets_with_1012(live: tuple[str, Door], world: World) -> None:
    world.finish = False
    async with connect(f"ws://{live[0]}/api/v1/ws") as socket:
        await ask(socket, op="start", ref=1, input="a", subscribe=True)
        live[1].drain.start()
        assert await closed(socket) == (1012, "drain")
    await world.until(lambda: not world.following)


async def test_a_client_that_leaves_takes_its_subscriptions_along(
    live: tuple[str, Door], world: World
) -> None:
    world.finish = False
    async with connect(f"ws://{live[0]}/api/v1/ws") as socket:
        await ask(socket, op="start", ref=1, input="a", subscribe=True)
        await world.until(lambda: world.following)
    await world.until(lambda: not world.following)
    assert not world.cancelled


@pytest.mark.contract("TRU-13")
async def test_a_page_of_another_origin_is_refused_before_accept(live: tuple[str, Door]) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example"):
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://{live[0]}/api/v1/ws", origin=origin)  # type: ignore[arg-type] - a NewType of str
        assert caught.value.response.status_code == 403
    async with connect(f"ws://{live[0]}/api/v1/ws", origin=f"http://{live[0]}") as socket:  # type: ignore[arg-type] - a NewType of str
        assert (await ask(socket, op="ping"))["type"] == "pong"


@pytest.mark.contract("TRU-1", "TRU-5")
async def test_a_socket_is_authenticated_before_accept_and_each_operation_needs_its_scope(
    world: World,
) -> None:
    _, app = build_app(native_ports(world, door=Door(authenticator=FakeAuthenticator(open_=False))))
    async with served(app) as address:
        for headers in ({}, {"X-API-Key": "wrong"}):
            with pytest.raises(InvalidStatus) as caught:
                await connect(f"ws://{address}/api/v1/ws", additional_headers=headers)
            assert caught.value.response.status_code == 401
            assert json.loads(caught.value.response.body or b"")["code"] == "unauthenticated"
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://{address}/api/v1/ws?api_key=key-local")
        assert caught.value.response.status_code == 400
        async with connect(
            f"ws://{address}/api/v1/ws", additional_headers={"X-API-Key": "key-reader"}
        ) as socket:
            assert (await ask(socket, op="start", ref=1, input="a"))["code"] == "missing_scope"
            assert (await ask(socket, op="answer", ref=1, run_id="x", answers=[{"question_id": "q"}]))[
                "code"
            ] == "missing_scope"


@pytest.mark.contract("EVT-5")
async def test_a_busy_subscription_does_not_starve_another(socket: ClientConnection, world: World) -> None:
    world.finish = False
    busy = (await ask(socket, op="start", ref=1, input="a"))["run_id"]
    calm = (await ask(socket, op="start", ref=2, input="b"))["run_id"]
    for _ in range(3000):
        world.write(busy, TextDelta(message_id="m", delta="x" * 100))
    await say(socket, op="subscribe", ref=3, run_id=busy)
    await say(socket, op="subscribe", ref=4, run_id=calm)
    world.complete(calm, "done")
    heard = 0
    while (event := await hear(socket)).get("run_id") != calm or event["type"] != "run.completed":
        heard += 1
    assert heard < 2000
    socket.transport.abort()  # It is flooded: a polite goodbye would wait for all of it.


@pytest.mark.contract("WIRE-5", "WIRE-4")
async def test_the_places_of_faults_are_those_of_the_message(socket: ClientConnection) -> None:
    told = await ask(socket, op="start", ref=1, input=[{"type": "text"}])
    assert [error["loc"] for error in told["errors"]] == [["input"], ["input", 0, "text"]]
    told = await ask(socket, op="cancel", ref=2)
    assert [error["loc"] for error in told["errors"]] == [["run_id"]]
