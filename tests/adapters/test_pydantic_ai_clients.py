"""Pydantic AI on real model clients over real HTTP; what holds of every framework is in test_framework_clients."""

from functools import partial

import pytest

from landline.adapters.pydantic_ai import adapter
from landline.model import events as log
from landline.testing.upstream import (
    Reasoning,
    ScriptedUpstream,
    Text,
    ToolCall,
    ToolCalls,
)
from tests.adapters import clients_kit
from tests.adapters.clients_kit import MakeAgent

go = partial(clients_kit.go, adapter)


@pytest.fixture
def framework() -> str:
    return "pydantic_ai"


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
