"""The two ways a Pydantic AI response takes to the log: told by the model itself, or heard through the agent's listeners."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    TextPartDelta,
    ToolCallPart,
)
from pydantic_ai.models import CompletedStreamedResponse
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.tools import DeferredToolResults

from landline.adapters.pydantic_ai import adapter
from landline.adapters.pydantic_ai.alone import AHEAD, is_alone
from landline.model import events as log
from landline.model.errors import AgentFailed
from landline.ports.adapter import AgentSpec, ToolPolicy
from landline.testing.line import MemoryLine, drive, turn_of
from tests.adapters.test_pydantic_ai_speech import go, scripted
from tests.adapters.test_pydantic_ai_tools import telling


class Heard(AbstractCapability[Any]):
    """Hears all events of a run, and says one of its words louder."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def wrap_run_event_stream(self, ctx: Any, *, stream: Any) -> AsyncIterator[Any]:
        async for event in stream:
            self.heard.append(event.event_kind)
            if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                yield PartDeltaEvent(
                    index=event.index, delta=TextPartDelta(event.delta.content_delta.upper())
                )
            else:
                yield event


async def test_an_agents_own_listener_hears_every_event_and_what_it_makes_of_it_is_told() -> None:
    listener = Heard()
    line, _ = await go(Agent(scripted(["one ", "two"]), capabilities=[listener]))
    assert {"part_start", "part_delta", "part_end", "final_result"} <= set(listener.heard)
    assert "TWO" in [event.delta for event in line.of(log.TextDelta)]


async def test_an_agent_with_nothing_of_its_own_streams_without_the_listeners_layers() -> None:
    asked: list[str] = []

    class Watched(WrapperModel):
        async def request(
            self, messages: Any, model_settings: Any, model_request_parameters: Any
        ) -> ModelResponse:
            asked.append("request")
            return await super().request(messages, model_settings, model_request_parameters)

    plain = Agent(Watched(scripted(["one ", "two ", "three"])))
    assert is_alone(plain.root_capability)
    assert not is_alone(Agent(scripted(["a"]), capabilities=[Heard()]).root_capability)
    line, finished = await go(plain)
    assert finished.output == "one two three"
    # Whole answers are never asked of it: the log shows them as they come.
    assert (asked, [event.delta for event in line.of(log.TextDelta)]) == ([], ["one ", "two ", "three"])


@pytest.mark.parametrize("instrumented", [True, False])
async def test_an_agent_that_is_instrumented_is_streamed_by_the_framework(*, instrumented: bool) -> None:
    """Its spans tell when the first chunk came, which they do of requests that the framework streams itself."""
    agent = Agent(scripted(["one ", "two"]))
    agent.instrument = instrumented
    async with agent.iter("hi") as run:
        assert is_alone(run.ctx.deps.root_capability) is not instrumented
    line, finished = await go(agent)
    assert (finished.output, len(line.of(log.TextDelta))) == ("one two", 2)


@pytest.mark.contract("ADP-3")
async def test_an_agents_own_handler_decides_before_a_human_is_asked() -> None:
    ran: list[str] = []

    class Decides(AbstractCapability[Any]):
        async def handle_deferred_tool_calls(self, ctx: Any, *, requests: Any) -> DeferredToolResults:
            return DeferredToolResults(approvals={call.tool_call_id: True for call in requests.approvals})

    agent = Agent(telling(("drop", {"table": "t"})), capabilities=[Decides()])

    @agent.tool_plain
    async def drop(table: str) -> str:
        ran.append(table)
        return "dropped"

    line = MemoryLine()
    spec = AgentSpec(agent=agent, name="a", tools={"drop": ToolPolicy(approval=True)})
    await drive(adapter, line, turn_of(line, spec, "hi"))
    assert (ran, line.questions) == (["t"], {})


