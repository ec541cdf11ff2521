"""Sync functions: they never block the loop, never outlive their run unsaid, and never mix up their users."""

import asyncio
import queue
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from landline.model.callers import Caller
from landline.model.errors import AgentFailed
from landline.model.events import Custom, Event, TextDelta
from landline.ports.adapter import Suspended, ToolPolicy, ToolRaised
from landline.testing.line import MemoryLine
from tests.adapters.plain_kit import play, texts

BOUND_S = 5


class Watched(MemoryLine):
    """A line that says when it has come to a point."""

    def __init__(self, until: Callable[[MemoryLine], bool]) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self._until = until

    def _add(self, event: Event) -> None:
        super()._add(event)
        if self._until(self):
            self.reached.set()


@pytest.mark.contract("ADP-8")
@pytest.mark.parametrize("kind", ["function", "generator", "step"])
async def test_blocking_code_does_not_hold_the_loop(kind: str) -> None:
    """The loop sets the event that the blocking code waits for: only possible while it is free."""
    free = threading.Event()

    def function(run: Any) -> str:
        assert free.wait(BOUND_S)
        return "free"

    def generator(run: Any) -> Iterator[str]:
        assert free.wait(BOUND_S)
        yield "free"

    async def step(run: Any) -> str:
        await run.step("wait", free.wait, BOUND_S)
        return "free"

    fn = {"function": function, "generator": generator, "step": step}[kind]
    asyncio.get_running_loop().call_later(0.01, free.set)
    assert await asyncio.wait_for(play(fn, MemoryLine()), BOUND_S) == "free"


@pytest.mark.contract("ADP-8", "RUN-5")
@pytest.mark.parametrize("kind", ["function", "step of a function", "step", "tool"])
async def test_a_cancel_lets_go_of_a_thread_at_once_and_says_that_it_goes_on(kind: str) -> None:
    """A thread cannot be stopped, so nobody may claim that it was."""
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    ids: list[str | None] = []

    def block() -> None:
        begun.set()
        go_on.wait(BOUND_S)
        ended.set()

    def function(run: Any) -> None:
        block()
        run.text("too late")

    def sync_step(run: Any) -> None:
        def blocks() -> None:
            ids.append(run.call_id)
            block()

        run.step("block", blocks)

    async def step(run: Any) -> None:
        def blocks() -> None:
            ids.append(run.call_id)
            block()

        await run.step("block", blocks)

    async def tool(run: Any) -> None:
        def blocks(seconds: int) -> None:
            ids.append(run.call_id)
            block()

        await run.tool("block", blocks, seconds=1)

    fn = {"function": function, "step of a function": sync_step, "step": step, "tool": tool}[kind]
    line = MemoryLine()
    task = asyncio.ensure_future(play(fn, line))
    assert await asyncio.to_thread(begun.wait, BOUND_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, BOUND_S)
    assert not ended.is_set(), "it let go while the thread was still blocked"
    assert line.unstoppable == set(ids or ["agent:plain"])
    go_on.set()
    assert await asyncio.to_thread(ended.wait, BOUND_S)
    assert texts(line) == []


@pytest.mark.contract("RUN-5")
async def test_a_thread_that_waits_for_its_run_ends_with_it() -> None:
    """Parked in a call, it is not left running: the call raises through its code."""
    unwound, asking = threading.Event(), asyncio.Event()

    def fn(run: Any) -> None:
        async def for_ever() -> None:
            asking.set()
            await asyncio.Event().wait()

        try:
            run.step("for ever", for_ever)
        finally:
            unwound.set()

    line = MemoryLine()
    task = asyncio.ensure_future(play(fn, line))
    await asyncio.wait_for(asking.wait(), BOUND_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, BOUND_S)
    assert await asyncio.to_thread(unwound.wait, BOUND_S)
    assert line.unstoppable == set()


@pytest.mark.contract("ADP-11")
async def test_a_question_ends_the_thread() -> None:
    """A waiting run holds no thread (RUN-8), and its `finally` blocks have run."""
    threads: list[threading.Thread] = []
    cleaned = threading.Event()

    def fn(run: Any) -> str:
        threads.append(threading.current_thread())
        try:
            return run.ask("Name?")
        finally:
            cleaned.set()

    with pytest.raises(Suspended):
        await play(fn, MemoryLine())
    await asyncio.to_thread(threads[0].join, BOUND_S)
    assert cleaned.is_set()
    assert not threads[0].is_alive()


