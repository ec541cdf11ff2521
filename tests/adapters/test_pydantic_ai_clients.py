"""Real model clients over real HTTP: what each fault of an upstream becomes, and that stopping hangs up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from landline.adapters.pydantic_ai import adapter
from landline.model import events as log
from landline.model.errors import AgentFailed
from landline.ports.adapter import AgentSpec, Finished
from landline.testing.adapters import check_grammar
from landline.testing.line import MemoryLine, drive, turn_of
from landline.testing.upstream import (
    BadArguments,
    Cut,
    CutClean,
    Fault,
    Html,
    Malformed,
    Reasoning,
    ScriptedUpstream,
    Stall,
    Status,
    StreamError,
    Structured,
    Text,
    ToolCall,
    ToolCalls,
)

MakeAgent = Callable[..., Agent[None, Any]]
ANSWER = Text("one two three four")


class Place(BaseModel):
    city: str
    people: int


@pytest.fixture(params=["chat", "responses"])
async def agent_on(request: pytest.FixtureRequest) -> AsyncIterator[MakeAgent]:
    clients: list[AsyncOpenAI] = []

    def make(upstream: ScriptedUpstream, *, timeout_s: float = 5.0, **settings: Any) -> Agent[None, Any]:
        client = AsyncOpenAI(base_url=upstream.base_url, api_key="test", max_retries=0, timeout=timeout_s)
        clients.append(client)
        kind = OpenAIChatModel if request.param == "chat" else OpenAIResponsesModel
        agent: Agent[None, Any] = Agent(
            kind("gpt-4o", provider=OpenAIProvider(openai_client=client)), **settings
        )

        @agent.tool_plain
        async def add(a: int, b: int) -> int:
            return a + b

        return agent

    yield make
    for client in clients:
        await client.close()


async def go(
    agent: Agent[None, Any], line: MemoryLine | None = None, **given: Any
) -> tuple[MemoryLine, Finished]:
    line = line or MemoryLine()
    async with asyncio.timeout(10):
        finished = await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), "hi", **given))
    check_grammar(line.events)
    return line, finished


@pytest.mark.contract("ADP-2")
async def test_reasoning_tools_usage_and_model_name_come_over_the_wire(agent_on: MakeAgent) -> None:
    add = ToolCalls([ToolCall("add", {"a": 1, "b": 2}), ToolCall("add", {"a": 3, "b": 4})])
    with ScriptedUpstream(
        [Reasoning("hm well", answer=add), Text("three and seven", model="gpt-4o-x")]
    ) as upstream:
        line, finished = await go(
            agent_on(upstream), settings={"temperature": 0.5, "parallel_tool_calls": False}
        )
        assert (finished.output, finished.model) == ("three and seven", "gpt-4o-x")
        assert "".join(event.delta for event in line.of(log.ReasoningDelta)) == "hm well"
        assert sorted(event.result for event in line.of(log.ToolCompleted)) == [3, 7]
        assert len(line.of(log.UsageReported)) == 2
        assert line.of(log.UsageReported)[1].output_tokens == 3
        body = upstream.requests[0].body
        assert (body["temperature"], body["parallel_tool_calls"]) == (0.5, False)


@pytest.mark.contract("ADP-2", "EVT-3")
async def test_structured_output_grows_over_the_wire(agent_on: MakeAgent) -> None:
    with ScriptedUpstream([Structured({"city": "Oslo", "people": 7})]) as upstream:
        line, finished = await go(agent_on(upstream, output_type=Place))
        partials = [event.output for event in line.of(log.OutputPartial)]
        assert partials[-1] == finished.output == {"city": "Oslo", "people": 7}
        assert {"city": "Oslo"} in partials


FAULTS: list[tuple[Fault, set[str]]] = [
    (Status(429, retry_after=3), {"model_rate_limited"}),
    (Status(500), {"model_unavailable"}),
    (Status(503), {"model_unavailable"}),
    (Status(401), {"model_auth"}),
    (Status(400), {"model_refused"}),
    (Status(400, code="context_length_exceeded"), {"context_window"}),
    (Stall(after_tokens=2, answer=ANSWER), {"model_timeout"}),
    (Cut(after_tokens=2, answer=ANSWER), {"model_truncated"}),
    (CutClean(after_tokens=2, answer=ANSWER), {"model_truncated"}),
    (CutClean(after_tokens=99, answer=ToolCalls([ToolCall("add", {"a": 1, "b": 2})])), {"model_truncated"}),
    (CutClean(answer=ANSWER), {"model_invalid_response", "model_truncated"}),
    (Malformed(after_tokens=2, answer=ANSWER), {"model_invalid_response", "model_truncated"}),
    (StreamError(after_tokens=2, answer=ANSWER), {"model_unavailable"}),
    (Html(), {"model_invalid_response"}),
]


@pytest.mark.contract("RES-5", "EVT-8", "ADP-2")
@pytest.mark.parametrize(
    ("fault", "codes"), FAULTS, ids=lambda value: repr(value)[:40] if isinstance(value, Fault) else ""
)
async def test_no_fault_of_the_upstream_ends_as_an_answer(
    agent_on: MakeAgent, fault: Fault, codes: set[str]
) -> None:
    with ScriptedUpstream(lambda _: fault) as upstream:
        line = MemoryLine()
        agent = agent_on(upstream, timeout_s=0.3 if isinstance(fault, Stall) else 5.0)
        with pytest.raises(AgentFailed) as failed:
            await go(agent, line)
        assert failed.value.code in codes
        assert failed.value.__cause__ is not None or failed.value.code == "model_truncated"
        assert line.of(log.MessageCompleted) == []
        assert line.of(log.ToolCalled) == []
        assert "127.0.0.1" not in failed.value.detail
        if isinstance(fault, Status) and fault.retry_after is not None:
            assert failed.value.retry_after_s is not None
            assert failed.value.retry_after_s >= fault.retry_after


@pytest.mark.contract("RES-5")
async def test_arguments_that_are_no_json_go_back_to_the_model_and_run_nothing(agent_on: MakeAgent) -> None:
    add = ToolCalls([ToolCall("add", {"a": 1, "b": 2})])
    with ScriptedUpstream([BadArguments(answer=add), add, Text("three")]) as upstream:
        line, finished = await go(agent_on(upstream))
        assert finished.output == "three"
        assert [event.error.code for event in line.of(log.ToolFailed)] == ["model_retry"]
        assert [event.result for event in line.of(log.ToolCompleted)] == [3]


class Listening(MemoryLine):
    """Says when that many deltas have come."""

    def __init__(self, deltas: int) -> None:
        super().__init__()
        self.heard = asyncio.Event()
        self._deltas = deltas
        if not deltas:
            self.heard.set()

    async def emit(self, *events: log.Event) -> None:
        await super().emit(*events)
        if len(self.of(log.TextDelta)) >= self._deltas:
            self.heard.set()


@pytest.mark.contract("RUN-5", "ADP-2")
@pytest.mark.parametrize("after_tokens", [0, 2])
async def test_cancelling_hangs_up_within_a_second(agent_on: MakeAgent, after_tokens: int) -> None:
    with ScriptedUpstream([Stall(after_tokens=after_tokens, answer=ANSWER)]) as upstream:
        line = Listening(after_tokens)
        turn = turn_of(line, AgentSpec(agent=agent_on(upstream, timeout_s=30), name="a"), "hi")
        task = asyncio.create_task(drive(adapter, line, turn))
        await upstream.wait_request(0)
        async with asyncio.timeout(5):
            await line.heard.wait()
        task.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await task
        exchange = await upstream.wait_disconnected(0, timeout_s=1.0)
        assert exchange.tokens_sent == after_tokens
