"""The four tripwires, and what is left of a run that a guard stopped."""

import asyncio
from typing import Any

import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    RunContextWrapper,
    ToolGuardrailFunctionOutput,
    function_tool,
    input_guardrail,
    output_guardrail,
    tool_input_guardrail,
    tool_output_guardrail,
)

from landline.model import events as log
from landline.model.errors import AgentFailed
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.models.openai_agents import Asked, Call
from tests.adapters.openai_agents_kit import Pieces, Place, adapter, agent_of, once


async def go(agent: Agent[Any], line: MemoryLine, *, whole: bool = True) -> Finished:
    try:
        async with asyncio.timeout(10):
            return await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), "hi"))
    finally:
        check_grammar(line.events, whole=whole)


async def blocked(agent: Agent[Any], line: MemoryLine | None = None, *, whole: bool = True) -> MemoryLine:
    line = line or MemoryLine()
    with pytest.raises(AgentFailed) as failed:
        await go(agent, line, whole=whole)
    assert (failed.value.code, failed.value.detail) == ("guard_tripped", "Request blocked.")
    return line


def tripped(line: MemoryLine) -> list[tuple[Any, ...]]:
    return [(event.guard, event.stage, event.action, event.info) for event in line.of(log.GuardTripped)]


def no_input(*, after_s: float, parallel: bool = True) -> Any:
    @input_guardrail(name="no_input", run_in_parallel=parallel)
    async def judge(ctx: RunContextWrapper[Any], agent: Agent[Any], said: Any) -> GuardrailFunctionOutput:
        await asyncio.sleep(after_s)
        return GuardrailFunctionOutput(output_info={"why": "no"}, tripwire_triggered=True)

    return judge


@pytest.mark.contract("ADP-5")
@pytest.mark.parametrize("parallel", [True, False])
async def test_a_guard_of_the_input_stops_the_run_before_any_tool(parallel: bool) -> None:
    done: list[str] = []

    @function_tool
    async def pay() -> str:
        done.append("pay")
        return "paid"

    async def speak(_: Asked) -> Pieces:
        yield "I pay. "
        yield Call("pay")

    # Long enough for the framework to load what it needs for a first tool.
    guard = no_input(after_s=1.0, parallel=parallel)
    line = await blocked(agent_of(speak, tools=[pay], input_guardrails=[guard]))
    assert tripped(line) == [("no_input", "input", "block", {"why": "no"})]
    assert done == []
    assert line.of(log.ToolCalled) == []
    assert line.messages() == []
    said = {event.message_id for event in line.of(log.MessageStarted)}
    assert {event.message_id for event in line.of(log.MessageRetracted)} == said
    assert bool(said) is parallel


@pytest.mark.contract("ADP-5")
async def test_a_guard_that_trips_in_mid_stream_does_not_wait_for_the_models_end() -> None:
    async def speak(_: Asked) -> Pieces:
        yield "one "
        await asyncio.Event().wait()

    line = await blocked(agent_of(speak, input_guardrails=[no_input(after_s=0.1)]))
    assert line.messages() == []


@pytest.mark.contract("ADP-5")
async def test_a_guard_that_lets_pass_changes_nothing_and_a_sync_one_does_not_block() -> None:
    @input_guardrail
    def fine(ctx: RunContextWrapper[Any], agent: Agent[Any], said: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)

    @function_tool
    async def pay() -> str:
        return "paid"

    line = MemoryLine()
    finished = await go(agent_of(once("pay"), tools=[pay], input_guardrails=[fine]), line)
    assert finished.output == "I was told: paid"
    assert tripped(line) == []


@pytest.mark.contract("ADP-5")
async def test_a_guard_that_breaks_fails_the_run_and_lets_no_tool_through() -> None:
    @input_guardrail
    async def broken(ctx: RunContextWrapper[Any], agent: Agent[Any], said: Any) -> GuardrailFunctionOutput:
        await asyncio.sleep(0.05)
        raise RuntimeError("canary")

    done: list[str] = []

    @function_tool
    async def pay() -> str:
        done.append("pay")
        return "paid"

    line = MemoryLine()
    with pytest.raises(AgentFailed) as failed:
        await go(agent_of(once("pay"), tools=[pay], input_guardrails=[broken]), line)
    assert (failed.value.code, done) == ("agent_error", [])
    assert "canary" not in failed.value.detail


