"""The native socket with a client that strangers use (WIRE-5, FACE-5, TRU-12)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from landline.testing.grammar import check_stream
from tests.e2e.calls import LAST, Event, Server
from tests.e2e.conftest import Serve

BOUND_S = 10.0


class Socket:
    """A client of the socket that sorts what comes: events by run, and what has a ref."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[Event] = []

    async def say(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send an operation and return its ack, pong or error; events that come before it are kept."""
        ref = f"{op}-{len(self.events)}"
        await self.socket.send(json.dumps({"op": op, "ref": ref, **fields}))
        while True:
            message = await self._next()
            if message.get("ref") == ref:
                return message
            self.events.append(message)

    async def until(self, *types: str) -> list[Event]:
        """Return all events so far, once one of these types has come."""
        while not any(event["type"] in types for event in self.events):
            self.events.append(await self._next())
        return self.events

    async def _next(self) -> dict[str, Any]:
        async with asyncio.timeout(BOUND_S):
            return json.loads(await self.socket.recv())


def _url(server: Server) -> str:
    return f"ws://127.0.0.1:{server.port}/api/v1/ws"


@pytest.mark.contract("WIRE-5", "FACE-5", "EVT-9")
async def test_a_run_is_started_watched_and_pinged_over_one_socket(shared: Server) -> None:
    async with open_socket(_url(shared)) as raw:
        socket = Socket(raw)
        assert (await socket.say("ping"))["type"] == "pong"
        ack = await socket.say("start", agent="words", input=json.dumps({"words": 5}), subscribe=True)
        assert ack["type"] == "ack", ack
        events = await socket.until(*LAST)
        assert events == await shared.log(ack["run_id"])
        check_stream(events)


@pytest.mark.contract("WIRE-5", "EVT-9", "RUN-5")
async def test_a_run_of_another_door_is_watched_and_cancelled(shared: Server) -> None:
    run = await shared.run("hold", "hi")
    async with open_socket(_url(shared)) as raw:
        socket = Socket(raw)
        assert (await socket.say("subscribe", run_id=run["id"]))["type"] == "ack"
        await socket.until("text.delta")
        ack = await socket.say("cancel", run_id=run["id"])
        assert ack["type"] == "ack", ack
        events = await socket.until("run.cancelled")
        assert events == await shared.log(run["id"])


@pytest.mark.contract("WIRE-5", "RUN-8", "EVT-9")
async def test_a_question_is_answered_over_the_socket_and_the_subscription_stays(shared: Server) -> None:
    async with open_socket(_url(shared)) as raw:
        socket = Socket(raw)
        ack = await socket.say("start", agent="eraser", input="it", subscribe=True)
        waiting = (await socket.until("run.waiting"))[-1]
        answers = [
            {"question_id": question["question_id"], "approve": False} for question in waiting["questions"]
        ]
        answered = await socket.say("answer", run_id=ack["run_id"], answers=answers)
        assert answered["type"] == "ack", answered
        events = await socket.until(*LAST)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert events == await shared.log(ack["run_id"])
        assert any(event["type"] == "tool.failed" and event["error"]["code"] == "denied" for event in events)


@pytest.mark.contract("EVT-4", "WIRE-5")
async def test_a_reconnect_with_after_gives_exactly_the_rest(serve: Serve) -> None:
    """Cut in the middle, also by a restart of the server."""
    server = serve()
    await server.start()
    run = await server.run("words", {"words": 40, "pause_s": 0.02})
    seen: list[Event] = []
    for cut_after in (3, 5, 4):
        async with open_socket(_url(server)) as raw:
            socket = Socket(raw)
            await socket.say("subscribe", run_id=run["id"], after=len(seen))
            while len(socket.events) < cut_after:
                await _one(socket)
            seen += socket.events
        if cut_after == 5:
            await server.restart()
    async with open_socket(_url(server)) as raw:
        socket = Socket(raw)
        await socket.say("subscribe", run_id=run["id"], after=len(seen))
        seen += await socket.until(*LAST)
    assert seen == await server.log(run["id"])
    check_stream(seen)


async def _one(socket: Socket) -> None:
    async with asyncio.timeout(BOUND_S):
        socket.events.append(json.loads(await socket.socket.recv()))


@pytest.mark.contract("FACE-5", "WIRE-5")
async def test_a_thread_subscription_brings_its_later_runs(shared: Server) -> None:
    thread = await shared.thread("echo")
    async with open_socket(_url(shared)) as raw:
        socket = Socket(raw)
        assert (await socket.say("subscribe", thread_id=thread))["type"] == "ack"
        for number in range(3):
            answer = await shared.ask("POST", f"/threads/{thread}/runs", body={"input": f"m{number}"})
            assert answer.status == 200
        while sum(event["type"] == "run.completed" for event in socket.events) < 3:
            await _one(socket)
    outputs = [event["output"] for event in socket.events if event["type"] == "run.completed"]
    assert outputs == ["m0", "m1", "m2"]


@pytest.mark.contract("TRU-12", "FACE-5")
async def test_binary_is_refused_and_more_than_a_megabyte_closes_1009(shared: Server) -> None:
    async with open_socket(_url(shared)) as raw:
        await raw.send(b"{}")
        with pytest.raises(ConnectionClosed) as closed:
            await _drain(raw)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003
    async with open_socket(_url(shared), max_size=None) as raw:
        with pytest.raises(ConnectionClosed) as closed:
            await _drain(raw, first="x" * (1024 * 1024 + 1))
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def _drain(raw: ClientConnection, *, first: str = "") -> None:
    """Receive until the socket is closed."""
    async with asyncio.timeout(BOUND_S):
        if first:
            await raw.send(first)
        while True:
            await raw.recv()


@pytest.mark.contract("WIRE-5")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "null",
        "{}",
        '{"op":"fly"}',
        '{"op":"subscribe"}',
        '{"op":"ping","surprise":1}',
        '{"op":NaN}',
    ],
)
async def test_what_does_not_fit_is_told_and_the_socket_stays(shared: Server, text: str) -> None:
    async with open_socket(_url(shared)) as raw:
        await raw.send(text)
        socket = Socket(raw)
        await _one(socket)
        assert socket.events.pop()["type"] == "error"
        assert (await socket.say("ping"))["type"] == "pong"


@pytest.mark.contract("TRU-13")
async def test_a_page_of_a_foreign_origin_may_not_open_a_socket(shared: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(_url(shared), origin="http://evil.example"):  # type: ignore[arg-type]  # a NewType of str
            pass
    assert refused.value.response.status_code == 403


@pytest.mark.contract("REL-4", "FACE-5")
async def test_a_stop_closes_sockets_with_a_code_that_says_come_back(serve: Serve) -> None:
    server = serve()
    await server.start()
    async with open_socket(_url(server)) as raw:
        await Socket(raw).say("ping")
        stopping = asyncio.create_task(server.process.stop(timeout_s=10))
        with pytest.raises(ConnectionClosed) as closed:
            await _drain(raw)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code in (1001, 1012)
        assert await stopping == 0


@pytest.mark.contract("WIRE-5", "RUN-6", "EVT-6")
async def test_a_run_is_steered_over_the_socket_and_a_kill_loses_no_input(serve: Serve) -> None:
    server = serve()
    await server.start()
    async with open_socket(_url(server)) as raw:
        socket = Socket(raw)
        ack = await socket.say("start", agent="listener", input="go", subscribe=True)
        run_id = ack["run_id"]
        steered = await socket.say("steer", run_id=run_id, input="left")
        assert (steered["type"], steered["run_id"]) == ("ack", run_id), steered
        await socket.until("text.delta")
        assert (await socket.say("steer", run_id=run_id, input="right"))["type"] == "ack"
    server.process.kill()  # acked is on the disk, whether or not it was taken
    await server.start()
    async with open_socket(_url(server)) as raw:
        socket = Socket(raw)
        assert (await socket.say("steer", run_id=run_id, input="stop"))["type"] == "ack"
        log = await server.ended(run_id)
        assert (await socket.say("steer", run_id=run_id, input="late"))["code"] == "run_ended"
    check_stream(log)
    assert log[-1]["output"] == "[left][right][stop]"
    given = [event for event in log if event["type"] == "input.received"]
    assert [event["input"][0]["text"] for event in given] == ["left", "right", "stop"]
    messages = await server.items(f"/threads/{log[0]['thread_id']}/messages")
    assert [m["content"] for m in messages if m["role"] == "user"] == ["go", "left", "right", "stop"]
    assert {m["id"] for m in messages} >= {event["message_id"] for event in given}
