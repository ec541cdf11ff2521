"""Tools of Pydantic AI agents on the line: what is shown and what is recorded."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.exceptions import ModelRetry, ToolFailed
from pydantic_ai.messages import BinaryContent, ModelMessage, ToolReturn, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.models.test import TestModel

from landline.adapters.pydantic_ai import adapter
from landline.model import events as log
from landline.model.errors import AgentFailed
from landline.ports.adapter import AgentSpec, Finished
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.pydantic_ai_kit import calls, returns


def telling(*first: tuple[str, dict[str, Any]]) -> FunctionModel:
    """A model that makes these calls and then says what it was told, tool by tool."""

    async def stream(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        if told := returns(messages):
            yield " | ".join(f"{part.tool_name}: {part.model_response_str()}" for part in told)
        else:
            yield calls(*first)

    return FunctionModel(stream_function=stream)


async def go(spec: AgentSpec, line: MemoryLine | None = None, **given: Any) -> tuple[MemoryLine, Finished]:
    line = line or MemoryLine()
    async with asyncio.timeout(5):
        finished = await drive(adapter, line, turn_of(line, spec, "hi", **given))
    check_grammar(line.events)
    return line, finished


async def replayed(spec: AgentSpec, kind: type[log.Event]) -> Finished:
    """The answer after a crash at the first event of that kind, the answers before it coming from the journal."""
    line = MemoryLine()
    line.die_before = kind
    with pytest.raises(Crashed):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    return (await go(spec, line.resumed()))[1]


def failures(line: MemoryLine) -> list[tuple[str, str]]:
    return [(event.error.code, event.error.message) for event in line.of(log.ToolFailed)]


@pytest.mark.contract("ADP-4")
async def test_ids_that_repeat_in_a_run_are_made_unique() -> None:
    """Scripted models and some providers count their calls from one in every response."""
    count = 0

    async def stream(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        if len(returns(messages)) < 3:
            yield {0: DeltaToolCall(name="add", json_args='{"n": 1}', tool_call_id="call_1")}
        else:
            yield "done"

    agent = Agent(FunctionModel(stream_function=stream))

    @agent.tool_plain
    async def add(n: int) -> int:
        nonlocal count
        count += n
        return count

    line, _ = await go(AgentSpec(agent=agent, name="a"))
    assert [event.result for event in line.of(log.ToolCompleted)] == [1, 2, 3]
    assert len({event.call_id for event in line.of(log.ToolCalled)}) == 3
    line = MemoryLine(crash_at=len(line.events) - 2)
    with pytest.raises(Crashed):
        await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), "hi"))
    await go(AgentSpec(agent=agent, name="a"), line.resumed())
    assert count == 6


@pytest.mark.contract("ADP-2")
async def test_the_test_model_runs_all_tools() -> None:
    agent = Agent(TestModel())

    @agent.tool_plain
    async def add(n: int) -> int:
        return n + 1

    line, finished = await go(AgentSpec(agent=agent, name="a"))
    assert [event.result for event in line.of(log.ToolCompleted)] == [1]
    assert finished.output == '{"add":1}'
    assert finished.model == "test"


class Note(BaseModel):
    title: str
    score: float


@dataclass
class Pair:
    left: int
    right: bytes


@pytest.mark.contract("ADP-4")
async def test_results_are_the_same_from_the_journal_as_from_the_tool() -> None:
    agent = Agent(telling(("note", {}), ("pair", {}), ("rich", {}), ("picture", {}), ("odd", {})))

    @agent.tool_plain
    async def note() -> Note:
        return Note(title="t", score=1.5)

    @agent.tool_plain
    async def pair() -> list[Pair]:
        return [Pair(1, b"\xff\x00")]

    @agent.tool_plain
    async def rich() -> ToolReturn[str]:
        return ToolReturn(
            "short", content=["longer", BinaryContent(b"PNG", media_type="image/png")], metadata={"a": 1}
        )

    @agent.tool_plain
    async def picture() -> Any:
        return {"shot": BinaryContent(b"\x89PNG", media_type="image/png")}

    @agent.tool_plain
    async def odd() -> float:
        return float("nan")

    spec = AgentSpec(agent=agent, name="a")
    line, live = await go(spec)
    shown = {event.call_id: event.result for event in line.of(log.ToolCompleted)}
    assert shown == {
        "note": {"title": "t", "score": 1.5},
        "pair": [{"left": 1, "right": "_wA="}],
        "rich": "short",
        "picture": {"shot": {"kind": "binary", "media_type": "image/png", "size": 4}},
        "odd": "NaN",
    }
    again = await replayed(spec, log.TextDelta)
    assert again.output == live.output
    assert live.native is not None
    assert again.native is not None
    for native in (live.native, again.native):
        assert b"longer" in bytes(native.messages)
        assert b"iVBORw" not in b"".join(map(log.encode, line.of(log.ToolCompleted)))


@pytest.mark.contract("ADP-2", "ADP-4")
async def test_a_retry_and_a_failure_are_told_to_the_model_and_told_again_after_a_crash() -> None:
    tries: list[int] = []

    async def stream(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        told = returns(messages)
        if len(told) < 2:
            yield calls(("pick", {"n": len(told)}))
        elif len(told) == 2:
            yield calls(("gone", {}))
        else:
            yield " | ".join(part.model_response_str() for part in told)

    agent = Agent(FunctionModel(stream_function=stream))

    @agent.tool_plain
    async def pick(n: int) -> int:
        tries.append(n)
        if n == 0:
            raise ModelRetry("not zero, please")
        return n

    @agent.tool_plain
    async def gone() -> str:
        raise ToolFailed("no such page")

    spec = AgentSpec(agent=agent, name="a")
    line, live = await go(spec)
    assert [code for code, _ in failures(line)] == ["model_retry", "tool_failed"]
    assert "not zero, please" in str(live.output)
    assert "no such page" in str(live.output)
    again = await replayed(spec, log.TextDelta)
    assert again.output == live.output
    assert tries == [0, 1, 0, 1]


@pytest.mark.contract("ADP-2")
async def test_a_call_with_wrong_arguments_or_of_no_tool_is_shown_as_failed() -> None:
    async def stream(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        match len(returns(messages)):
            case 0:
                yield calls(("pick", {"n": "many"}))
            case 1:
                yield calls(("unheard_of", {}))
            case 2:
                yield {0: DeltaToolCall(name="pick", json_args='{"n": ', tool_call_id="bad")}
            case _:
                yield "sorry"

    agent = Agent(FunctionModel(stream_function=stream), retries=3)

    @agent.tool_plain
    async def pick(n: int) -> int:
        raise AssertionError("it must not run")

    spec = AgentSpec(agent=agent, name="a")
    line, finished = await go(spec)
    assert finished.output == "sorry"
    assert [code for code, _ in failures(line)] == ["model_retry"] * 3
    assert failures(line)[0][1].startswith("n: Input should be a valid integer")
    assert len((await go(spec, line.resumed()))[0].of(log.ToolFailed)) == 3


@pytest.mark.contract("ADP-2", "EVT-8")
async def test_an_agent_inside_a_tool_is_journalled_as_that_tool() -> None:
    asked: list[str] = []

    async def inner_stream(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str]:
        asked.append("inner")
        yield "inner says hi"

    inner = Agent(FunctionModel(stream_function=inner_stream))
    agent = Agent(telling(("delegate", {})))

    @agent.tool_plain
    async def delegate() -> str:
        async with inner.run_stream("go") as result:
            return await result.get_output()

    spec = AgentSpec(agent=agent, name="a")
    assert (await replayed(spec, log.TextDelta)).output == "delegate: inner says hi"
    assert asked == ["inner"]


@pytest.mark.contract("AGT-6")
async def test_tools_get_the_context_and_the_users_words() -> None:
    agent = Agent(telling(("who", {})), deps_type=dict[str, str])

    @agent.tool
    async def who(ctx: RunContext[dict[str, str]]) -> str:
        prompt = ctx.messages[0].parts[0]
        assert isinstance(prompt, UserPromptPart)
        return f"{ctx.deps['name']} said {prompt.content}"

    _, finished = await go(AgentSpec(agent=agent, name="a"), context={"name": "Ann"})
    assert finished.output == "who: Ann said hi"


@pytest.mark.contract("ADP-2")
async def test_a_run_past_its_usage_limit_fails_with_its_code() -> None:
    async def stream(_: list[ModelMessage], __: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        yield calls(("again", {}))

    agent = Agent(FunctionModel(stream_function=stream))

    @agent.tool_plain
    async def again() -> str:
        return "again"

    line = MemoryLine()
    with pytest.raises(AgentFailed) as failed:
        await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), "hi"))
    assert failed.value.code == "usage_limit"
