"""A limit in time for work that mostly has nothing to wait for."""

import asyncio

import pytest

from landline.web.within import Overdue, within

pytestmark = pytest.mark.contract("REL-10")


async def test_work_that_need_not_wait_is_done_at_once_and_without_a_timer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("done")

    def timer(_: float) -> None:
        raise AssertionError("a timer was made")

    monkeypatch.setattr(asyncio, "timeout", timer)
    await within(1.0, work())
    assert done == ["done"]


async def test_work_that_waits_goes_on_in_the_same_task() -> None:
    tasks: list[object] = []
    go = asyncio.Event()

    async def work() -> None:
        tasks.append(asyncio.current_task())
        await go.wait()
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())

    asyncio.get_running_loop().call_soon(go.set)
    await within(1.0, work())
    assert tasks == [asyncio.current_task()] * 2


async def test_work_that_takes_too_long_is_cancelled_and_said_to_be() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(Overdue):
        await within(0.01, work())
    assert ended == ["cancelled"]


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError("of the socket's own"), KeyError("a fault")])
async def test_what_the_work_raises_is_raised(error: Exception, waits: bool) -> None:
    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise error

    with pytest.raises(type(error)) as raised:
        await within(1.0, work())
    assert raised.value is error


async def test_a_cancellation_reaches_the_work_and_then_the_caller() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    task = asyncio.create_task(within(5.0, work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"]


async def test_work_may_wait_again_after_it_was_thrown_at() -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            raise

    with pytest.raises(Overdue):
        await within(0.01, work())
