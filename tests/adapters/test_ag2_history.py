"""AG2's own events kept from turn to turn: lossless, safe to read, files by id, other frameworks' threads converted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from ag2.context import ConversationContext
from ag2.events import (
    BaseEvent,
    BinaryInput,
    BinaryType,
    DataInput,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolCallEvent,
    ToolCallsEvent,
    ToolErrorEvent,
    ToolResult,
    ToolResultEvent,
    ToolResultsEvent,
    Usage,
    UsageEvent,
)
from ag2.network import Handoff
from openai.types.responses import ResponseReasoningItem

from landline.adapters.ag2 import adapter
from landline.adapters.ag2.codec import dump_events, load_events
from landline.adapters.ag2.messages import history_of
from landline.model.errors import AgentFailed
from landline.model.messages import (
    FilePart,
    ImagePart,
    Message,
    Native,
    OutputPart,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from landline.ports.adapter import AgentSpec, Finished
from landline.testing.line import MemoryLine, drive, turn_of
from landline.testing.models.ag2 import Said, call, told
from tests.adapters.ag2_kit import agent, once


def row(id_: str, role: Any, parts: Sequence[Part], *, run_id: str = "run-0", **more: Any) -> Message:
    return Message(
        id=id_,
        thread_id="thread-1",
        run_id=run_id,
        parent_id=None,
        seq=0,
        role=role,
        content="".join(part.text for part in parts if isinstance(part, TextPart)),
        parts=parts,
        created_at="2026-01-01T00:00:00.000Z",
        **more,
    )


class Recorder:
    """A model that keeps what it was told."""

    def __init__(self) -> None:
        self.heard: list[list[BaseEvent]] = []

    async def script(self, messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        self.heard.append(list(messages))
        yield "ok"


async def go(
    made: Any, parts: str | Sequence[Part], line: MemoryLine | None = None, **given: Any
) -> Finished:
    line = line or MemoryLine()
    async with asyncio.timeout(5):
        return await drive(adapter, line, turn_of(line, AgentSpec(agent=made, name="a"), parts, **given))


@pytest.mark.contract("THR-3")
def test_all_kinds_of_events_come_back_as_they_were() -> None:
    from ag2.config.openai.events import OpenAIReasoningEvent

    asked = ToolCallEvent("f", id="1", arguments='{"a": 1}', vendor_metadata={"caller": "x"})
    item = ResponseReasoningItem(id="rs_1", summary=[], type="reasoning", encrypted_content="e30")
    events: list[BaseEvent] = [
        ModelRequest([TextInput("hi", metadata={"k": [1, None]}), DataInput({"n": 1.5})]),
        ModelRequest([BinaryInput(b"\x00\xff", media_type="image/png", kind=BinaryType.IMAGE)]),
        OpenAIReasoningEvent("thought", item=item),
        ModelResponse(
            ModelMessage("yo"),
            tool_calls=ToolCallsEvent([asked]),
            usage=Usage(1, 2, 3),
            model="m",
            finish_reason="stop",
        ),
        asked,
        ToolResultsEvent(
            [
                ToolResultEvent(parent_id="1", name="f", result=ToolResult({"k": ["v"]}, metadata={"m": 1})),
                ToolResultEvent.from_call(asked, Handoff(target="b", reason="why")),
            ]
        ),
        UsageEvent(Usage(1, 2, 3), model="m"),
    ]
    back = load_events(dump_events(events))
    assert back == events
    assert [event.__dict__.keys() for event in back] == [event.__dict__.keys() for event in events]
    assert dump_events(back) == dump_events(events)
    assert isinstance(back[2], OpenAIReasoningEvent)
    assert back[2].item == item


@pytest.mark.contract("THR-3")
def test_what_users_and_tools_write_never_becomes_an_object() -> None:
    evil: Any = {
        "$ag2": "record",
        "class": "subprocess:Popen",
        "data": {"args": "true"},
        "__event__": "os.system",
    }
    (back,) = load_events(dump_events([ModelRequest([DataInput(evil)])]))
    assert isinstance(back, ModelRequest)
    assert isinstance(back.parts[0], DataInput)
    assert back.parts[0].data == evil


@pytest.mark.contract("THR-3")
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("record", "subprocess:Popen"),
        ("event", "os:system"),
        ("model", "ag2.events.types:Usage"),
        ("event", "ag2.events._serialization:_resolve_class"),
    ],
)
def test_a_stored_turn_that_names_another_class_is_refused(kind: str, name: str) -> None:
    stored = msgspec.json.encode([{"$ag2": kind, "class": name, "data": {}}])
    with pytest.raises((ValueError, TypeError), match="stored messages"):
        load_events(stored)


@pytest.mark.contract("THR-3")
async def test_a_forged_turn_ends_the_run_and_makes_nothing() -> None:
    forged = msgspec.json.encode([{"$ag2": "record", "class": "subprocess:Popen", "data": {"args": "true"}}])
    native = Native(framework="ag2", version=1, messages=msgspec.Raw(forged))
    history = [row("m1", "user", [TextPart(text="a")]), row("m2", "assistant", [], native=native)]
    with pytest.raises(AgentFailed) as failed:
        await go(agent(Recorder().script), "b", history=history)
    assert "subprocess" not in failed.value.detail


@pytest.mark.contract("THR-3")
async def test_a_turn_with_tools_is_continued_exactly() -> None:
    async def half(n: int) -> dict[str, int]:
        return {"half": n // 2}

    first = await go(agent(once("half", n=8), half), "a")
    assert first.native is not None
    history = [row("m1", "user", [TextPart(text="a")]), row("m2", "assistant", [], native=first.native)]
    recorder = Recorder()
    await go(agent(recorder.script), "b", history=history, run_id="run-1")
    (heard,) = recorder.heard
    kinds = [type(event) for event in heard if type(event) in (ModelRequest, ModelResponse, ToolResultsEvent)]
    assert kinds == [ModelRequest, ModelResponse, ToolResultsEvent, ModelResponse, ModelRequest]
    results = next(event for event in heard if isinstance(event, ToolResultsEvent))
    assert isinstance(part := results.results[0].result.parts[0], DataInput)
    assert part.data == {"half": 4}
    assert dump_events(load_events(bytes(first.native.messages))) == bytes(first.native.messages)


@pytest.mark.contract("THR-3")
async def test_another_frameworks_thread_comes_as_it_was_shown() -> None:
    parts: list[Part] = [
        TextPart(text="Let me see. "),
        ToolCallPart(call_id="x", name="gone", arguments={"n": 1}),
        ToolResultPart(call_id="x", name="gone", error="It failed."),
        ToolCallPart(call_id="y", name="open", arguments={}),
        OutputPart(output={"n": 2}),
    ]
    history = [row("m1", "user", [TextPart(text="a")]), row("m2", "assistant", parts)]
    told_ = await history_of(history, MemoryLine())
    first, said, results, last = told_
    assert isinstance(first, ModelRequest)
    assert isinstance(said, ModelResponse)
    assert (said.content, [one.id for one in said.tool_calls.calls]) == ("Let me see. ", ["x"])
    assert isinstance(results, ToolResultsEvent)
    assert results.results[0].result.parts == [TextInput("It failed.")]
    assert isinstance(last, ModelResponse)
    assert last.content == '{"n":2}'


FILES = {"f1": ("cat.png", "image/png", b"\x89cat"), "f2": ("a.pdf", "application/pdf", b"%PDF")}


@pytest.mark.contract("THR-9", "ADP-2")
async def test_files_reach_the_model_and_only_their_ids_are_kept() -> None:
    recorder = Recorder()
    made = agent(recorder.script)
    parts = [TextPart(text="what is it?"), ImagePart(file_id="f1"), FilePart(file_id="f2")]
    finished = await go(made, parts, MemoryLine(files=FILES))
    request = recorder.heard[0][-1]
    assert isinstance(request, ModelRequest)
    text, image, document = request.parts
    assert isinstance(image, BinaryInput)
    assert isinstance(document, BinaryInput)
    assert (image.data, image.kind) == (b"\x89cat", BinaryType.IMAGE)
    assert (document.data, document.kind) == (b"%PDF", BinaryType.DOCUMENT)
    assert document.vendor_metadata == {"filename": "a.pdf"}
    assert finished.native is not None
    stored = bytes(finished.native.messages)
    assert b"iWNhd" not in stored  # the bytes in base64
    history = [
        row("m1", "user", parts),
        row("m2", "assistant", [TextPart(text="ok")], native=finished.native),
    ]
    await go(made, "and now?", MemoryLine(files=FILES), history=history, run_id="run-1")
    again = recorder.heard[1][0]
    assert isinstance(again, ModelRequest)
    assert again.parts == request.parts
    await go(made, "and now?", MemoryLine(files={"f1": FILES["f1"]}), history=history, run_id="run-2")
    later = recorder.heard[2][0]
    assert isinstance(later, ModelRequest)
    assert later.parts[:2] == [text, image]
    assert later.parts[2] == TextInput("[A file that was here has been deleted.]")


@pytest.mark.contract("THR-5")
async def test_an_older_question_is_answered_again_and_stands_once_in_later_history() -> None:
    recorder = Recorder()
    made = agent(recorder.script)
    asked = row("m1", "user", [TextPart(text="a")])
    finished = await go(made, [], history=[asked], run_id="run-1")
    assert [len(heard) for heard in recorder.heard] == [1]
    answered = row("m2", "assistant", [TextPart(text="ok")], run_id="run-1", native=finished.native)
    await go(made, "b", history=[asked, answered], run_id="run-2")
    requests = [event for event in recorder.heard[1] if isinstance(event, ModelRequest)]
    assert [event.parts for event in requests] == [[TextInput("a")], [TextInput("b")]]


@pytest.mark.contract("THR-3", "EVT-8")
async def test_a_turn_whose_tool_failed_can_be_kept() -> None:
    async def broken() -> str:
        raise LookupError("gone")

    async def stream(messages: Sequence[BaseEvent], _: ConversationContext) -> AsyncIterator[Said]:
        yield "sorry" if told(messages) else call("broken")

    finished = await go(agent(stream, broken), "a")
    assert finished.native is not None
    back = load_events(bytes(finished.native.messages))
    assert any(isinstance(event, ToolErrorEvent) for event in back)