async def test_a_model_that_says_nothing_is_given_up_after_its_first_event_timeout() -> None:
    stopped = asyncio.Event()

    async def silent(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        try:
            await asyncio.Event().wait()
            yield ""
        finally:
            stopped.set()

    agent = Agent(FunctionModel(stream_function=silent), model_settings={"first_event_timeout": 0.05})
    with pytest.raises(AgentFailed) as failed:
        await go(agent)
    assert (failed.value.code, stopped.is_set()) == ("model_timeout", True)


async def test_the_first_event_timeout_is_over_when_the_first_event_came() -> None:
    async def slow(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "one "
        await asyncio.sleep(0.2)
        yield "two"

    agent = Agent(FunctionModel(stream_function=slow), model_settings={"first_event_timeout": 0.1})
    _, finished = await go(agent)
    assert finished.output == "one two"


async def test_each_model_of_a_fallback_has_its_own_time_and_the_next_one_is_told() -> None:
    async def silent(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        await asyncio.sleep(60)
        yield ""

    models = FallbackModel(FunctionModel(stream_function=silent), scripted(["hel", "lo"]))
    agent = Agent(models, model_settings={"first_event_timeout": 0.05})
    line, finished = await go(agent)
    assert (finished.output, [e.delta for e in line.of(log.TextDelta)]) == ("hello", ["hel", "lo"])


class Place(BaseModel):
    city: str
    people: int


class Pausing(WrapperModel):
    """A provider that pauses in the middle of a turn, and goes on with it in another response."""

    @asynccontextmanager
    async def request_stream(
        self, messages: Any, model_settings: Any, model_request_parameters: Any, run_context: Any = None
    ) -> AsyncGenerator[Any]:
        last = messages[-1]
        again = isinstance(last, ModelResponse) and last.state == "suspended"
        place = '{"city": "Rome in Italy", "people": 3}' if again else '{"city": "Paris", "people": 2}'
        call = ToolCallPart(model_request_parameters.output_tools[0].name, place, tool_call_id=str(again))
        response = ModelResponse(
            parts=[call],
            provider_response_id=str(again),
            state="complete" if again else "suspended",
        )
        yield CompletedStreamedResponse(
            response, model_request_parameters=model_request_parameters, replay_events=True
        )


async def test_parts_of_an_answer_that_its_provider_paused_are_not_taken_for_those_before() -> None:
    line, finished = await go(Agent(Pausing(scripted([])), output_type=Place))
    paris, rome = {"city": "Paris", "people": 2}, {"city": "Rome in Italy", "people": 3}
    assert finished.output == paris  # the framework takes an answer's first output
    assert [event.output for event in line.of(log.OutputPartial)] == [paris, rome, paris]


async def test_closing_a_turn_leaves_no_task_behind() -> None:
    async def endless(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        while True:
            yield "more "
            await asyncio.sleep(0)

    line = MemoryLine()
    before = asyncio.all_tasks()
    turn = turn_of(line, AgentSpec(agent=Agent(FunctionModel(stream_function=endless)), name="a"), "hi")
    async with aclosing(cast("Any", adapter.run(turn))) as items:
        async for item in items:
            if isinstance(item, log.TextDelta):
                break
    for _ in range(20):  # generators that were in the middle are closed by the loop
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


@pytest.mark.contract("RUN-5")
async def test_the_model_is_not_read_far_ahead_of_the_log() -> None:
    read: list[int] = []

    async def counted(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for number in range(3 * AHEAD):
            read.append(number)
            yield f"{number} "

    line = MemoryLine()
    turn = turn_of(line, AgentSpec(agent=Agent(FunctionModel(stream_function=counted)), name="a"), "hi")
    async with aclosing(cast("Any", adapter.run(turn))) as items:
        async for item in items:
            if isinstance(item, log.TextDelta):
                await asyncio.sleep(0.01)
                # The framework looks one event ahead, to tell which part is the last; one is on its way, one is the part's end.
                assert len(read) <= int(item.delta) + AHEAD + 3
    assert len(read) == 3 * AHEAD
