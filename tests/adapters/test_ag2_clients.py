"""AG2's real model clients over real HTTP: what each fault of an upstream becomes, and that stopping hangs up."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from ag2 import Agent
from ag2.config import OpenAIConfig, OpenAIResponsesConfig
from pydantic import BaseModel

from landline.adapters.ag2 import adapter
from landline.model import events as log
from landline.model.errors import AgentFailed, Unsupported
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

MakeAgent = Callable[..., Agent[Any]]
ANSWER = Text("one two three four")


class Place(BaseModel):
    city: str
    people: int


@pytest.fixture(params=["chat", "responses"])
def agent_on(request: pytest.FixtureRequest) -> MakeAgent:
    def make(upstream: ScriptedUpstream, *, timeout_s: float = 5.0, **more: Any) -> Agent[Any]:
        async def add(a: int, b: int) -> int:
            return a + b

        kind = OpenAIConfig if request.param == "chat" else OpenAIResponsesConfig
        config = kind("gpt-4o", api_key="test", base_url=upstream.base_url, timeout=timeout_s, max_retries=0)
        return Agent("adder", config=config, tools=[add], **more)

    return make


async def go(agent: Agent[Any], line: MemoryLine | None = None, **given: Any) -> tuple[MemoryLine, Finished]:
    line = line or MemoryLine()
    async with asyncio.timeout(10):
        finished = await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), "hi", **given))
    check_grammar(line.events)
    return line, finished


@pytest.mark.contract("ADP-2")
async def test_text_tools_usage_and_model_name_come_over_the_wire(agent_on: MakeAgent) -> None:
    add = ToolCalls([ToolCall("add", {"a": 1, "b": 2}), ToolCall("add", {"a": 3, "b": 4})])
    with ScriptedUpstream([add, Text("three and seven", model="gpt-4o-x")]) as upstream:
        line, finished = await go(agent_on(upstream))
        assert (finished.output, finished.model) == ("three and seven", "gpt-4o-x")
        assert sorted(event.result for event in line.of(log.ToolCompleted)) == [3, 7]
        assert len(line.of(log.TextDelta)) >= 3
        assert len(line.of(log.UsageReported)) == 2
        assert line.of(log.UsageReported)[1].output_tokens == 3


@pytest.mark.contract("ADP-2")
async def test_reasoning_comes_before_the_text(agent_on: MakeAgent) -> None:
    with ScriptedUpstream([Reasoning("hm well", answer=Text("three"))]) as upstream:
        line, _ = await go(agent_on(upstream))
        assert "".join(event.delta for event in line.of(log.ReasoningDelta)) == "hm well"
        (message,) = line.messages()
        assert message[1] == "three"


@pytest.mark.contract("ADP-2")
async def test_settings_reach_the_wire_and_leave_the_owners_config_alone(agent_on: MakeAgent) -> None:
    with ScriptedUpstream() as upstream:
        agent = agent_on(upstream)
        await go(
            agent,
            settings={
                "temperature": 0.5,
                "max_tokens": 77,
                "model": "gpt-other",
                "parallel_tool_calls": False,
            },
        )
        await go(agent)
        told, plain = (request.body for request in upstream.requests)
        assert (told["temperature"], told["model"]) == (0.5, "gpt-other")
        assert told["parallel_tool_calls"] is False
        assert 77 in (told.get("max_tokens"), told.get("max_output_tokens"))
        assert plain["model"] == "gpt-4o"
        assert "temperature" not in plain
        assert plain["stream"] is True
        assert agent.config is not None
        assert not getattr(agent.config, "streaming", None)


@pytest.mark.contract("ADP-2")
async def test_a_setting_that_the_config_does_not_have_is_refused(agent_on: MakeAgent) -> None:
    with ScriptedUpstream() as upstream:
        with pytest.raises(Unsupported, match="top_k"):
            await go(agent_on(upstream), settings={"top_k": 3})
        assert upstream.requests == []


@pytest.mark.contract("ADP-2", "EVT-3")
async def test_structured_output_grows_over_the_wire(agent_on: MakeAgent) -> None:
    with ScriptedUpstream([Structured({"city": "Oslo", "people": 7})]) as upstream:
        line, finished = await go(agent_on(upstream, response_schema=Place))
        partials = [event.output for event in line.of(log.OutputPartial)]
        assert partials[-1] == finished.output == {"city": "Oslo", "people": 7}
        assert {"city": "Oslo"} in partials


@pytest.mark.contract("ADP-2")
async def test_output_that_does_not_fit_its_schema_is_no_answer(agent_on: MakeAgent) -> None:
    with ScriptedUpstream([Structured({"city": "Oslo"})]) as upstream:
        line = MemoryLine()
        with pytest.raises(AgentFailed) as failed:
            await go(agent_on(upstream, response_schema=Place), line)
        assert failed.value.code == "model_invalid_response"
        assert line.of(log.MessageCompleted) == []


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
    (CutClean(answer=ANSWER), {"model_truncated"}),
    (Malformed(after_tokens=2, answer=ANSWER), {"model_invalid_response", "model_truncated"}),
    # AG2 does not read the event that says so on the Responses wire: what is left is an answer without an end.
    (StreamError(after_tokens=2, answer=ANSWER), {"model_unavailable", "model_truncated"}),
    (Html(), {"model_invalid_response", "model_truncated"}),
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


@pytest.mark.contract("RES-5")
async def test_a_tool_that_does_not_exist_is_told_to_the_model_and_shown(agent_on: MakeAgent) -> None:
    with ScriptedUpstream([ToolCalls([ToolCall("subtract", {"a": 1})]), Text("sorry")]) as upstream:
        line, finished = await go(agent_on(upstream))
        assert finished.output == "sorry"
        assert [event.name for event in line.of(log.ToolCalled)] == ["subtract"]
        assert [event.error.code for event in line.of(log.ToolFailed)] == ["tool_not_found"]


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
