"""AG2 on its real model clients over real HTTP; what holds of every framework is in test_framework_clients."""

from functools import partial

import pytest

from landline.adapters.ag2 import adapter
from landline.model import events as log
from landline.model.errors import AgentFailed, Unsupported
from landline.testing.line import MemoryLine
from landline.testing.upstream import (
    Reasoning,
    ScriptedUpstream,
    Structured,
    Text,
    ToolCall,
    ToolCalls,
)
from tests.adapters import clients_kit
from tests.adapters.clients_kit import MakeAgent, Place

go = partial(clients_kit.go, adapter)


@pytest.fixture
def framework() -> str:
    return "ag2"


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


@pytest.mark.contract("ADP-2")
async def test_output_that_does_not_fit_its_schema_is_no_answer(agent_on: MakeAgent) -> None:
    with ScriptedUpstream([Structured({"city": "Oslo"})]) as upstream:
        line = MemoryLine()
        with pytest.raises(AgentFailed) as failed:
            await go(agent_on(upstream, response_schema=Place), line)
        assert failed.value.code == "model_invalid_response"
        assert line.of(log.MessageCompleted) == []


@pytest.mark.contract("RES-5")
async def test_a_tool_that_does_not_exist_is_told_to_the_model_and_shown(agent_on: MakeAgent) -> None:
    with ScriptedUpstream([ToolCalls([ToolCall("subtract", {"a": 1})]), Text("sorry")]) as upstream:
        line, finished = await go(agent_on(upstream))
        assert finished.output == "sorry"
        assert [event.name for event in line.of(log.ToolCalled)] == ["subtract"]
        assert [event.error.code for event in line.of(log.ToolFailed)] == ["tool_not_found"]
