"""What stops when it is told to, and what stays apart: cancels, threads, many users on one agent."""

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, cast

import pytest

from landline.model.events import (
    TextDelta,
    ToolCalled,
    encode,
)
from landline.ports.adapter import AgentSpec, Finished
from landline.testing.adapters.grammar import check_grammar
from landline.testing.adapters.kit import ToolBox
from landline.testing.adapters.steps import BOUND_S, STOP_S, Steps
from landline.testing.line import MemoryLine, drive, turn_of

__all__ = ["StoppingTests"]


class StoppingTests(Steps):
    """Cancels and crowds."""

    runs_a_user = 20
    """In the test of a crowd: ADP-9 is proven with fifty users of so many runs each."""

    @pytest.mark.contract("ADP-2", "RUN-5")
    @pytest.mark.parametrize("agent", ["endless", "endless_tool"])
    async def test_cancelling_stops_the_model_call_and_the_tools(self, agent: str) -> None:
        self.need("cancel", *(["tools"] if agent == "endless_tool" else []))
        box = ToolBox()
        spec = cast("Callable[[ToolBox], AgentSpec]", getattr(self.kit, agent))(box)
        line = MemoryLine()
        task = asyncio.create_task(drive(self.kit.adapter, line, turn_of(line, spec, "hi")))
        async with asyncio.timeout(BOUND_S):
            await box.started.wait()
        line.stopping = True  # as the engine says before it stops a run
        task.cancel()
        async with asyncio.timeout(STOP_S):
            with pytest.raises(asyncio.CancelledError):
                await task
            await box.stopped.wait()
        check_grammar(line.events, whole=False)

    @pytest.mark.contract("ADP-2", "RUN-5")
    async def test_closing_the_stream_of_events_stops_the_model_call(self) -> None:
        self.need("cancel")
        box = ToolBox()
        line = MemoryLine()
        async with asyncio.timeout(BOUND_S):
            async with aclosing(
                cast("Any", self.kit.adapter.run(turn_of(line, self.kit.endless(box), "hi")))
            ) as items:
                async for item in items:
                    if isinstance(item, TextDelta):
                        line.stopping = True
                        break
            await box.stopped.wait()

    @pytest.mark.contract("ADP-8", "RUN-5")
    async def test_a_sync_tool_blocks_neither_the_loop_nor_a_cancel(self) -> None:
        self.need("tools", "cancel")
        box = ToolBox()
        line = MemoryLine()
        task = asyncio.create_task(
            drive(self.kit.adapter, line, turn_of(line, self.kit.blocking_tool(box), "hi"))
        )
        try:
            assert await asyncio.to_thread(box.thread_started.wait, BOUND_S)
            line.stopping = True
            task.cancel()
            async with asyncio.timeout(STOP_S):
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert line.unstoppable == {event.call_id for event in line.of(ToolCalled)} != set()
        finally:
            box.release.set()

    @pytest.mark.contract("ADP-9", "AGT-3")
    async def test_fifty_users_on_one_shared_agent_hear_no_word_of_each_other(self) -> None:
        spec = self.kit.echo()
        chance = random.Random(7)  # noqa: S311 - which runs are cancelled is not a secret

        async def user(number: int) -> None:
            for turn in range(self.runs_a_user):
                await one_run(number, f"run-{number}-{turn}")

        async def one_run(number: int, run_id: str) -> None:
            word = f"canary-{number:04d}"
            line = MemoryLine()
            task = asyncio.create_task(
                drive(self.kit.adapter, line, turn_of(line, spec, word, run_id=run_id))
            )
            cancelled = chance.random() < 0.3
            if cancelled:
                for _ in range(chance.randrange(40)):
                    await asyncio.sleep(0)
                task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(outcome, asyncio.CancelledError):
                assert isinstance(outcome, Finished)
                assert outcome.output == f"You said: {word}"
            told = b"".join([*map(encode, line.events), *line.records.values()])
            others = {f"canary-{other:04d}".encode() for other in range(50) if other != number}
            assert not [other for other in others if other in told]

        async with asyncio.timeout(3 * BOUND_S * (1 + self.runs_a_user)):
            await asyncio.gather(*(user(number) for number in range(50)))
