"""What is given to a run from outside: the user's further input while it goes on, and tools that Landline brings."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from landline.model.events import (
    Event,
    InputReceived,
    MessageCompleted,
    QuestionAsked,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
)
from landline.ports.adapter import AgentSpec, BroughtTool, Finished, ToolPolicy, ToolRaised
from landline.testing.adapters.grammar import check_grammar
from landline.testing.adapters.steps import BOUND_S, Steps, results_of
from landline.testing.line import Crashed, MemoryLine, drive, turn_of

__all__ = ["GivenTests", "Greeter"]


class _Told(MemoryLine):
    """A line that calls `then` after each event."""

    def __init__(self, then: Callable[[MemoryLine, Event], None], *, crash_at: int | None = None) -> None:
        super().__init__(crash_at=crash_at)
        self._then = then

    def _add(self, event: Event) -> None:
        super()._add(event)
        self._then(self, event)


def _speaks_up(line: MemoryLine, _: Event) -> None:
    if not line.of(InputReceived):
        line.give("the door")


def _dies_after_the_call(line: MemoryLine, event: Event) -> None:
    if isinstance(event, ToolCompleted | ToolFailed):
        line.die_before = Event


class Greeter:
    """The brought tool `greet`; notes what it is called with."""

    def __init__(self, *, fails: bool = False, approval: bool = False, client: bool = False) -> None:
        self.calls: list[Mapping[str, Any]] = []
        self._fails = fails
        self.tool = BroughtTool(
            name="greet",
            description="Greets somebody.",
            parameters={"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            policy=ToolPolicy(approval=approval or client),
            call=self._greet,
            client=client,
        )

    async def _greet(self, arguments: Mapping[str, Any]) -> Any:
        self.calls.append(dict(arguments))
        await asyncio.sleep(0)
        if self._fails:
            raise ToolRaised("mcp_down", "The greeter is out.")
        return f"Hello, {arguments['name']}."


class GivenTests(Steps):
    """Each is skipped when its capability is not declared."""

    @pytest.mark.contract("ADP-2", "RUN-6")
    async def test_what_the_user_says_during_a_run_reaches_it_once(self) -> None:
        self.need("steer")
        spec = self.kit.steered()
        assert "steer" in self.kit.adapter.describe(spec).capabilities
        line, alone = await self.run(spec)
        assert "Also:" not in alone.output
        line, finished = await self._drive(spec, _Told(_speaks_up))
        assert finished.output.count("Also: the door") == 1
        assert not line.new_input, "input that is not taken becomes a run of its own"

    @pytest.mark.contract("ADP-4", "RUN-6")
    async def test_what_the_user_said_is_not_lost_by_a_crash_and_not_heard_twice(self) -> None:
        self.need("steer", "tool_resume")
        spec = self.kit.steered()
        whole, expected = await self._drive(spec, _Told(_speaks_up))
        # The first event and the input after it are there: each later event is struck.
        for index in range(2, len(whole.events)):
            line: MemoryLine = _Told(_speaks_up, crash_at=index)
            with pytest.raises(Crashed):
                await self._drive(spec, line)
            line, finished = await self._drive(spec, self._taken_up(line))
            assert finished.output == expected.output, f"crash before event {index}"
            assert not line.new_input

    @pytest.mark.contract("ADP-6")
    async def test_a_brought_tool_is_called_once_and_its_result_is_told(self) -> None:
        self.need("mcp")
        greeter = Greeter()
        line, finished = await self._drive(self.kit.brought(), MemoryLine(), greeter)
        assert greeter.calls == [{"name": "Ada"}]
        (called,) = line.of(ToolCalled)
        assert (called.name, called.arguments) == ("greet", {"name": "Ada"})
        assert results_of(line) == {"greet": "Hello, Ada."}
        assert "Hello, Ada." in finished.output

    @pytest.mark.contract("ADP-4", "ADP-6")
    @pytest.mark.parametrize("fails", [False, True])
    async def test_a_brought_tool_that_was_called_is_not_called_again_after_a_crash(
        self, *, fails: bool
    ) -> None:
        self.need("mcp")
        greeter, spec = Greeter(fails=fails), self.kit.brought()
        line: MemoryLine = _Told(_dies_after_the_call)
        with pytest.raises(Crashed):
            await self._drive(spec, line, greeter)
        line, finished = await self._drive(spec, self._taken_up(line), greeter)
        assert len(greeter.calls) == len(line.of(ToolCalled)) == 1
        assert ("The greeter is out." if fails else "Hello, Ada.") in finished.output

    @pytest.mark.contract("ADP-6", "EVT-8")
    async def test_a_brought_tool_that_fails_is_told_to_the_agent_and_the_run_goes_on(self) -> None:
        self.need("mcp")
        line, finished = await self._drive(self.kit.brought(), MemoryLine(), Greeter(fails=True))
        assert "The greeter is out." in finished.output
        (end,) = line.of(ToolFailed)
        assert (end.error.code, end.error.message) == ("mcp_down", "The greeter is out.")

    @pytest.mark.contract("ADP-3", "ADP-6")
    @pytest.mark.parametrize("approve", [True, False])
    async def test_a_brought_tool_that_needs_approval_waits_for_it(self, *, approve: bool) -> None:
        self.need("mcp", "approvals")
        greeter, spec = Greeter(approval=True), self.kit.brought()
        line = await self.until_suspended(spec, tools=[greeter.tool])
        assert greeter.calls == []
        (asked,) = line.of(QuestionAsked)
        assert (asked.kind, asked.tool, asked.arguments) == ("approval", "greet", {"name": "Ada"})
        line.answer(next(iter(line.questions)), approve=approve, reason=None if approve else "not now")
        line, finished = await self.resume(spec, line, tools=[greeter.tool])
        check_grammar(line.events)
        assert len(greeter.calls) == int(approve)
        assert ("Hello, Ada." if approve else "not now") in finished.output

    @pytest.mark.contract("FACE-6", "FACE-7", "FACE-8")
    async def test_a_tool_of_the_client_is_told_to_it_and_ends_with_its_result(self) -> None:
        self.need("client_tools")
        greeter, spec = Greeter(client=True), self.kit.brought()
        assert "client_tools" in self.kit.adapter.describe(spec).capabilities
        line = await self.until_suspended(spec, tools=[greeter.tool])
        (asked,) = line.of(QuestionAsked)
        assert (asked.kind, asked.tool, asked.arguments) == ("input", "greet", {"name": "Ada"})
        assert asked.call_id
        line.answer(next(iter(line.questions)), value="Good day, Ada.")
        line, finished = await self.resume(spec, line, tools=[greeter.tool])
        check_grammar(line.events)
        assert greeter.calls == [], "only the client carries it out"
        (called,), (ended,) = line.of(ToolCalled), line.of(ToolCompleted)
        assert called.call_id == ended.call_id == asked.call_id
        assert ended.result == "Good day, Ada."
        assert "Good day, Ada." in finished.output

    @pytest.mark.contract("ADP-4", "FACE-7")
    async def test_a_result_of_the_client_is_not_asked_for_again_after_a_crash(self) -> None:
        self.need("client_tools")
        greeter, spec = Greeter(client=True), self.kit.brought()
        waiting = await self.until_suspended(spec, tools=[greeter.tool])
        waiting.answer(next(iter(waiting.questions)), value="Good day, Ada.")
        for struck in (ToolCompleted, MessageCompleted):
            line = waiting.resumed()
            line.die_before = struck
            with pytest.raises(Crashed):
                await self._drive(spec, line, greeter)
            line, finished = await self._drive(spec, self._taken_up(line), greeter)
            assert len(line.of(QuestionAsked)) == len(line.of(ToolCompleted)) == 1
            assert "Good day, Ada." in finished.output

    async def _drive(
        self, spec: AgentSpec, line: MemoryLine, greeter: Greeter | None = None
    ) -> tuple[MemoryLine, Finished]:
        tools = [greeter.tool] if greeter else []
        async with asyncio.timeout(BOUND_S):
            finished = await drive(self.kit.adapter, line, turn_of(line, spec, "hi", tools=tools))
        check_grammar(line.events)
        return line, finished

    def _taken_up(self, line: MemoryLine) -> MemoryLine:
        return line.resumed(drop=self.kit.adapter.partial_text == "drop")
