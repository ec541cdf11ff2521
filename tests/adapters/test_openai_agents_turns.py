"""Whole turns of OpenAI agents: handoffs, reasoning, history, files, what is described, and no word to the vendor."""

import asyncio
import json
from typing import Any

import pytest
from agents import Agent, RunConfig, function_tool, handoff
from agents.tracing import TracingProcessor, add_trace_processor, set_trace_processors

from landline.adapters.openai_agents import OpenAIAgent, adapter
from landline.model import events as log
from landline.model.errors import NotFound, Unsupported
from landline.model.messages import FilePart, ImagePart, Message, Native, Part, TextPart
from landline.ports.adapter import AgentSpec, Finished, Suspended, ToolPolicy
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.models.openai_agents import Asked, Call, FunctionModel, Think
from tests.adapters.openai_agents_kit import Pieces, Place, agent_of, once


async def go(agent: Any, line: MemoryLine | None = None, text: Any = "hi", **given: Any) -> Finished:
    line = line or MemoryLine()
    async with asyncio.timeout(10):
        turn = turn_of(line, AgentSpec(agent=agent, name="a"), text, **given)
        finished = await drive(adapter, line, turn)
    check_grammar(line.events)
    return finished


def desk(done: list[str], *, by_hand: bool = False) -> Agent[Any]:
    """A front desk that hands over to billing, which looks something up and hands back."""

    @function_tool
    async def bill() -> str:
        done.append("bill")
        return "12 euros"

    async def front_says(asked: Asked) -> Pieces:
        if any(name == "bill" for name, _ in asked.told):
            yield "Thank you."
        else:
            yield "One moment. "
            yield Call("transfer_to_billing")

    async def billing_says(asked: Asked) -> Pieces:
        if any(name == "bill" for name, _ in asked.told):
            yield "It is 12 euros. "
            yield Call("transfer_to_front")
        else:
            yield Call("bill")

    front = agent_of(front_says, name="front")
    billing = agent_of(billing_says, name="billing", tools=[bill], handoffs=[front])
    front.handoffs = (
        [handoff(billing, on_handoff=lambda _: done.append("on_handoff"))] if by_hand else [billing]
    )
    return front


@pytest.mark.contract("ADP-2")
@pytest.mark.parametrize("by_hand", [True, False])
async def test_handoffs_in_a_circle_are_told_in_their_place(by_hand: bool) -> None:
    done: list[str] = []
    line = MemoryLine()
    assert (await go(desk(done, by_hand=by_hand), line)).output == "Thank you."
    told = [
        (event.source, event.target) if isinstance(event, log.AgentChanged) else event.type
        for event in line.events
        if isinstance(event, log.AgentChanged | log.MessageCompleted | log.ToolCompleted)
    ]
    assert told == [
        "message.completed", ("front", "billing"), "tool.completed",
        "message.completed", ("billing", "front"), "message.completed",
    ]  # fmt: skip
    assert b'"from":"front","to":"billing"' in b"".join(map(log.encode, line.events))


@pytest.mark.contract("ADP-2", "ADP-4")
async def test_after_a_crash_at_any_event_each_handoff_is_told_once() -> None:
    whole = MemoryLine()
    await go(desk([]), whole)
    for index in range(len(whole.events)):
        done: list[str] = []
        line = MemoryLine(crash_at=index)
        with pytest.raises(Crashed):
            await go(desk(done), line)
        line = line.resumed()
        try:
            await go(desk(done), line)
        except Suspended:  # the crash hit the tool in mid-call
            for key in list(line.questions):
                line.answer(key, approve=True)
            line = line.resumed()
            await go(desk(done), line)
        assert len(line.of(log.AgentChanged)) == 2, f"crash before event {index}"


@pytest.mark.contract("ADP-2")
async def test_a_tool_of_the_agent_handed_to_is_under_its_owners_policy() -> None:
    line = MemoryLine()
    spec = AgentSpec(agent=desk([]), name="a", tools={"bill": ToolPolicy(approval=True)})
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    assert [ask.tool for ask in line.questions.values()] == ["bill"]


@pytest.mark.contract("ADP-2", "ADP-4")
async def test_reasoning_streams_and_comes_back_after_a_crash() -> None:
    async def speak(_: Asked) -> Pieces:
        yield Think("hm ")
        yield Think("well")
        yield "yes"

    model = FunctionModel(speak)
    agent: Agent[Any] = Agent(name="a", model=model)
    line = MemoryLine()
    line.die_before = log.MessageCompleted
    with pytest.raises(Crashed):
        await go(agent, line)
    assert [event.delta for event in line.of(log.ReasoningDelta)] == ["hm ", "well"]
    line = line.resumed()
    assert (await go(agent, line)).output == "yes"
    assert line.of(log.ReasoningDelta)[-1].delta == "hm well"
    assert [text for _, text, _ in line.messages()] == ["yes"]
    assert (len(model.calls), len(line.of(log.UsageReported))) == (1, 1)


def row(id_: str, role: Any, parts: list[Part], **more: Any) -> Message:
    content = "".join(part.text for part in parts if isinstance(part, TextPart))
    return Message(
        id=id_, thread_id="t", run_id="run-0", parent_id=None, seq=0, role=role, content=content, parts=parts,
        created_at="2026-01-01T00:00:00.000Z", **more,
    )  # fmt: skip


