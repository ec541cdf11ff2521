"""The adapter for AG2 passes the published suite, and what the suite has no agent for."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from ag2.context import ConversationContext
from ag2.events import BaseEvent, ToolResultEvent
from ag2.middleware import BaseMiddleware
from ag2.network import TransitionGraph

from landline.adapters.ag2 import AG2Workflow
from landline.model.events import ToolCalled, ToolCompleted, ToolFailed
from landline.ports.adapter import AgentSpec, BroughtTool, ToolPolicy, ToolRaised
from landline.testing.adapters import AdapterConformance, ToolBox, check_grammar
from landline.testing.adapters.steps import results_of
from landline.testing.models.ag2 import Said, call, told, words
from tests.adapters.ag2_kit import AG2Kit, agent, once


def bring(box: ToolBox, **more: Any) -> BroughtTool:
    """A tool as Landline brings it: it adds, and fails when there is nothing to add."""

    async def add(arguments: Mapping[str, Any]) -> Any:
        box.note("add", dict(arguments))
        if not arguments:
            raise ToolRaised("mcp_tool_error", "Nothing to add.")
        return {"sum": arguments["context"] + 1}

    schema = {"type": "object", "title": "Add", "properties": {"context": {"type": "integer"}}}
    return BroughtTool(
        name="add", description="Adds.", parameters=schema, policy=ToolPolicy(**more), call=add
    )


class TestAG2(AdapterConformance):
    kit = AG2Kit()

    @pytest.mark.contract("ADP-6")
    async def test_a_brought_tool_runs_on_the_line_and_its_failure_is_told_in_its_own_words(self) -> None:
        self.need("mcp")

        async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
            if told(messages):
                yield " | ".join(words(result) for result in told(messages))
            else:
                # A name that the framework gives a parameter of its own is an argument like any other.
                yield call("add", context=1)
                yield call("add")

        box = ToolBox()
        tool = bring(box)
        spec = AgentSpec(agent=agent(stream), name="a")
        line, finished = await self.run(spec, tools=[tool])
        check_grammar(line.events)
        assert finished.output == "{'sum': 2} | Nothing to add."
        assert sorted(len(arguments) for _, arguments in box.done) == [0, 1]
        assert len(line.of(ToolCalled)) == 2
        assert [event.result for event in line.of(ToolCompleted)] == [{"sum": 2}]
        (failed,) = line.of(ToolFailed)
        assert (failed.error.code, failed.error.message) == ("mcp_tool_error", "Nothing to add.")
        assert tool.parameters["title"] == "Add"
        _, alone = await self.run(spec, run_id="run-2")
        assert box.counts == {"add": 2}, "the next run was given no tools"
        assert "ToolNotFound" in alone.output

    @pytest.mark.contract("ADP-6")
    async def test_the_agents_of_a_workflow_have_the_brought_tools_too(self) -> None:
        self.need("mcp", "handoffs")
        box = ToolBox()
        script = once("add", context=4)
        team = AG2Workflow(
            [agent(script, name="a"), agent(script, name="b")], TransitionGraph.sequence(["a", "b"])
        )
        line, finished = await self.run(AgentSpec(agent=team, name="team"), tools=[bring(box)])
        assert finished.output == "I was told: {'sum': 5}"
        assert box.counts == {"add": 2}
        assert len(line.of(ToolCompleted)) == 2

    @pytest.mark.contract("ADP-6")
    async def test_a_tool_of_the_owners_keeps_its_name_against_a_brought_one(self) -> None:
        self.need("mcp")

        async def add(context: int) -> str:
            return "the owner's"

        box = ToolBox()
        spec = AgentSpec(agent=agent(once("add", context=1), add), name="a")
        line, _ = await self.run(spec, tools=[bring(box)])
        assert results_of(line) == {"add": "the owner's"}
        assert box.counts == {}

    @pytest.mark.contract("ADP-6")
    async def test_the_agents_own_middleware_is_around_a_brought_tool_and_its_record(self) -> None:
        self.need("mcp")

        class Signing(BaseMiddleware):
            async def on_tool_execution(self, call_next: Any, event: Any, context: Any) -> Any:
                result = await call_next(event, context)
                return ToolResultEvent.from_call(event, result=f"signed {words(result)}")

        spec = AgentSpec(agent=agent(once("add", context=1), middleware=[Signing]), name="a")
        line, finished = await self.run(spec, tools=[bring(ToolBox())])
        assert finished.output == "I was told: signed {'sum': 2}"
        assert results_of(line) == {"add": {"sum": 2}}
