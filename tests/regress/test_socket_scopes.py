"""Each operation of a socket needs its own scope, as its route does (TRU-5)."""

import json
from typing import Any

import pytest
from websockets.asyncio.client import connect

from landline.web.door import Door
from tests.faces.fakes import FakeAuthenticator, World, native_ports
from tests.faces.serving import build_app, served


@pytest.mark.contract("TRU-5", "WIRE-5")
@pytest.mark.parametrize(
    "message",
    [
        {"op": "start", "input": "a"},
        {"op": "cancel", "run_id": "x"},
        {"op": "steer", "run_id": "x", "input": "a"},
        {"op": "answer", "run_id": "x", "answers": [{"question_id": "q", "approve": True}]},
    ],
    ids=lambda message: message["op"],
)
async def test_a_key_that_may_only_read_changes_nothing_over_a_socket(message: dict[str, Any]) -> None:
    """The socket is opened with the right to read; what it may do is asked again for each message."""
    _, app = build_app(native_ports(World(), door=Door(authenticator=FakeAuthenticator(open_=False))))
    headers = {"X-API-Key": "key-reader"}
    async with (
        served(app) as address,
        connect(f"ws://{address}/api/v1/ws", additional_headers=headers) as socket,
    ):
        await socket.send(json.dumps({"ref": 1, **message}))
        told = json.loads(await socket.recv())
    assert (told["type"], told["code"]) == ("error", "missing_scope")
