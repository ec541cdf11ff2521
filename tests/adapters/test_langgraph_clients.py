"""A real model client over real HTTP: what each fault of an upstream becomes, and that stopping hangs up."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from landline.adapters.langgraph import adapter
from landline.model import events as log
from landline.model.errors import AgentFailed, Unsupported
from landline.model.messages import FilePart, ImagePart, TextPart
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
from tests.adapters.langgraph_kit import create_agent

MakeAgent = Callable[..., Any]
ANSWER = Text("one two three four")


class Place(BaseModel):
    """A place."""

    city: str
    people: int


@tool
async def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@pytest.fixture(params=["chat", "responses"])
def agent_on(request: pytest.FixtureRequest) -> MakeAgent:
    def make(upstream: ScriptedUpstream, *, timeout_s: float = 5.0, **settings: Any) -> Any:
        model = ChatOpenAI(
            model="gpt-4o",
            base_url=upstream.base_url,
            api_key="test",  # pyright: ignore[reportArgumentType] - a string becomes the secret
            max_retries=0,
            timeout=timeout_s,
            stream_usage=True,
            use_responses_api=request.param == "responses",
        )
        return create_agent(model, [add], **settings)

    return make


async def go(
    agent: Any, line: MemoryLine | None = None, given: Any = "hi", **more: Any
) -> tuple[MemoryLine, Finished]:
    line = line or MemoryLine()
    async with asyncio.timeout(10):
        finished = await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), given, **more))
    check_grammar(line.events)
    return line, finished


@pytest.mark.contract("ADP-2")
async def test_tools_usage_settings_and_model_name_come_over_the_wire(agent_on: MakeAgent) -> None:
    add = ToolCalls([ToolCall("add", {"a": 1, "b": 2}), ToolCall("add", {"a": 3, "b": 4})], text="I add. ")
    with ScriptedUpstream([add, Text("three and seven", model="gpt-4o-x")]) as upstream:
        line, finished = await go(
            agent_on(upstream), settings={"temperature": 0.5, "max_tokens": 77, "top_p": 0.25}
        )
        assert (finished.output, finished.model) == ("three and seven", "gpt-4o-x")
        assert sorted(event.result for event in line.of(log.ToolCompleted)) == [3, 7]
        assert [text for _, text, _ in line.messages()] == ["I add. ", "three and seven"]
        assert len(line.of(log.UsageReported)) == 2
        assert line.of(log.UsageReported)[1].output_tokens == 3
        body = upstream.requests[0].body
        assert (body["temperature"], body["top_p"]) == (0.5, 0.25)
        assert 77 in (body.get("max_completion_tokens"), body.get("max_output_tokens"))


@pytest.mark.contract("ADP-2")
async def test_reasoning_comes_over_the_wire(agent_on: MakeAgent, request: pytest.FixtureRequest) -> None:
    if "chat" in request.node.callspec.id:
        pytest.skip("the client for this wire drops reasoning")
    with ScriptedUpstream([Reasoning("hm well", answer=Text("done"))]) as upstream:
        line, finished = await go(agent_on(upstream))
        assert finished.output == "done"
        assert "".join(event.delta for event in line.of(log.ReasoningDelta)) == "hm well"


@pytest.mark.contract("ADP-2")
async def test_a_setting_that_the_model_does_not_take_is_refused(agent_on: MakeAgent) -> None:
    with ScriptedUpstream([ANSWER]) as upstream:
        with pytest.raises(Unsupported):
            await go(agent_on(upstream), settings={"model": "another"})
        with pytest.raises(Unsupported):
            await go(agent_on(upstream), settings={"seed": 1})
        assert upstream.requests == []


@pytest.mark.contract("ADP-2")
async def test_structured_output_of_the_provider_is_the_object(agent_on: MakeAgent) -> None:
    with ScriptedUpstream([Structured({"city": "Oslo", "people": 7})]) as upstream:
        line, finished = await go(agent_on(upstream, response_format=ProviderStrategy(Place)))
        assert finished.output == {"city": "Oslo", "people": 7}
        assert line.of(log.OutputPartial)[-1].output == finished.output


@pytest.mark.contract("ADP-2", "THR-9")
async def test_images_and_files_reach_the_model_and_their_bytes_stay_out_of_the_history(
    agent_on: MakeAgent,
) -> None:
    files = {
        "f1": ("a.png", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(9000)),
        "f2": ("b.txt", "text/plain", b"note 99"),
        "f3": ("c.pdf", "application/pdf", b"%PDF-" + bytes(9000)),
    }
    parts = [TextPart(text="look"), ImagePart(file_id="f1"), FilePart(file_id="f2"), FilePart(file_id="f3")]
    with ScriptedUpstream([ANSWER]) as upstream:
        line = MemoryLine(files=files)
        _, finished = await go(agent_on(upstream), line, parts)
        sent = str(upstream.requests[0].body)
        assert "iVBORw0KGgo" in sent
        assert "note 99" in sent
        assert "JVBERi0" in sent
        assert finished.native is not None
        kept = bytes(finished.native.messages) + b"".join(line.records.values())
        assert len(kept) < 9000
        assert b"note 99" not in kept


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
    (StreamError(after_tokens=2, answer=ANSWER), {"model_unavailable", "model_invalid_response"}),
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
        assert line.of(log.MessageCompleted) == []
        assert line.of(log.ToolCalled) == []
        assert "127.0.0.1" not in failed.value.detail
        if isinstance(fault, Status) and fault.retry_after is not None:
            assert failed.value.retry_after_s is not None
            assert failed.value.retry_after_s >= fault.retry_after


@pytest.mark.contract("RES-5")
async def test_arguments_that_are_no_json_run_nothing(agent_on: MakeAgent) -> None:
    add = ToolCalls([ToolCall("add", {"a": 1, "b": 2})])
    with ScriptedUpstream([BadArguments(answer=add), add, Text("three")]) as upstream:
        line, _ = await go(agent_on(upstream))
        assert [event.result for event in line.of(log.ToolCompleted)] in ([], [3])


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
