"""A request to a model that is to be stopped is told again until it has hung up, and no other request is."""

import asyncio
import time

import anyio
import pytest

from landline.adapters.langgraph import stopping

PROMPT_S = 5.0


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "AGAIN_S", 0.0001)


@pytest.mark.contract("RUN-5")
async def test_a_client_that_lost_the_cancellation_is_told_again() -> None:
    lost = 0

    async def request() -> None:
        nonlocal lost
        with stopping.stopped_for_sure(asyncio.get_running_loop()):
            while lost < 3:
                try:
                    await asyncio.sleep(PROMPT_S)
                except asyncio.CancelledError:
                    lost += 1
            await asyncio.sleep(PROMPT_S)

    task, began = asyncio.create_task(request()), time.monotonic()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lost == 3
    assert time.monotonic() - began < PROMPT_S


@pytest.mark.contract("RUN-5", "ADP-4")
async def test_a_connection_that_is_being_made_on_a_busy_loop_is_not_taken_for_one_to_stop() -> None:
    """Anyio cancels its own task when the connection is there; 2 of 200 runs failed by it."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def busy() -> None:
        while True:
            time.sleep(0.002)  # noqa: ASYNC251 - what is tested is a loop that is held up
            await asyncio.sleep(0)

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port, others = server.sockets[0].getsockname()[1], asyncio.create_task(busy())
    try:
        with stopping.stopped_for_sure(asyncio.get_running_loop()):
            for _ in range(20):
                async with await anyio.connect_tcp("127.0.0.1", port):
                    pass
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
    finally:
        others.cancel()
        server.close()