@pytest.mark.contract("ADP-5")
@pytest.mark.parametrize("structured", [True, False])
async def test_a_guard_of_the_output_takes_back_what_was_streamed(structured: bool) -> None:
    @output_guardrail(name="no_output")
    async def judge(ctx: RunContextWrapper[Any], agent: Agent[Any], output: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=str(output), tripwire_triggered=True)

    async def speak(_: Asked) -> Pieces:
        yield '{"city": "Paris", "people": 2, '
        yield '"sights": []}'

    kind: Any = Place if structured else None
    line = await blocked(agent_of(speak, output_guardrails=[judge], output_type=kind))
    ((guard, stage, action, info),) = tripped(line)
    assert (guard, stage, action) == ("no_output", "output", "block")
    assert "Paris" in info
    assert line.messages() == []


@pytest.mark.contract("ADP-5")
@pytest.mark.parametrize("stage", ["tool_input", "tool_output"])
@pytest.mark.parametrize("stops", [True, False])
async def test_a_guard_of_a_tool_stops_the_run_or_speaks_to_the_model(stage: str, stops: bool) -> None:
    done: list[str] = []

    def verdict() -> ToolGuardrailFunctionOutput:
        if stops:
            return ToolGuardrailFunctionOutput.raise_exception(output_info="bad")
        return ToolGuardrailFunctionOutput.reject_content("not this", output_info="bad")

    @tool_input_guardrail
    async def before(data: Any) -> ToolGuardrailFunctionOutput:
        return verdict() if stage == "tool_input" else ToolGuardrailFunctionOutput.allow()

    @tool_output_guardrail
    def after(data: Any) -> ToolGuardrailFunctionOutput:
        assert data.output == "secret-77"
        return verdict()

    @function_tool(tool_input_guardrails=[before], tool_output_guardrails=[after])
    async def look() -> str:
        done.append("look")
        return "secret-77"

    agent = agent_of(once("look"), tools=[look])
    line = MemoryLine()
    if stops:
        await blocked(agent, line)
    else:
        assert (await go(agent, line)).output == "I was told: not this"
    name = "before" if stage == "tool_input" else "after"
    assert tripped(line) == [(name, stage, "block" if stops else "reject", "bad")]
    assert done == ([] if stage == "tool_input" else ["look"])
    code = "guard_tripped" if stops else "guard_rejected"
    assert [event.error.code for event in line.of(log.ToolFailed)] == [code]
    assert b"secret-77" not in b"".join(map(log.encode, line.events))


@pytest.mark.contract("ADP-5", "ADP-4")
async def test_a_crash_at_any_event_of_a_blocked_run_still_ends_it_as_blocked() -> None:
    judged: list[str] = []

    def agent() -> Agent[Any]:
        @output_guardrail(name="no_output")
        async def judge(
            ctx: RunContextWrapper[Any], agent: Agent[Any], output: Any
        ) -> GuardrailFunctionOutput:
            judged.append("output")
            return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

        @function_tool
        async def look() -> str:
            return "seen"

        return agent_of(once("look"), tools=[look], output_guardrails=[judge])

    whole = await blocked(agent())
    for index in range(len(whole.events)):
        line = MemoryLine(crash_at=index)
        with pytest.raises(Crashed):
            await go(agent(), line, whole=False)
        line = line.resumed()
        try:
            line = await blocked(agent(), line, whole=False)
        except Suspended:  # the crash hit the tool in mid-call
            for key in list(line.questions):
                line.answer(key, approve=True)
            line = await blocked(agent(), line.resumed())
        assert len(tripped(line)) == 1, f"crash before event {index}"
        assert line.messages() == [], f"crash before event {index}"


@pytest.mark.contract("ADP-5", "ADP-4")
async def test_what_guards_decided_is_not_asked_of_them_again() -> None:
    judged: list[str] = []

    @input_guardrail
    async def first(ctx: RunContextWrapper[Any], agent: Agent[Any], said: Any) -> GuardrailFunctionOutput:
        judged.append("input")
        return GuardrailFunctionOutput(output_info={"n": 1}, tripwire_triggered=False)

    @output_guardrail
    async def last(ctx: RunContextWrapper[Any], agent: Agent[Any], output: Any) -> GuardrailFunctionOutput:
        judged.append("output")
        return GuardrailFunctionOutput(output_info=["no"], tripwire_triggered=True)

    async def speak(_: Asked) -> Pieces:
        yield "hello"

    agent = agent_of(speak, input_guardrails=[first], output_guardrails=[last])
    line = MemoryLine()
    line.die_before = log.MessageRetracted
    with pytest.raises(Crashed):
        await go(agent, line, whole=False)
    line = await blocked(agent, line.resumed())
    assert judged == ["input", "output"]
    assert tripped(line) == [("last", "output", "block", ["no"])]
    assert line.messages() == []
