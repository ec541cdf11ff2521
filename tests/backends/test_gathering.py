"""What a loop has for the store's threads is handed over together: at once when the loop is calm, soon when it is not."""

import asyncio
import gc
import weakref

import pytest

from landline.backends.sql import gathering
from landline.backends.sql.gathering import CALM_S, MOST_S, Gathering


class Work:
    """A loop's other work: while `left`, each pass of the loop takes `pass_s` of a time that only it lets go by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pass_s: float = 2 * CALM_S) -> None:
        self.now, self.left, self._pass_s = 0.0, 0, pass_s
        monkeypatch.setattr(gathering, "perf_counter", lambda: self.now)

    def begin(self, passes: int) -> None:
        self.left = passes
        asyncio.get_running_loop().call_soon(self._pass)

    def _pass(self) -> None:
        self.now += self._pass_s
        self.left -= 1
        if self.left:
            asyncio.get_running_loop().call_soon(self._pass)


async def handed(batches: list[list[int]], count: int) -> None:
    while sum(len(batch) for batch in batches) < count:  # noqa: ASYNC110 - each pass of the loop is what is counted
        await asyncio.sleep(0)


@pytest.mark.contract("PRF-1", "PRF-2")
async def test_a_calm_loop_hands_over_in_its_next_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    Work(monkeypatch)
    batches: list[list[int]] = []
    gathered = Gathering[int](batches.append)
    gathered.add(asyncio.get_running_loop(), 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert batches == [[1]]
    gathered.add(asyncio.get_running_loop(), 2)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert batches == [[1], [2]]


@pytest.mark.contract("PRF-1")
async def test_a_busy_loop_hands_over_when_its_work_is_done_and_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = Work(monkeypatch)
    batches: list[list[int]] = []
    gathered = Gathering[int](batches.append)
    work.begin(10)
    for number in range(5):
        gathered.add(asyncio.get_running_loop(), number)
        await asyncio.sleep(0)
    assert batches == []
    await handed(batches, 5)
    assert batches == [[0, 1, 2, 3, 4]]
    assert work.left == 0


@pytest.mark.contract("PRF-2", "EVT-6")
async def test_a_loop_that_is_never_calm_hands_over_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch, pass_s=0.005)
    batches: list[list[int]] = []
    gathered = Gathering[int](batches.append)
    work.begin(1_000)
    gathered.add(asyncio.get_running_loop(), 1)
    await handed(batches, 1)
    assert work.left > 0
    assert work.now <= MOST_S + 2 * 0.005


def test_each_loop_is_handed_its_own_and_forgotten_when_it_is_closed() -> None:
    seen: list[tuple[asyncio.AbstractEventLoop, list[int]]] = []
    gathered = Gathering[int](lambda items: seen.append((asyncio.get_running_loop(), items)))

    async def add(number: int) -> "weakref.ref[asyncio.AbstractEventLoop]":
        gathered.add(asyncio.get_running_loop(), number)
        while not seen:  # noqa: ASYNC110 - it is told in a pass of the loop
            await asyncio.sleep(0)
        assert seen == [(asyncio.get_running_loop(), [number])]
        seen.clear()
        return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(add(1)), asyncio.run(add(2))]
    gc.collect()
    assert [loop() for loop in loops] == [None, None]
