"""Input for a running Pydantic AI agent: it goes into the next model request, also of a run that was about to end."""

import asyncio
from typing import Any

import pydantic_core
import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from landline.adapters.pydantic_ai import adapter
from landline.model.events import Event, MessageStarted, TextDelta, ToolCalled
from landline.model.messages import FilePart, Part, TextPart
from landline.ports.adapter import AgentSpec, Finished
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.pydantic_ai_kit import Deltas, prompts

Input = str | list[Part]


class Steered:
    """An agent that calls a tool once and then says what it was told; `requests` are the prompts of each request."""

    def __init__(
        self, *, during_tool: Input | None = None, at_the_end: Input | None = None, calls: int = 1
    ) -> None:
        self.line = MemoryLine()
        self.dies_at_request = 0
        self.dies_before: type[Event] = MessageStarted
        self.requests: list[list[str]] = []
        self.given: dict[str, Input | None] = {"tool": during_tool, "end": at_the_end}
        self.tools = 0

        async def stream(messages: list[ModelMessage], _: AgentInfo) -> Deltas:
            self.requests.append(prompts(messages))
            if len(self.requests) == self.dies_at_request:
                self.line.die_before = self.dies_before
            called = sum(isinstance(part, ToolReturnPart) for message in messages for part in message.parts)
            if called < calls:
                yield {0: DeltaToolCall(name="look", json_args="{}", tool_call_id=f"look{called}")}
                return
            yield f"told: {', '.join(text[:10] for text in self.requests[-1])}"
            self.give("end")

        agent = Agent(FunctionModel(stream_function=stream))

        @agent.tool_plain
        async def look() -> str:
            self.tools += 1
            self.give("tool")
            return "seen"

        self.spec = AgentSpec(agent=agent, name="steered")

    def give(self, when: str) -> None:
        text, self.given[when] = self.given[when], None
        if text is not None:
            self.line.give(text)

    async def run(self) -> Finished:
        async with asyncio.timeout(5):
            return await drive(adapter, self.line, turn_of(self.line, self.spec, "one"))


def kinds(finished: Finished) -> list[str]:
    assert finished.native is not None
    native = pydantic_core.from_json(bytes(finished.native.messages))
    return [part["part_kind"] for message in native for part in message["parts"]]


def contents(finished: Finished) -> list[Any]:
    assert finished.native is not None
    native = pydantic_core.from_json(bytes(finished.native.messages))
    return [part.get("content") for message in native for part in message["parts"]]


@pytest.mark.contract("RUN-6", "ADP-2")
def test_it_says_that_it_can_be_steered() -> None:
    assert "steer" in adapter.describe(Steered().spec).capabilities


@pytest.mark.contract("RUN-6", "THR-3")
async def test_input_during_a_tool_goes_into_the_next_request_and_into_history() -> None:
    steered = Steered(during_tool="two")
    finished = await steered.run()
    assert steered.requests == [["one"], ["one", "two"]]
    assert (finished.output, steered.tools) == ("told: one, two", 1)
    assert kinds(finished) == ["user-prompt", "tool-call", "tool-return", "user-prompt", "text"]


@pytest.mark.contract("RUN-6")
@pytest.mark.parametrize("calls", [0, 1])
async def test_a_run_that_was_about_to_end_goes_on_with_it(calls: int) -> None:
    steered = Steered(at_the_end="two", calls=calls)
    finished = await steered.run()
    assert steered.requests[-1] == ["one", "two"]
    assert finished.output == "told: one, two"
    assert "".join(e.delta for e in steered.line.of(TextDelta)) == "told: onetold: one, two"
    assert len(steered.line.messages()) == 2
    assert not steered.line.new_input


@pytest.mark.contract("RUN-6", "ADP-4")
@pytest.mark.parametrize("when", ["during_tool", "at_the_end"])
async def test_it_is_given_at_the_same_place_after_a_crash_and_nothing_runs_twice(when: str) -> None:
    steered = Steered(during_tool="two") if when == "during_tool" else Steered(at_the_end="two")
    # It dies when the answer that knows of the input begins; what was answered before is not asked again.
    told = [["one"], ["one", "two"]] if when == "during_tool" else [["one"], ["one"], ["one", "two"]]
    steered.dies_at_request, steered.dies_before = len(told), TextDelta
    with pytest.raises(Crashed):
        await steered.run()
    assert steered.requests == told
    steered.line = steered.line.resumed()
    steered.line.give("three")
    finished = await steered.run()
    assert (finished.output, steered.tools) == ("told: one, two, three", 1)
    again = steered.requests[len(told) :]
    assert (again[0], again[-1]) == (["one", "two"], ["one", "two", "three"])
    assert ["one"] not in again
    assert len(steered.line.of(ToolCalled)) == 1


@pytest.mark.contract("RUN-6", "ADP-4")
async def test_a_place_that_the_journal_has_passed_takes_nothing_new() -> None:
    steered = Steered(calls=2)
    steered.dies_at_request, steered.dies_before = 2, ToolCalled
    with pytest.raises(Crashed):
        await steered.run()
    # The second response was recorded: it knew nothing of what comes now, and history must not say that it did.
    steered.line = steered.line.resumed()
    steered.line.give("two")
    finished = await steered.run()
    assert steered.requests == [["one"], ["one"], ["one", "two"]]
    assert kinds(finished) == [
        "user-prompt", "tool-call", "tool-return", "tool-call", "tool-return", "user-prompt", "text",
    ]  # fmt: skip
    assert not steered.line.new_input


@pytest.mark.contract("RUN-6", "ADP-4", "THR-3")
@pytest.mark.parametrize("when", ["during_tool", "at_the_end"])
async def test_a_replay_after_the_last_answer_asks_no_model_and_makes_the_same_history(when: str) -> None:
    whole = Steered(during_tool="two") if when == "during_tool" else Steered(at_the_end="two")
    expected = kinds(await whole.run())
    steered = Steered(during_tool="two") if when == "during_tool" else Steered(at_the_end="two")
    finished = await steered.run()
    steered.line.dead = True  # it was lost before its end was written
    steered.line = steered.line.resumed()
    again = await steered.run()
    assert (again.output, kinds(again)) == (finished.output, expected)
    assert contents(again) == contents(finished)
    assert steered.requests == whole.requests


@pytest.mark.contract("RUN-6", "THR-9")
async def test_a_file_can_be_given_too_and_its_bytes_stay_out_of_history() -> None:
    steered = Steered(during_tool=[TextPart(text="two"), FilePart(file_id="f")])
    steered.line = MemoryLine(files={"f": ("a.txt", "text/plain", b"bytes of the file")})
    finished = await steered.run()
    assert "bytes of the file" in steered.requests[-1][-1]
    assert finished.native is not None
    assert b"bytes of the file" not in bytes(finished.native.messages)
    assert b"landline-file:f" in bytes(finished.native.messages)
