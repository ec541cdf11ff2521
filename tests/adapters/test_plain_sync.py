"""Sync functions: they never block the loop, never outlive their run unsaid, and never mix up their users."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from landline.model.errors import AgentFailed
from landline.model.events import TextDelta
from landline.ports.adapter import Suspended, ToolPolicy, ToolRaised
from tests.adapters.test_plain_line import CutLine, messages, play, texts, turn_of

BOUND_S = 5


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
    assert await asyncio.wait_for(play(turn_of(fn, CutLine())), BOUND_S) == "free"


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
    line = CutLine()
    task = asyncio.ensure_future(play(turn_of(fn, line)))
    assert await asyncio.to_thread(begun.wait, BOUND_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, BOUND_S)
    assert not ended.is_set(), "it let go while the thread was still blocked"
    assert line.left_running == (ids or ["agent:plain"])
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

    line = CutLine()
    task = asyncio.ensure_future(play(turn_of(fn, line)))
    await asyncio.wait_for(asking.wait(), BOUND_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, BOUND_S)
    assert await asyncio.to_thread(unwound.wait, BOUND_S)
    assert line.left_running == []


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
        await play(turn_of(fn, CutLine()))
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

    line = CutLine()
    assert await play(turn_of(fn, line, tools={"inner": ToolPolicy()})) == "oii"
    assert len(names) == 1
    assert texts(line) == ["outer inner inner ", "oii"]


async def test_a_sync_run_used_in_a_coroutine_is_refused_instead_of_hanging() -> None:
    """It would wait on the loop for the loop."""

    def fn(run: Any) -> str:
        async def wrong() -> None:
            run.text("x")

        try:
            run.step("wrong", wrong)
        except ToolRaised as error:
            assert "would block the event loop" in str(error.__cause__)
            return "refused"
        return "let through"

    assert await asyncio.wait_for(play(turn_of(fn, CutLine())), BOUND_S) == "refused"


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
            await play(turn_of(fn, CutLine()))
        assert failed.value.code == "agent_error"


async def test_a_generator_that_is_stopped_is_closed() -> None:
    """Its `finally` blocks give back what it holds, in sync and async generators."""
    closed: list[str] = []

    def sync_generator(run: Any) -> Iterator[str]:
        try:
            while True:
                yield "x"
        finally:
            closed.append("sync")

    async def generator(run: Any) -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(0)
        finally:
            closed.append("async")

    for fn in (sync_generator, generator):
        enough, thread_ended = asyncio.Event(), asyncio.Event()
        line = CutLine(
            on_event=lambda event, enough=enough: enough.set() if isinstance(event, TextDelta) else None
        )
        task = asyncio.ensure_future(play(turn_of(fn, line)))
        await asyncio.wait_for(enough.wait(), BOUND_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, BOUND_S)
        async with asyncio.timeout(BOUND_S):
            while not closed:  # the thread needs a moment to unwind
                await asyncio.sleep(0)
        thread_ended.set()
        assert closed.pop() == ("sync" if fn is sync_generator else "async")


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
    cancelled = set(chance.sample(range(50), 20))
    lines: list[CutLine] = []
    tasks: list[asyncio.Future[Any]] = []
    for user in range(50):
        line = CutLine()
        turn = turn_of(sync_fn if sync else fn, line, text=f"u{user}-", user=f"u{user}", run_id=f"run-{user}")
        task = asyncio.ensure_future(play(turn))
        after = chance.randrange(1, 40)
        if user in cancelled:
            line.on_event = lambda event, line=line, task=task, after=after: (
                task.cancel() if len(line.events) == after else None
            )  # fmt: skip
        lines.append(line)
        tasks.append(task)
    async with asyncio.timeout(30):
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
    for user, line in enumerate(lines):
        full = "".join(f"u{user}-{number} " for number in range(10))
        said = "".join(text for _, text, _ in messages(line.events))
        assert full.startswith(said)
        assert said == full or user in cancelled
        owners = {event.data for event in line.events if event.type == "custom"}  # pyright: ignore[reportAttributeAccessIssue] - custom events have data
        assert owners <= {f"u{user}"}
    assert sum(task.cancelled() for task in tasks) == len(cancelled)
