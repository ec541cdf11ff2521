"""What is asked of the system for every connection: a peer that is gone is found out (TRU-12)."""

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from landline.app.connections import DEAD_S, HttpWire, look

OPTIONS = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")


@pytest.mark.contract("TRU-12")
async def test_a_dead_peer_is_found_within_a_minute() -> None:
    """By keep-alive when the line is idle, by what stays unacknowledged when it is not."""

    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    state = ServerState()
    loop = asyncio.get_running_loop()
    config = uvicorn.Config(app, log_config=None, ws="none")
    server = await loop.create_server(
        lambda: HttpWire(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    with socket.create_connection(server.sockets[0].getsockname()):
        while not state.connections:  # noqa: ASYNC110 - the server rings no bell
            await asyncio.sleep(0.01)
        (connection,) = state.connections
        assert isinstance(connection, HttpWire)
        held = connection.transport.get_extra_info("socket")
        assert held.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        found = {
            name: held.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in OPTIONS
            if hasattr(socket, name)
        }
        if "TCP_KEEPIDLE" in found:
            idle_s = found["TCP_KEEPIDLE"] + found["TCP_KEEPINTVL"] * found["TCP_KEEPCNT"]
            assert idle_s <= DEAD_S <= 60
        assert found.get("TCP_USER_TIMEOUT", 1) <= 60_000
        look(state.connections, loop.time() + 12, 30.0)
        assert not connection.transport.is_closing(), "it may still send its headers"
        look(state.connections, loop.time() + 15, 30.0)
        assert connection.transport.is_closing()
    server.close()


class Transport:
    def __init__(self, *sizes: int, closing: bool = False) -> None:
        self.sizes, self.closing, self.aborted = list(sizes), closing, False

    def get_write_buffer_size(self) -> int:
        return self.sizes.pop(0)

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.contract("TRU-12", "REL-10")
@pytest.mark.parametrize(
    ("transport", "paused", "cut"),
    [
        (Transport(50_000, 50_000, 50_000, 50_000), True, True),
        (Transport(50_000, 49_000, 48_000, 47_000), True, True),
        (Transport(90_000, 60_000, 30_000, 20_000), True, False),
        (Transport(50_000, 50_000, 0, 50_000), True, False),
        (Transport(50_000, 50_000, 50_000, 50_000), False, False),
        (Transport(9_000, 9_000, 9_000, 9_000, closing=True), False, True),
    ],
)
def test_a_reader_is_cut_when_it_takes_next_to_nothing(transport: Transport, paused: bool, cut: bool) -> None:
    """Looked at every twelve seconds; also when the answer is written and its end waits in our memory."""
    wire = HttpWire.__new__(HttpWire)
    wire.transport = transport
    wire.flow = SimpleNamespace(write_paused=paused)  # pyright: ignore[reportAttributeAccessIssue] - as much of one as is looked at
    for now in (0, 12, 24, 36):
        wire.check_reader(now, 30.0)
    assert transport.aborted is cut
