"""Tools of MCP servers on the line: the same promises in each framework, against a real server process (ADP-6)."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from ag2 import Agent as AG2Agent
from ag2.context import ConversationContext
from ag2.events import BaseEvent, ToolCallEvent
from langchain_core.messages import BaseMessage
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo as ModelInfo
from pydantic_ai.models.function import DeltaToolCalls, FunctionModel

import landline
from landline.adapters.ag2 import AG2Adapter
from landline.adapters.langgraph import LangGraphAdapter
from landline.adapters.langgraph.brought import BroughtTools
from landline.adapters.openai_agents import OpenAIAgentsAdapter
from landline.adapters.plain import PlainAdapter, PlainRun, SyncRun
from landline.adapters.pydantic_ai import PydanticAIAdapter
from landline.backends.memory import MemoryStore
from landline.model import errors as landline_errors
from landline.model import events as log
from landline.model.callers import LOCAL
from landline.ports.adapter import Adapter, AgentSpec, Finished, Suspended, ToolRaised
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.models.ag2 import Said, ScriptConfig, told, words
from landline.testing.models.langgraph import Deltas, Scripted
from landline.testing.models.langgraph import returns as tool_messages
from landline.testing.models.openai_agents import Asked, Piece
from landline.testing.models.openai_agents import Call as ModelCall
from landline.upstream.mcp import McpTools
from tests.adapters.ag2_kit import agent
from tests.adapters.langgraph_kit import create_agent
from tests.adapters.mcp_notes import Notes
from tests.adapters.openai_agents_kit import agent_of
from tests.adapters.pydantic_ai_kit import calls, returns

Call = tuple[str, dict[str, Any]]


@pytest.fixture
async def notes(notes: Notes) -> Notes:
    return await notes.start()


def plain_agent(*made: Call) -> Any:
    async def agent(run: PlainRun) -> str:
        told: list[str] = []
        for name, arguments in made:
            try:
                told.append(str(await run.mcp(name, **arguments)))
            except ToolRaised as raised:
                told.append(raised.message)
        return " | ".join(told)

    return agent


def sync_agent(*made: Call) -> Any:
    def agent(run: SyncRun) -> str:
        told: list[str] = []
        for name, arguments in made:
            try:
                told.append(str(run.mcp(name, **arguments)))
            except ToolRaised as raised:
                told.append(raised.message)
        return " | ".join(told)

    return agent


def pydantic_ai_agent(*made: Call) -> Any:
    async def stream(messages: list[ModelMessage], _: ModelInfo) -> AsyncIterator[str | DeltaToolCalls]:
        told = returns(messages)
        if len(told) < len(made):
            yield calls(made[len(told)])
        else:
            yield " | ".join(part.model_response_str() for part in told)

    return Agent(FunctionModel(stream_function=stream))


def ag2_agent(*made: Call) -> Any:
    async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        results = told(messages)
        if len(results) < len(made):
            name, arguments = made[len(results)]
            yield ToolCallEvent(name, id=name, arguments=json.dumps(arguments))
        else:
            yield " | ".join(words(result) for result in results)

    return agent(stream)


def openai_agents_agent(*made: Call) -> Any:
    async def speak(asked: Asked) -> AsyncIterator[Piece]:
        if len(asked.told) < len(made):
            yield ModelCall(*made[len(asked.told)])
        else:
            yield " | ".join(str(told) for _, told in asked.told)

    return agent_of(speak)


def langgraph_agent(*made: Call) -> Any:
    async def stream(messages: list[BaseMessage]) -> Deltas:
        told = tool_messages(messages)
        if len(told) < len(made):
            yield [made[len(told)]]
        else:
            yield " | ".join(str(message.content) for message in told)

    return create_agent(Scripted(script=stream), middleware=[BroughtTools()])


FRAMEWORKS: dict[str, tuple[type[Any], Any]] = {
    "plain": (PlainAdapter, plain_agent),
    "sync": (PlainAdapter, sync_agent),
    "pydantic_ai": (PydanticAIAdapter, pydantic_ai_agent),
    "ag2": (AG2Adapter, ag2_agent),
    "openai_agents": (OpenAIAgentsAdapter, openai_agents_agent),
    "langgraph": (LangGraphAdapter, langgraph_agent),
}


class Bench:
    """An adapter, an agent of its framework that makes the given calls, and the tools of a server."""

    def __init__(self, framework: str) -> None:
        kind, self.agent = FRAMEWORKS[framework]
        self.adapter: Adapter = kind()
        self.brings = McpTools(MemoryStore())

    async def go(self, server: Any, line: MemoryLine, *made: Call, **policies: Any) -> Finished:
        spec = AgentSpec(agent=self.agent(*made), name="a", mcp=[server], tools=policies)
        async with asyncio.timeout(20):
            tools = await self.brings(spec, LOCAL)
            finished = await drive(self.adapter, line, turn_of(line, spec, "hi", tools=tools))
        check_grammar(line.events)
        return finished


@pytest.fixture(params=FRAMEWORKS)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made = Bench(request.param)
    yield made
    await made.adapter.close()
    await made.brings.close()


@pytest.mark.contract("ADP-6")
async def test_a_call_is_on_the_log_with_its_arguments_and_its_result(notes: Notes, bench: Bench) -> None:
    line = MemoryLine()
    assert (await bench.go(landline.mcp(notes.url), line, ("add", {"a": 1, "b": 2}))).output == "3"
    assert [(e.name, e.arguments) for e in line.of(log.ToolCalled)] == [("add", {"a": 1, "b": 2})]
    assert [e.result for e in line.of(log.ToolCompleted)] == [3]


@pytest.mark.contract("ADP-4", "ADP-6")
async def test_a_finished_call_is_not_made_again_after_a_crash(notes: Notes, bench: Bench) -> None:
    """Not even asked for: the server is gone when the run is taken up."""
    line = MemoryLine()
    line.die_before = log.TextDelta
    server = landline.mcp(notes.url)
    with pytest.raises(Crashed):
        await bench.go(server, line, ("add", {"a": 1, "b": 2}))
    await notes.kill()
    assert (await bench.go(server, line.resumed(), ("add", {"a": 1, "b": 2}))).output == "3"
    assert notes.told.count("add 1 2") == 1


@pytest.mark.contract("ADP-4", "ADP-6")
@pytest.mark.parametrize("idempotent", [False, True])
async def test_a_call_in_flight_at_a_crash_is_asked_about_unless_it_may_run_twice(
    notes: Notes, bench: Bench, idempotent: bool
) -> None:
    server = landline.mcp(notes.url, idempotent=idempotent)
    line = MemoryLine()
    line.die_before = log.ToolCompleted
    with pytest.raises(Crashed):
        await bench.go(server, line, ("add", {"a": 1, "b": 2}))
    line = line.resumed()
    if not idempotent:
        with pytest.raises(Suspended):
            await bench.go(server, line, ("add", {"a": 1, "b": 2}))
        assert notes.told.count("add 1 2") == 1
        line.answer(next(iter(line.questions)), approve=True)
        line = line.resumed()
    assert (await bench.go(server, line, ("add", {"a": 1, "b": 2}))).output == "3"
    assert notes.told.count("add 1 2") == 2


@pytest.mark.contract("ADP-3", "ADP-6")
@pytest.mark.parametrize("by", ["server", "name"])
async def test_a_tool_that_needs_approval_runs_once_it_is_approved(
    notes: Notes, bench: Bench, by: str
) -> None:
    server = landline.mcp(notes.url, approval=["forget"] if by == "server" else False)
    policies = {} if by == "server" else {"forget": landline.tool(approval=True)}
    line = MemoryLine()
    with pytest.raises(Suspended):
        await bench.go(server, line, ("forget", {"name": "a"}), **policies)
    assert "forget a" not in notes.told
    line.answer(next(iter(line.questions)), approve=True, arguments={"name": "b"})
    finished = await bench.go(server, line.resumed(), ("forget", {"name": "a"}), **policies)
    assert finished.output == "forgot b"
    assert [told for told in notes.told if told.startswith("forget")] == ["forget b"]


@pytest.mark.contract("ADP-6", "EVT-8")
async def test_a_failed_call_is_told_to_the_agent_and_the_run_goes_on(notes: Notes, bench: Bench) -> None:
    server = landline.mcp(notes.url)
    line = MemoryLine()
    made: tuple[Call, ...] = (("fail", {}), ("add", {"a": 1, "b": 2}), ("die", {}), ("add", {"a": 1, "b": 2}))
    output = str((await bench.go(server, line, *made)).output)
    ink, three, died, down = output.split(" | ")
    assert "no more ink" in ink
    assert three == "3"
    assert "whether the call was carried out is not known" in died
    assert "cannot be reached" in down
    codes = [event.error.code for event in line.of(log.ToolFailed)]
    assert codes == ["mcp_tool_error", "mcp_outcome_unknown", "mcp_down"]
    again = await bench.go(server, line.resumed(), *made)
    assert again.output == output, "taken up again, it is told the same"


async def _turned_off(brings: McpTools, server: Any) -> None:
    """Wait until the loss of the server is noticed; until then its connection is believed."""
    spec = AgentSpec(agent=plain_agent(), name="a", mcp=[server])
    async with asyncio.timeout(10):
        while "add" in [tool.name for tool in await brings(spec, LOCAL)]:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


@pytest.mark.contract("ADP-6")
async def test_a_tool_that_was_turned_off_is_not_called(notes: Notes, bench: Bench) -> None:
    server = landline.mcp(notes.url)
    await bench.go(server, MemoryLine(), ("add", {"a": 1, "b": 2}))
    await notes.kill()
    await notes.start("changed")
    await _turned_off(bench.brings, server)
    line = MemoryLine()
    if isinstance(bench.adapter, PlainAdapter):
        assert "at the moment" in str((await bench.go(server, line, ("add", {"a": 2, "b": 2}))).output)
    elif isinstance(bench.adapter, AG2Adapter | LangGraphAdapter):  # they tell the model, and go on
        await bench.go(server, line, ("add", {"a": 2, "b": 2}))
        code = "tool_not_found" if isinstance(bench.adapter, AG2Adapter) else "tool_denied"
        assert [event.error.code for event in line.of(log.ToolFailed)] == [code]
    else:
        with pytest.raises(landline_errors.AgentFailed):  # the framework's own end of a model that insists
            await bench.go(server, line, *[("add", {"a": 2, "b": 2})] * 9)
    assert "add 2 2" not in notes.told


@pytest.mark.contract("ADP-6")
async def test_a_model_is_told_what_the_server_says_of_its_tools(notes: Notes) -> None:
    seen: list[Any] = []

    async def stream(_: list[ModelMessage], info: ModelInfo) -> AsyncIterator[str]:
        seen.extend(info.function_tools)
        yield "ok"

    async def plain(run: PlainRun) -> None:
        seen.extend(run.mcp_tools)

    async def say(_: Sequence[BaseEvent], __: ConversationContext) -> AsyncIterator[Said]:
        yield "ok"

    config = ScriptConfig(say)
    brings = McpTools(MemoryStore())
    server = landline.mcp(notes.url, tools=["add"], prefix="notes", approval=True)
    for adapter, made in (
        (PydanticAIAdapter(), Agent(FunctionModel(stream_function=stream))),
        (PlainAdapter(), plain),
        (AG2Adapter(), AG2Agent("a", config=config)),
    ):
        spec, line = AgentSpec(agent=made, name="a", mcp=[server]), MemoryLine()
        await drive(adapter, line, turn_of(line, spec, "hi", tools=await brings(spec, LOCAL)))
    await brings.close()
    model, function = seen
    assert model.name == function.name == "notes_add"
    assert model.description == function.description == "Add two numbers."
    assert model.parameters_json_schema == function.parameters
    assert set(function.parameters["properties"]) == {"a", "b"}
    assert function.approval
    (schema,) = config.offered
    assert (schema.function.name, schema.function.description) == (model.name, model.description)
    assert schema.function.parameters == {k: v for k, v in function.parameters.items() if k != "title"}
