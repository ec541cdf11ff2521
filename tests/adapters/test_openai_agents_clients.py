"""OpenAI agents on real model clients over real HTTP; what holds of every framework is in test_framework_clients."""

import json
from functools import partial

import pytest
from agents import Agent, RunConfig
from agents.models.openai_provider import OpenAIProvider
from openai import AsyncOpenAI

from landline.adapters.openai_agents import OpenAIAgent, adapter
from landline.model import events as log
from landline.model.messages import Message, TextPart
from landline.ports.adapter import Finished, Suspended
from landline.testing.line import Crashed, MemoryLine
from landline.testing.upstream import (
    Reasoning,
    ScriptedUpstream,
    Text,
    ToolCall,
    ToolCalls,
)
from tests.adapters import clients_kit
from tests.adapters.clients_kit import ANSWER, MakeAgent

go = partial(clients_kit.go, adapter)


@pytest.fixture
def framework() -> str:
    return "openai_agents"


@pytest.mark.contract("ADP-2")
async def test_reasoning_tools_usage_and_model_name_come_over_the_wire(agent_on: MakeAgent) -> None:
    both = ToolCalls([ToolCall("add", {"a": 1, "b": 2}), ToolCall("add", {"a": 3, "b": 4})])
    with ScriptedUpstream(
        [Reasoning("hm well", answer=both), Text("three and seven", model="gpt-4o-x")]
    ) as upstream:
        given = {
            "temperature": 0.5,
            "max_tokens": 77,
            "tool_choice": "required",
            "parallel_tool_calls": False,
        }
        line, finished = await go(agent_on(upstream), settings=given)
        assert (finished.output, finished.model) == ("three and seven", "gpt-4o-x")
        assert "".join(event.delta for event in line.of(log.ReasoningDelta)) == "hm well"
        assert sorted(event.result for event in line.of(log.ToolCompleted)) == [3, 7]
        assert len(line.of(log.UsageReported)) == 2
        assert line.of(log.UsageReported)[1].output_tokens == 3
        body = upstream.requests[0].body
        assert body["temperature"] == 0.5
        assert 77 in (body.get("max_tokens"), body.get("max_output_tokens"))
        assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
        # Once a tool was called the model may choose, or it could never answer.
        assert upstream.requests[1].body.get("tool_choice", "auto") == "auto"


@pytest.mark.contract("ADP-2")
async def test_the_request_may_choose_the_model_and_the_shared_agent_keeps_its_own(
    agent_on: MakeAgent,
) -> None:
    with ScriptedUpstream([ANSWER]) as upstream:
        agent = agent_on(upstream)
        await go(agent, settings={"model": "gpt-other"})
        await go(agent)
        assert [request.body["model"] for request in upstream.requests] == ["gpt-other", "gpt-4o"]


@pytest.mark.contract("ADP-2")
async def test_an_agent_without_a_model_takes_the_owners_provider() -> None:
    with ScriptedUpstream([ANSWER]) as upstream:
        client = AsyncOpenAI(base_url=upstream.base_url, api_key="test", max_retries=0)
        provider = OpenAIProvider(openai_client=client, use_responses=False)
        agent = OpenAIAgent(
            agent=Agent(name="a", model="gpt-named"), run_config=RunConfig(model_provider=provider)
        )
        _, finished = await go(agent)
        assert finished.output == "one two three four"
        assert upstream.requests[0].body["model"] == "gpt-named"
        await client.close()


@pytest.mark.contract("ADP-4", "THR-3")
async def test_what_came_over_the_wire_is_replayed_after_a_crash_and_not_paid_for_twice(
    agent_on: MakeAgent,
) -> None:
    both = ToolCalls([ToolCall("add", {"a": 1, "b": 2}), ToolCall("add", {"a": 3, "b": 4})])
    script = [Reasoning("hm", answer=both), ToolCalls([ToolCall("add", {"a": 5, "b": 6})]), Text("all done")]
    with ScriptedUpstream(script) as upstream:
        agent = agent_on(upstream)
        whole, expected = await go(agent)
        for index in range(len(whole.events)):
            asked = len(upstream.requests)
            line = MemoryLine(crash_at=index)
            finished: Finished | None = None
            for _ in range(3):
                try:
                    _, finished = await go(agent, line)
                    break
                except Crashed:
                    line = line.resumed()
                except Suspended:
                    for key in list(line.questions):
                        line.answer(key, approve=True)
                    line = line.resumed()
            assert finished is not None
            assert (finished.output, finished.native is not None) == (expected.output, True)
            assert len(line.of(log.UsageReported)) == 3, f"crash before event {index}"
            # Only the response that the crash cut is asked for again.
            assert len(upstream.requests) - asked <= 4, f"crash before event {index}"


@pytest.mark.contract("THR-3")
async def test_the_next_turn_sends_the_first_ones_items(agent_on: MakeAgent) -> None:
    with ScriptedUpstream(
        [Reasoning("hm", answer=ToolCalls([ToolCall("add", {"a": 1, "b": 2})])), Text("three")]
    ) as upstream:
        agent = agent_on(upstream)
        _, finished = await go(agent)
    parts = [TextPart(text="three")]
    history = [
        Message(
            id="m1", thread_id="t", run_id="r", parent_id=None, seq=0, role="assistant", content="three",
            parts=parts, created_at="2026-01-01T00:00:00.000Z", native=finished.native,
        )
    ]  # fmt: skip
    with ScriptedUpstream([Text("again")] * 5) as upstream:
        agent = agent_on(upstream)
        await go(agent, history=history)
        sent = json.dumps(upstream.requests[0].body)
        assert sent.count('"three"') == 1
        assert sent.count("hi") >= 2
        assert '"3"' in sent
