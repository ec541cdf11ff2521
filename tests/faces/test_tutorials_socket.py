"""The patterns' socket: tokens and the whole, one message at a time, cancel, and whose thread it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from landline.model.callers import LOCAL, Caller
from landline.model.events import MessageStarted, TextDelta
from landline.testing.faces.tutorials import Said, check_socket
from landline.web.door import Door
from landline.web.named_threads import find_thread
from tests.faces.fakes import OTHER, FakeAuthenticator, World, native_ports
from tests.faces.serving import served
from tests.faces.tutorials_app import build

pytestmark = pytest.mark.contract("FACE-5", "FACE-17")


@pytest.fixture
async def address(world: World) -> AsyncIterator[str]:
    async with served(build(native_ports(world))) as found:
        yield found


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> str:
    async with asyncio.timeout(5):
        return str(await socket.recv())


async def turn(socket: ClientConnection) -> Said:
    heard = [await hear(socket)]
    while json.loads(heard[-1])["type"] == "token":
        heard.append(await hear(socket))
    return check_socket(heard)


async def test_a_message_is_answered_in_tokens_and_whole(address: str, world: World) -> None:
    async with connect(f"ws://{address}/ws/7") as socket:
        for _ in range(3):
            await say(socket, message="Hello")
            assert (await turn(socket)).text == "Hello"
    async with connect(f"ws://{address}/ws/7") as socket:
        await say(socket, message="Hello")
        assert (await turn(socket)).text == "Hello"
    assert len(world.thread_rows) == 1
    assert len(world.run_rows) == 4


async def test_another_client_id_is_another_thread(address: str, world: World) -> None:
    for client_id in ("7", "8"):
        async with connect(f"ws://{address}/ws/{client_id}?agent=notes") as socket:
            await say(socket, message="Hello")
            await turn(socket)
    assert len(world.thread_rows) == 2


@pytest.mark.contract("THR-2", "TRU-12")
async def test_a_client_id_is_its_callers_own(world: World) -> None:
    ports = native_ports(world, door=Door(authenticator=FakeAuthenticator(open_=False)))
    async with served(build(ports)) as address:
        for key in ("key-local", "key-other"):
            async with connect(f"ws://{address}/ws/7", additional_headers={"X-API-Key": key}) as socket:
                await say(socket, message="Hello")
                assert (await turn(socket)).text == "Hello"
        mine = await find_thread(ports, LOCAL, face="tutorials", name="7")
        theirs = await find_thread(ports, OTHER, face="tutorials", name="7")
        assert mine is not None
        assert theirs is not None
        assert (mine.user_id, theirs.user_id, mine.id == theirs.id) == ("local", "other", False)
        for headers, status in (({}, 401), ({"X-API-Key": "key-reader"}, 403)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{address}/ws/7", additional_headers=headers)
            assert refused.value.response.status_code == status


@pytest.mark.contract("TRU-13")
async def test_a_page_of_another_origin_opens_no_socket(address: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://{address}/ws/7", additional_headers={"Origin": "http://evil.example"})
    assert refused.value.response.status_code == 403


@pytest.mark.contract("RUN-5")
async def test_a_turn_is_cancelled_and_there_may_be_nothing_to_cancel(address: str, world: World) -> None:
    world.finish = False
    async with connect(f"ws://{address}/ws/7") as socket:
        await say(socket, action="cancel")
        nothing = await turn(socket)
        assert (nothing.error or {})["detail"] == "There is nothing to cancel."
        await say(socket, message="Hello")
        await world.until(lambda: world.following)
        (run_id,) = world.run_rows
        world.write(
            run_id, MessageStarted(message_id="m", role="assistant"), TextDelta(message_id="m", delta="Hel")
        )
        assert json.loads(await hear(socket)) == {"type": "token", "content": "Hel"}
        await say(socket, message="and?")
        busy = check_socket([await hear(socket)])
        assert (busy.error or {})["error"] == "Conflict"
        await say(socket, action="cancel")
        assert ((await turn(socket)).error or {})["error"] == "Request cancelled"
        assert world.cancelled == [run_id]
        world.finish = True
        await say(socket, message="again")
        assert (await turn(socket)).text == "Hello"


@pytest.mark.parametrize(
    "sent",
    ["{", "[]", "{}", '{"message":""}', '{"message":"a","action":"cancel"}', '{"action":"stop"}', '{"message":"a","x":1}',
     '{"message":"a","conversation_history":[]}', json.dumps({"message": "x" * 10_001})],
)  # fmt: skip
async def test_what_does_not_fit_is_told_and_the_socket_stays(address: str, world: World, sent: str) -> None:
    async with connect(f"ws://{address}/ws/7") as socket:
        await socket.send(sent)
        assert check_socket([await hear(socket)]).error
        assert not world.run_rows
        await say(socket, message="x" * 10_000)
        assert (await turn(socket)).text == "Hello"


async def test_refusals_of_the_run_are_told(address: str, world: World) -> None:
    async with connect(f"ws://{address}/ws/7?agent=nobody") as socket:
        await say(socket, message="Hello")
        assert ((await turn(socket)).error or {})["error"] == "Not Found"
    async with connect(f"ws://{address}/ws/{'x' * 257}") as socket:
        await say(socket, message="Hello")
        assert ((await turn(socket)).error or {})["error"]
    assert not world.thread_rows


@pytest.mark.contract("AGT-6")
async def test_a_turn_opens_the_hosts_context(world: World) -> None:
    async def context(request: Request, caller: Caller) -> str:
        return f"{request.url.path} of {caller.user}"

    async with (
        served(build(native_ports(world, context=context))) as address,
        connect(f"ws://{address}/ws/7") as socket,
    ):
        await say(socket, message="Hello")
        await turn(socket)
    assert [one.context for one in world.started] == ["/ws/7 of local"]


async def test_binary_frames_close_the_socket(address: str) -> None:
    async with connect(f"ws://{address}/ws/7") as socket:
        await socket.send(b"\x00")
        with pytest.raises(ConnectionClosed) as closed:
            await hear(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003


@pytest.mark.contract("RUN-2")
async def test_a_client_that_leaves_does_not_stop_the_run(address: str, world: World) -> None:
    world.finish = False
    async with connect(f"ws://{address}/ws/7") as socket:
        await say(socket, message="Hello")
        await world.until(lambda: world.following)
    await world.until(lambda: not world.following)
    assert world.cancelled == []
    assert [run.status for run in world.run_rows.values()] == ["running"]