@pytest.mark.contract("THR-3")
async def test_the_frameworks_items_come_back_as_they_were() -> None:
    async def speak(asked: Asked) -> Pieces:
        if "look" in asked.prompts[-1] and not asked.told:
            yield Think("hm")
            yield Call("look", {"name": "ä"}, "same-id")
        else:
            yield "done"

    @function_tool
    async def look(name: str) -> str:
        return f"saw {name}"

    model = FunctionModel(speak)
    agent: Agent[Any] = Agent(name="a", model=model, tools=[look])
    finished = await go(agent, text="look")
    assert isinstance(finished.native, Native)
    first = json.loads(bytes(finished.native.messages))
    history = [
        row("m1", "user", [TextPart(text="look")]),
        row("m2", "assistant", [TextPart(text="done")], native=finished.native),
    ]
    line = MemoryLine()
    finished = await go(agent, line, text="look again", history=history)
    assert list(model.calls[-1].items[: len(first)]) == first
    # The model gave a call's id a second time: framework and log know calls by their ids.
    (called,) = line.of(log.ToolCalled)
    assert called.call_id == "same-id#2"
    assert finished.native is not None
    assert [item["type"] for item in json.loads(bytes(finished.native.messages))[1:]] == [
        "reasoning", "function_call", "function_call_output", "message",
    ]  # fmt: skip


PNG = ("a.png", "image/png", b"\x89PNG")
PDF = ("a.pdf", "application/pdf", b"%PDF")
TXT = ("a.txt", "text/plain", b"hello")


@pytest.mark.contract("ADP-2", "THR-9")
async def test_images_and_files_reach_the_model_now_and_later_and_never_the_history() -> None:
    async def speak(_: Asked) -> Pieces:
        yield "ok"

    model = FunctionModel(speak)
    agent: Agent[Any] = Agent(name="a", model=model)
    files = {"f1": PNG, "f2": PDF, "f3": TXT}
    parts: list[Part] = [
        TextPart(text="see"), ImagePart(file_id="f1"), FilePart(file_id="f2"), FilePart(file_id="f3"),
    ]  # fmt: skip
    finished = await go(agent, MemoryLine(files=files), parts)
    (asked,) = model.calls[-1].items
    assert [part["type"] for part in asked["content"]] == [
        "input_text",
        "input_image",
        "input_file",
        "input_text",
    ]
    assert asked["content"][1]["image_url"].startswith("data:image/png;base64,")
    assert asked["content"][3]["text"] == "a.txt:\nhello"
    assert finished.native is not None
    assert b"base64" not in bytes(finished.native.messages)
    history = [
        row("m1", "user", parts),
        row("m2", "assistant", [TextPart(text="ok")], native=finished.native),
    ]
    await go(agent, MemoryLine(files=files), history=history)
    assert model.calls[-1].items[0] == asked
    await go(agent, MemoryLine(files={"f1": PNG}), history=history)
    assert [part["type"] for part in model.calls[-1].items[0]["content"]].count("input_text") == 3
    with pytest.raises(NotFound):
        await go(agent, MemoryLine(), parts)
    with pytest.raises(Unsupported):
        await go(agent, MemoryLine(files={"f1": ("a.mp3", "audio/mpeg", b"")}), [FilePart(file_id="f1")])


class Watching(TracingProcessor):
    """Counts the traces it is given; it stands where the exporter to the vendor would."""

    def __init__(self) -> None:
        self.traces = 0

    def on_trace_start(self, trace: Any) -> None:
        self.traces += 1

    def on_trace_end(self, trace: Any) -> None: ...
    def on_span_start(self, span: Any) -> None: ...
    def on_span_end(self, span: Any) -> None: ...
    def shutdown(self) -> None: ...
    def force_flush(self) -> None: ...


@pytest.mark.contract("ADP-2")
async def test_nothing_is_traced_unless_the_owner_asks_for_it() -> None:
    watching = Watching()
    set_trace_processors([])
    add_trace_processor(watching)
    inner = agent_of(once("nothing"), name="inner")
    inner.model = FunctionModel(_hello)
    asks = inner.as_tool(tool_name="ask_inner", tool_description="Ask.")
    agent = agent_of(once("ask_inner", {"input": "go"}), tools=[asks])
    await go(agent)
    await go(OpenAIAgent(agent=agent, run_config=RunConfig(workflow_name="mine")))
    assert watching.traces == 0
    await go(OpenAIAgent(agent=agent, tracing=True))
    assert watching.traces == 1
    set_trace_processors([])


async def _hello(_: Asked) -> Pieces:
    yield "hello"


@pytest.mark.contract("AGT-2")
def test_an_agent_is_described_with_its_tools_settings_and_a_version_of_its_definition() -> None:
    front = desk([])
    info = adapter.describe(AgentSpec(agent=OpenAIAgent(agent=front), name="front-desk"))
    assert [tool.name for tool in info.tools] == ["bill"]
    assert info.tools[0].parameters["type"] == "object"
    assert (info.title, info.framework) == ("Front desk", "openai_agents")
    assert set(info.settings) > {"model", "temperature", "max_tokens", "top_p"}
    assert info.version == adapter.describe(AgentSpec(agent=desk([]), name="front-desk")).version
    changed = desk([])
    changed.instructions = "Be short."
    assert adapter.describe(AgentSpec(agent=changed, name="front-desk")).version != info.version
    place = agent_of(_hello, output_type=Place)
    schema = adapter.describe(AgentSpec(agent=place, name="place")).output_schema
    assert set(schema["properties"]) == {"city", "people", "sights"}
    made = adapter.describe(AgentSpec(agent=None, name="made", make=lambda _: front))
    assert list(made.tools) == []
    assert adapter.matches(front)
    assert adapter.matches(OpenAIAgent(agent=front))
    assert not adapter.matches(_hello)
