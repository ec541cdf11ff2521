"""Agents and callers that misbehave: whatever they do, every run has one end and somebody who drives it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from landline.model.callers import LOCAL, SYSTEM
from landline.model.events import Event, MessageStarted, ReasoningDelta
from landline.model.ids import new_id
from landline.model.runs import Answer
from landline.ports.adapter import Ask, Finished, ToolCall, Turn
from landline.ports.store import RunQuery
from landline.testing.fakes import say
from landline.testing.grammar import check_stream
from tests.engine.conftest import Boot


def echo(turn: Turn) -> AsyncIterator[Event | Finished]:
    return say("hi")


class Odd(BaseException):
    """Outside Exception."""


def own_cancel() -> BaseException:
    return asyncio.CancelledError()


def odd() -> BaseException:
    return Odd("the cat is called hunter2")


def leaves() -> BaseException:
    return SystemExit(3)


def grouped() -> BaseException:
    return BaseExceptionGroup("both", [Odd()])


@pytest.mark.contract("RUN-3")
@pytest.mark.parametrize("raised", [own_cancel, odd, leaves, grouped])
async def test_whatever_an_agent_raises_its_run_ends_once(
    boot: Boot, raised: Callable[[], BaseException]
) -> None:
    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        raise raised()
        yield Finished(output=None)

    server = await boot(script=script)
    run = await server.start()
    async with asyncio.timeout(5):
        events = [json.loads(event.wire) for event in await server.ended(run.id)]
    check_stream(events)
    assert "hunter2" not in json.dumps(events)
    assert (await server.get(run.id)).status == "failed"


@pytest.mark.contract("RUN-3", "TRU-17")
async def test_a_tool_that_leaves_the_process_only_fails(boot: Boot) -> None:
    async def tool() -> None:
        raise SystemExit(3)

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        call = ToolCall(call_id="c", name="t", arguments={})
        with pytest.raises(RuntimeError):
            await asyncio.create_task(turn.line.tool(call, tool))
        async for item in say("still here"):
            yield item

    server = await boot(script=script)
    run = await server.start()
    await server.ended(run.id)
    assert (await server.get(run.id)).output == "still here"


@pytest.mark.contract("RUN-8")
async def test_a_question_asked_inside_a_task_group_still_waits(boot: Boot) -> None:
    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        async def asks() -> None:
            await turn.line.ask(Ask(key="q", kind="approval", prompt="?"))

        async with asyncio.TaskGroup() as group:
            group.create_task(asks())
        yield Finished(output="done")

    server = await boot(script=script)
    run = await server.start()
    await server.ended(run.id)
    waiting = await server.get(run.id)
    assert waiting.status == "waiting"
    answer = Answer(question_id=waiting.questions[0].question_id, approve=True)
    await server.core.runs.answer(LOCAL, run.id, [answer])
    await server.ended(run.id, after=4)
    assert (await server.get(run.id)).output == "done"


@pytest.mark.contract("RUN-2", "RUN-3")
async def test_a_caller_that_is_cancelled_leaves_no_run_without_a_driver(boot: Boot) -> None:
    server = await boot(echo=echo)
    for steps in range(12):
        asking = asyncio.ensure_future(server.start())
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    async with asyncio.timeout(5):
        while any(  # noqa: ASYNC110 - the last run ends without a word to us
            run.status == "running" for run in (await server.core.runs.history(LOCAL, RunQuery())).items
        ):
            await asyncio.sleep(0)
    assert await server.store.verify(SYSTEM) == []


@pytest.mark.contract("RUN-3", "REL-2")
async def test_an_event_of_the_wrong_shape_fails_its_run_and_never_reaches_the_log(boot: Boot) -> None:
    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        message_id = new_id()
        yield MessageStarted(message_id=message_id, role="assistant")
        yield ReasoningDelta(message_id=message_id, delta=5)  # pyright: ignore[reportArgumentType] - the wrong shape

    server = await boot(script=script)
    run = await server.start()
    events = [json.loads(event.wire) for event in await server.ended(run.id)]
    check_stream(events)
    assert events[-1]["type"] == "run.failed"
    assert (await server.get(run.id)).status == "failed"


@pytest.mark.contract("RUN-5")
async def test_a_second_cancel_of_a_stubborn_agent_returns_too(boot: Boot) -> None:
    release = asyncio.Event()

    async def stubborn(turn: Turn) -> AsyncIterator[Event | Finished]:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        yield Finished(output="late")

    server = await boot(stubborn=stubborn)
    run = await server.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        ends = await asyncio.gather(*[server.core.runs.cancel(LOCAL, run.id) for _ in range(3)])
    assert {end.status for end in ends} == {"cancelled"}
    assert len(server.core.driver) == 0
    release.set()


@pytest.mark.contract("AGT-4", "REL-3")
async def test_a_run_whose_agent_is_gone_waits_for_it(boot: Boot) -> None:
    told = asyncio.Event()

    async def slow(turn: Turn) -> AsyncIterator[Event | Finished]:
        if turn.attempt == 1:
            told.set()
            await asyncio.Event().wait()
        async for item in say("back"):
            yield item

    server = await boot(slow=slow)
    run = await server.start()
    await told.wait()
    await server.crash()
    server.agents = {"other": echo}
    await server.boot()
    assert (await server.get(run.id)).status == "running"
    await server.crash()
    server.agents = {"slow": slow}
    await server.boot()
    await server.ended(run.id)
    assert (await server.get(run.id)).output == "back"


@pytest.mark.contract("RUN-5")
async def test_a_run_whose_agent_is_gone_can_be_cancelled(boot: Boot) -> None:
    told = asyncio.Event()

    async def slow(turn: Turn) -> AsyncIterator[Event | Finished]:
        told.set()
        await asyncio.Event().wait()
        yield Finished(output=None)

    server = await boot(slow=slow)
    run = await server.start()
    await told.wait()
    await server.crash()
    server.agents = {"other": echo}
    await server.boot()
    async with asyncio.timeout(5):
        while len(server.core.driver):  # noqa: ASYNC110 - the driver says nothing when it is empty
            await asyncio.sleep(0)
        done = await server.core.runs.cancel(LOCAL, run.id)
    assert done.status == "cancelled"
