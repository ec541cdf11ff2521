"""LangGraph on a real model client over real HTTP; what holds of every framework is in test_framework_clients."""

from functools import partial

import pytest
from langchain.agents.structured_output import ProviderStrategy

from landline.adapters.langgraph import adapter
from landline.model import events as log
from landline.model.errors import Unsupported
from landline.model.messages import FilePart, ImagePart, TextPart
from landline.testing.line import MemoryLine
from landline.testing.upstream import (
    BadArguments,
    Reasoning,
    ScriptedUpstream,
    Structured,
    Text,
    ToolCall,
    ToolCalls,
)
from tests.adapters import clients_kit
from tests.adapters.clients_kit import ANSWER, MakeAgent, Place

go = partial(clients_kit.go, adapter)


@pytest.fixture
def framework() -> str:
    return "langgraph"


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
@pytest.mark.parametrize("agent_on", ["responses"], indirect=True)
async def test_reasoning_comes_over_the_wire(agent_on: MakeAgent) -> None:
    """Over the other wire this client drops it."""
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


@pytest.mark.contract("RES-5")
async def test_arguments_that_are_no_json_run_nothing(agent_on: MakeAgent) -> None:
    add = ToolCalls([ToolCall("add", {"a": 1, "b": 2})])
    with ScriptedUpstream([BadArguments(answer=add), add, Text("three")]) as upstream:
        line, _ = await go(agent_on(upstream))
        assert [event.result for event in line.of(log.ToolCompleted)] in ([], [3])
