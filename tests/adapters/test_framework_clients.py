"""The frameworks' real model clients over real HTTP: what each fault of an upstream becomes, and that stopping hangs up."""

import asyncio
from typing import Any

import pytest

from landline.model import events as log
from landline.model.errors import AgentFailed
from landline.ports.adapter import AgentSpec
from landline.testing.line import MemoryLine, drive, turn_of
from landline.testing.upstream import (
    BadArguments,
    Cut,
    CutClean,
    Fault,
    Html,
    Malformed,
    ScriptedUpstream,
    Stall,
    Status,
    StreamError,
    Structured,
    Text,
    ToolCall,
    ToolCalls,
)
from tests.adapters.clients_kit import ADAPTERS, ANSWER, MakeAgent, Place, go

ADD = ToolCalls([ToolCall("add", {"a": 1, "b": 2})])

every = pytest.mark.parametrize("framework", ADAPTERS)

FAULTS: list[tuple[Fault, set[str], dict[str, set[str]]]] = [
    # a fault, what the clients make of it, and those that see something else of it than the others
    (Status(429, retry_after=3), {"model_rate_limited"}, {}),
    (Status(500), {"model_unavailable"}, {}),
    (Status(503), {"model_unavailable"}, {}),
    (Status(401), {"model_auth"}, {}),
    (Status(400), {"model_refused"}, {}),
    (Status(400, code="context_length_exceeded"), {"context_window"}, {}),
    (Stall(after_tokens=2, answer=ANSWER), {"model_timeout"}, {}),
    (Cut(after_tokens=2, answer=ANSWER), {"model_truncated"}, {}),
    (CutClean(after_tokens=2, answer=ANSWER), {"model_truncated"}, {}),
    (CutClean(after_tokens=99, answer=ADD), {"model_truncated"}, {}),
    (CutClean(answer=ANSWER), {"model_invalid_response", "model_truncated"}, {"ag2": {"model_truncated"}}),
    (Malformed(after_tokens=2, answer=ANSWER), {"model_invalid_response", "model_truncated"}, {}),
    (
        StreamError(after_tokens=2, answer=ANSWER),
        {"model_unavailable"},
        {
            "langgraph": {"model_unavailable", "model_invalid_response"},
            # AG2 does not read the event that says so on the Responses wire: what is left is an answer without an end.
            "ag2": {"model_unavailable", "model_truncated"},
        },
    ),
    (
        Html(),
        {"model_invalid_response"},
        {name: {"model_invalid_response", "model_truncated"} for name in ("openai_agents", "ag2")},
    ),
]
KEEPS_THE_CAUSE = ("pydantic_ai", "openai_agents")


@every
@pytest.mark.contract("RES-5", "EVT-8", "ADP-2")
@pytest.mark.parametrize(
    ("fault", "codes", "otherwise"),
    FAULTS,
    ids=lambda value: repr(value)[:40] if isinstance(value, Fault) else "",
)
async def test_no_fault_of_the_upstream_ends_as_an_answer(
    agent_on: MakeAgent, framework: str, fault: Fault, codes: set[str], otherwise: dict[str, set[str]]
) -> None:
    with ScriptedUpstream(lambda _: fault) as upstream:
        line = MemoryLine()
        agent = agent_on(upstream, timeout_s=0.3 if isinstance(fault, Stall) else 5.0)
        with pytest.raises(AgentFailed) as failed:
            await go(ADAPTERS[framework], agent, line)
        assert failed.value.code in otherwise.get(framework, codes)
        if framework in KEEPS_THE_CAUSE:
            assert failed.value.__cause__ is not None or failed.value.code == "model_truncated"
        assert line.of(log.MessageCompleted) == []
        assert line.of(log.ToolCalled) == []
        assert "127.0.0.1" not in failed.value.detail
        if isinstance(fault, Status) and fault.retry_after is not None:
            assert failed.value.retry_after_s is not None
            assert failed.value.retry_after_s >= fault.retry_after


@pytest.mark.contract("ADP-2", "EVT-3")
@pytest.mark.parametrize(
    ("framework", "schema"),
    [("pydantic_ai", "output_type"), ("openai_agents", "output_type"), ("ag2", "response_schema")],
)
async def test_structured_output_grows_over_the_wire(
    agent_on: MakeAgent, framework: str, schema: str
) -> None:
    with ScriptedUpstream([Structured({"city": "Oslo", "people": 7})]) as upstream:
        wanted: dict[str, Any] = {schema: Place}
        line, finished = await go(ADAPTERS[framework], agent_on(upstream, **wanted))
        partials = [event.output for event in line.of(log.OutputPartial)]
        assert partials[-1] == finished.output == {"city": "Oslo", "people": 7}
        assert {"city": "Oslo"} in partials


@pytest.mark.contract("RES-5")
@pytest.mark.parametrize("framework", ["pydantic_ai", "openai_agents", "ag2"])
async def test_arguments_that_are_no_json_go_back_to_the_model_and_run_nothing(
    agent_on: MakeAgent, framework: str
) -> None:
    with ScriptedUpstream([BadArguments(answer=ADD), ADD, Text("three")]) as upstream:
        line, finished = await go(ADAPTERS[framework], agent_on(upstream))
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


@every
@pytest.mark.contract("RUN-5", "ADP-2")
@pytest.mark.parametrize("after_tokens", [0, 2])
async def test_cancelling_hangs_up_within_a_second(
    agent_on: MakeAgent, framework: str, after_tokens: int
) -> None:
    with ScriptedUpstream([Stall(after_tokens=after_tokens, answer=ANSWER)]) as upstream:
        line = Listening(after_tokens)
        turn = turn_of(line, AgentSpec(agent=agent_on(upstream, timeout_s=30), name="a"), "hi")
        task = asyncio.create_task(drive(ADAPTERS[framework], line, turn))
        await upstream.wait_request(0)
        async with asyncio.timeout(5):
            await line.heard.wait()
        task.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await task
        exchange = await upstream.wait_disconnected(0, timeout_s=1.0)
        assert exchange.tokens_sent == after_tokens
