"""Tools of OpenAI agents on the line: failures, timeouts, approvals of every kind, agents as tools, what is refused."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest
from agents import (
    Agent,
    HostedMCPTool,
    LocalShellTool,
    ModelSettings,
    RunContextWrapper,
    ToolOutputImage,
    WebSearchTool,
    function_tool,
)

from landline.model import events as log
from landline.model.errors import AgentFailed, Unsupported
from landline.ports.adapter import AgentSpec, Finished, Suspended, ToolPolicy
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.models.openai_agents import Asked, Call, FunctionModel, Raw
from tests.adapters.openai_agents_kit import Pieces, adapter, agent_of, once


async def go(spec: AgentSpec, line: MemoryLine | None = None, **given: Any) -> Finished:
    line = line or MemoryLine()
    async with asyncio.timeout(10):
        finished = await drive(adapter, line, turn_of(line, spec, "hi", **given))
    check_grammar(line.events)
    return finished


async def suspended(spec: AgentSpec, line: MemoryLine | None = None) -> MemoryLine:
    line = line or MemoryLine()
    with pytest.raises(Suspended):
        await go(spec, line)
    return line


def spec_of(tool: Any, arguments: Any = None, **more: Any) -> AgentSpec:
    return AgentSpec(agent=agent_of(once(tool.name, arguments), tools=[tool]), name="a", **more)


@pytest.mark.contract("ADP-2", "EVT-8")
async def test_a_failure_the_owner_tells_the_model_keeps_its_text_out_of_the_log() -> None:
    @function_tool(failure_error_function=lambda _, error: f"It said {error}")
    async def broken() -> str:
        raise RuntimeError("canary-81")

    line = MemoryLine()
    finished = await go(spec_of(broken), line)
    assert finished.output == "I was told: It said canary-81"
    (end,) = line.of(log.ToolFailed)
    assert (end.error.code, "canary" in end.error.message) == ("tool_error", False)


@pytest.mark.contract("ADP-2")
async def test_the_frameworks_own_words_for_a_failed_tool_reach_the_model() -> None:
    @function_tool
    async def broken() -> str:
        raise RuntimeError("canary-82")

    line = MemoryLine()
    finished = await go(spec_of(broken), line)
    assert "An error occurred while running the tool" in finished.output
    assert [event.error.code for event in line.of(log.ToolFailed)] == ["tool_error"]


@pytest.mark.contract("ADP-4")
async def test_after_a_crash_the_model_is_told_the_same_of_a_failed_call() -> None:
    calls: list[str] = []

    def explain(_: RunContextWrapper[Any], error: Exception) -> str:
        calls.append("explain")
        return f"went wrong {len(calls)}"

    @function_tool(failure_error_function=explain)
    async def broken() -> str:
        calls.append("broken")
        raise RuntimeError

    spec = spec_of(broken)
    line = MemoryLine()
    line.die_before = log.MessageStarted
    with pytest.raises(Crashed):
        await go(spec, line)
    line = line.resumed()
    finished = await go(spec, line)
    assert finished.output == "I was told: went wrong 2"
    assert calls == ["broken", "explain"]


@dataclass
class Price:
    amount: int


@pytest.mark.contract("ADP-4")
async def test_a_result_that_is_no_plain_json_reads_the_same_after_a_crash() -> None:
    @function_tool
    async def price() -> Price:
        return Price(3)

    outputs: list[str] = []
    for crash in (False, True):
        line = MemoryLine()
        spec = spec_of(price)
        if crash:
            line.die_before = log.MessageStarted
            with pytest.raises(Crashed):
                await go(spec, line)
            line = line.resumed()
        outputs.append((await go(spec, line)).output)
        assert [event.result for event in line.of(log.ToolCompleted)] == [{"amount": 3}]
    assert outputs[0] == outputs[1] == "I was told: Price(amount=3)"


@pytest.mark.contract("ADP-2")
async def test_an_image_from_a_tool_reaches_the_model_and_not_the_log() -> None:
    @function_tool
    async def draw() -> ToolOutputImage:
        return ToolOutputImage(image_url="data:image/png;base64,AAAA")

    async def speak(asked: Asked) -> Pieces:
        if not asked.told:
            yield Call("draw")
        else:
            yield str(asked.told[0][1])

    line = MemoryLine()
    finished = await go(AgentSpec(agent=agent_of(speak, tools=[draw]), name="a"), line)
    assert "data:image/png" in finished.output
    assert [event.result for event in line.of(log.ToolCompleted)] == [{"type": "image"}]


@pytest.mark.contract("ADP-2")
async def test_a_tool_that_takes_too_long_is_a_failed_call() -> None:
    @function_tool(timeout=0.05)
    async def slow() -> str:
        await asyncio.Event().wait()
        return "never"

    line = MemoryLine()
    assert "timed out" in (await go(spec_of(slow), line)).output
    assert [event.error.code for event in line.of(log.ToolFailed)] == ["tool_timeout"]


@pytest.mark.contract("ADP-8")
async def test_sync_tools_with_context_run_beside_each_other_and_off_the_loop() -> None:
    @function_tool
    def nap(ctx: RunContextWrapper[str], n: int = 1) -> str:
        """Take a nap."""
        time.sleep(0.2)
        return f"{ctx.context}{n}"

    async def speak(asked: Asked) -> Pieces:
        if not asked.told:
            for n in range(8):
                yield Call("nap", {"n": n})
        else:
            yield " ".join(told for _, told in asked.told)

    began, ticks = time.monotonic(), 0
    task = asyncio.create_task(go(AgentSpec(agent=agent_of(speak, tools=[nap]), name="a"), context="x"))
    while not task.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert (await task).output == "x0 x1 x2 x3 x4 x5 x6 x7"
    assert time.monotonic() - began < 1.2
    assert ticks >= 10


@pytest.mark.contract("ADP-3")
async def test_a_policy_and_a_callable_decide_who_is_asked_and_once_decided_it_stays() -> None:
    judged: list[int] = []

    async def over_ten(_: Any, arguments: dict[str, Any], __: str) -> bool:
        judged.append(arguments["n"])
        return arguments["n"] > 10

    @function_tool(needs_approval=over_ten)
    async def spend(n: int) -> str:
        return f"spent {n}"

    assert (await go(spec_of(spend, {"n": 3}))).output == "I was told: spent 3"
    line = await suspended(spec_of(spend, {"n": 30}))
    (key,) = line.questions
    line.answer(key, approve=True)
    assert (await go(spec_of(spend, {"n": 30}), line.resumed())).output == "I was told: spent 30"
    assert judged == [3, 30]
    line = await suspended(spec_of(spend, {"n": 3}, tools={"spend": ToolPolicy(approval=True)}))
    assert len(line.questions) == 1


@pytest.mark.contract("ADP-3")
async def test_two_calls_that_need_approval_are_asked_together_and_a_partial_answer_waits_on() -> None:
    done: list[str] = []

    @function_tool(needs_approval=True)
    async def delete(name: str) -> str:
        done.append(name)
        return f"deleted {name}"

    async def speak(asked: Asked) -> Pieces:
        if not asked.told:
            yield Call("delete", {"name": "a"})
            yield Call("delete", {"name": "b"})
        else:
            yield " | ".join(told for _, told in asked.told)

    spec = AgentSpec(agent=agent_of(speak, tools=[delete]), name="a")
    line = await suspended(spec)
    first, second = line.questions
    line.answer(first, approve=True)
    line = await suspended(spec, line.resumed())
    assert done == ["a"]
    line.answer(second, approve=False, reason="keep b")
    finished = await go(spec, line.resumed())
    assert finished.output == "deleted a | keep b"
    assert done == ["a"]


@pytest.mark.contract("ADP-3")
@pytest.mark.parametrize("behavior", ["stop_on_first_tool", "callable"])
async def test_a_waiting_call_is_never_taken_for_the_answer(behavior: str) -> None:
    from agents.agent import ToolsToFinalOutputResult

    seen: list[str] = []

    def final(_: Any, results: Any) -> ToolsToFinalOutputResult:
        seen.append(results[0].output)
        return ToolsToFinalOutputResult(is_final_output=True, final_output=results[0].output)

    @function_tool(needs_approval=True)
    async def delete() -> str:
        return "deleted"

    use: Any = final if behavior == "callable" else behavior
    agent = agent_of(once("delete"), tools=[delete], tool_use_behavior=use)
    spec = AgentSpec(agent=agent, name="a")
    line = await suspended(spec)
    line.answer(next(iter(line.questions)), approve=True)
    assert (await go(spec, line.resumed())).output == "deleted"
    assert seen == (["deleted"] if behavior == "callable" else [])


@pytest.mark.contract("ADP-4")
async def test_an_agent_behind_a_tool_is_one_journalled_call() -> None:
    inner_calls: list[int] = []

    @function_tool
    async def count() -> int:
        inner_calls.append(1)
        return len(inner_calls)

    inner = agent_of(once("count"), name="inner", tools=[count])
    asks = inner.as_tool(tool_name="ask_inner", tool_description="Ask.")
    spec = AgentSpec(agent=agent_of(once("ask_inner", {"input": "go"}), tools=[asks]), name="a")
    line = MemoryLine()
    line.die_before = log.MessageStarted
    with pytest.raises(Crashed):
        await go(spec, line)
    line = line.resumed()
    assert (await go(spec, line)).output == "I was told: I was told: 1"
    assert inner_calls == [1]
    assert [event.name for event in line.of(log.ToolCalled)] == ["ask_inner"]


@pytest.mark.contract("ADP-3")
async def test_an_approval_within_an_agent_behind_a_tool_is_refused() -> None:
    @function_tool(needs_approval=True)
    async def delete() -> str:
        raise AssertionError

    inner = agent_of(once("delete"), name="inner", tools=[delete])
    asks = inner.as_tool(tool_name="ask_inner", tool_description="Ask.")
    spec = AgentSpec(agent=agent_of(once("ask_inner", {"input": "go"}), tools=[asks]), name="a")
    with pytest.raises(Unsupported) as refused:
        await go(spec)
    assert refused.value.code == "nested_approval"


@pytest.mark.contract("ADP-2")
async def test_tools_that_work_on_the_machine_and_unknown_settings_are_refused() -> None:
    shell = LocalShellTool(executor=lambda _: "x")
    with pytest.raises(Unsupported) as refused:
        await go(AgentSpec(agent=agent_of(once("x"), tools=[shell]), name="a"))
    assert refused.value.code == "local_tool"
    with pytest.raises(Unsupported):
        await go(AgentSpec(agent=agent_of(once("x")), name="a"), settings={"verbosity": 1})


@pytest.mark.contract("AGT-3", "ADP-2")
async def test_nothing_is_written_on_the_shared_agent() -> None:
    @function_tool(needs_approval=True)
    def look() -> str:
        return "seen"

    async def speak(_: Asked) -> Pieces:
        yield "hello"

    other = agent_of(speak, name="other", tools=[look])
    agent = agent_of(speak, tools=[look], handoffs=[other], model_settings=ModelSettings(temperature=0.1))
    before = [dict(vars(one)) for one in (agent, other, look)]
    model = agent.model
    assert isinstance(model, FunctionModel)
    await go(AgentSpec(agent=agent, name="a"), settings={"temperature": 0.9, "max_tokens": 5})
    assert [dict(vars(one)) for one in (agent, other, look)] == before
    assert (model.calls[0].settings.temperature, model.calls[0].settings.max_tokens) == (0.9, 5)


@pytest.mark.contract("ADP-2")
async def test_a_run_that_never_ends_its_calls_is_stopped_by_its_limit() -> None:
    from landline.adapters.openai_agents import OpenAIAgent

    @function_tool
    async def again() -> str:
        return "again"

    async def speak(_: Asked) -> Pieces:
        yield Call("again")

    agent: Agent[Any] = agent_of(speak, tools=[again])
    with pytest.raises(AgentFailed) as failed:
        await go(AgentSpec(agent=OpenAIAgent(agent=agent, max_turns=3), name="a"))
    assert failed.value.code == "usage_limit"


@pytest.mark.contract("ADP-2", "ADP-4")
async def test_tools_that_the_provider_ran_are_told_once_and_its_sources_shown() -> None:
    async def speak(_: Asked) -> Pieces:
        yield Raw(
            {
                "type": "web_search_call",
                "id": "ws_1",
                "status": "completed",
                "action": {"type": "search", "query": "x"},
            }
        )
        yield Raw(
            {
                "type": "message",
                "id": "m1",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {
                        "type": "output_text",
                        "text": "found",
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url": "https://example.org/",
                                "title": "Example",
                                "start_index": 0,
                                "end_index": 5,
                            }
                        ],
                    }
                ],
            }
        )

    spec = AgentSpec(agent=agent_of(speak, tools=[WebSearchTool()]), name="a")
    line = MemoryLine()
    line.die_before = log.MessageCompleted
    with pytest.raises(Crashed):
        await go(spec, line)
    line = line.resumed()
    assert (await go(spec, line)).output == "found"
    assert [(e.name, e.arguments["action"]["query"]) for e in line.of(log.ToolCalled)] == [
        ("web_search", "x")
    ]
    assert {(e.title, e.url) for e in line.of(log.SourceAdded)} == {("Example", "https://example.org/")}


@pytest.mark.contract("ADP-3")
@pytest.mark.parametrize("approve", [True, False])
async def test_a_hosted_mcp_server_asks_through_the_line(approve: bool) -> None:
    answers: list[Any] = []

    async def speak(asked: Asked) -> Pieces:
        answers[:] = [item for item in asked.items if item.get("type") == "mcp_approval_response"]
        if not answers:
            yield Raw(
                {
                    "type": "mcp_approval_request",
                    "id": "ask_1",
                    "name": "delete",
                    "arguments": '{"name": "x"}',
                    "server_label": "notes",
                }
            )
        else:
            yield "done"

    config: Any = {"type": "mcp", "server_label": "notes", "server_url": "https://example.org/mcp"}
    spec = AgentSpec(agent=agent_of(speak, tools=[HostedMCPTool(tool_config=config)]), name="a")
    line = await suspended(spec)
    ((key, ask),) = line.questions.items()
    assert (key, ask.tool) == ("ask_1", "delete")
    line.answer(key, approve=approve)
    assert (await go(spec, line.resumed())).output == "done"
    assert [item["approve"] for item in answers] == [approve]