async def test_a_sync_functions_steps_run_in_its_own_thread_and_may_nest() -> None:
    """A database connection that belongs to a thread can be used in all of them."""
    names: set[int] = set()

    def fn(run: Any) -> str:
        names.add(threading.get_ident())

        def inner() -> str:
            names.add(threading.get_ident())
            run.text("inner ")
            return "i"

        def outer() -> str:
            names.add(threading.get_ident())
            run.text("outer ")
            return "o" + run.step("inner", inner) + run.tool("inner", inner)

        return run.step("outer", outer)

    line = MemoryLine()
    assert await play(fn, line, tools={"inner": ToolPolicy()}) == "oii"
    assert len(names) == 1
    assert texts(line) == ["outer ", "inner ", "inner ", "oii"]


async def test_a_sync_run_used_in_a_coroutine_is_refused_instead_of_hanging() -> None:
    """It would wait on the loop for the loop."""

    def fn(run: Any) -> str:
        async def wrong() -> None:
            run.text("x")

        with pytest.raises(ToolRaised) as refused:
            run.step("wrong", wrong)
        assert "would block the event loop" in str(refused.value.__cause__)
        return "refused"

    assert await asyncio.wait_for(play(fn, MemoryLine()), BOUND_S) == "refused"


async def test_an_exception_in_a_thread_is_the_runs_failure() -> None:
    """StopIteration and SystemExit too, which a future would refuse or let through to the loop."""

    def stops(run: Any) -> str:
        return next(iter(()))

    def exits(run: Any) -> str:
        raise SystemExit(2)

    def breaks(run: Any) -> Iterator[str]:
        yield "half"
        raise ValueError("secret")

    for fn in (stops, exits, breaks):
        with pytest.raises(AgentFailed) as failed:
            await play(fn, MemoryLine())
        assert failed.value.code == "agent_error"


async def test_a_generator_that_is_stopped_is_closed() -> None:
    """Its `finally` blocks give back what it holds, in sync and async generators."""
    closed: queue.SimpleQueue[str] = queue.SimpleQueue()

    def sync_generator(run: Any) -> Iterator[str]:
        try:
            while True:
                yield "x"
        finally:
            closed.put("sync_generator")

    async def generator(run: Any) -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(0)
        finally:
            closed.put("generator")

    for fn in (sync_generator, generator):
        line = Watched(until=lambda line: bool(line.of(TextDelta)))
        task = asyncio.ensure_future(play(fn, line))
        await asyncio.wait_for(line.reached.wait(), BOUND_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, BOUND_S)
        assert await asyncio.to_thread(closed.get, timeout=BOUND_S) == fn.__name__


@pytest.mark.contract("ADP-9", "AGT-3")
@pytest.mark.parametrize("sync", [False, True])
async def test_fifty_users_on_one_function_with_random_cancels_hear_only_their_own_words(sync: bool) -> None:
    """No state of a run is on the function or on the adapter."""

    async def fn(run: Any) -> str:
        for number in range(10):
            await run.text(f"{run.input}{number} ")
            await run.step("pause", asyncio.sleep, 0)
            await run.emit("owner", run.caller.user)
        return ""

    def sync_fn(run: Any) -> str:
        for number in range(10):
            run.text(f"{run.input}{number} ")
            run.step("pause", lambda: None)
            run.emit("owner", run.caller.user)
        return ""

    chance = random.Random(7)

    async def user(number: int) -> None:
        name = f"u{number}"
        last = chance.randrange(1, 50) if number % 5 < 2 else None
        line = Watched(until=lambda line: len(line.events) == last)
        task = asyncio.ensure_future(
            play(
                sync_fn if sync else fn,
                line,
                text=f"{name}-",
                caller=Caller(tenant="t", user=name),
                run_id=name,
            )
        )
        if last is not None:
            await line.reached.wait()
            task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        full = "".join(f"{name}-{index} " for index in range(10))
        said = "".join(texts(line))
        assert full.startswith(said)
        assert isinstance(outcome, asyncio.CancelledError) if last is not None else said == full
        assert {event.data for event in line.of(Custom)} <= {name}

    async with asyncio.timeout(6 * BOUND_S):
        await asyncio.gather(*(user(number) for number in range(50)))
