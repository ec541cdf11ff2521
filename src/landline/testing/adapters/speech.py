"""What agents say: text, tools, structured output, and the history that the next turn continues."""

from typing import Any

import pytest

from landline.model.errors import AgentFailed
from landline.model.events import (
    MessageCompleted,
    OutputPartial,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    UsageReported,
    encode,
)
from landline.model.messages import Message, OutputPart, Part, TextPart, ToolCallPart, ToolResultPart
from landline.ports.adapter import Finished
from landline.testing.adapters.grammar import check_grammar
from landline.testing.adapters.kit import ToolBox
from landline.testing.adapters.steps import Steps
from landline.testing.line import MemoryLine, drive, turn_of

__all__ = ["SpeechTests"]

OUTPUT = {"city": "Paris", "people": 2_000_000, "sights": ["Louvre", "Orsay"]}


class SpeechTests(Steps):
    """Streams, outputs, history."""

    @pytest.mark.contract("ADP-2", "FACE-17")
    async def test_text_streams_as_one_message_that_its_deltas_add_up_to(self) -> None:
        self.need("streaming")
        line, finished = await self.run(self.kit.echo())
        check_grammar(line.events)
        assert len(line.of(TextDelta)) >= 3
        assert [text for _, text, _ in line.messages()] == [finished.output] == ["You said: hi"]

    @pytest.mark.contract("ADP-2")
    async def test_usage_is_reported_per_model_call(self) -> None:
        line, _ = await self.run(self.kit.echo())
        (usage,) = line.of(UsageReported)
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0

    @pytest.mark.contract("ADP-2")
    async def test_tools_show_arguments_and_results_after_the_text_before_them(self) -> None:
        self.need("tools")
        box = ToolBox()
        line, finished = await self.run(self.kit.tools(box))
        check_grammar(line.events)
        assert finished.output == "Done."
        assert box.counts == {"first": 1, "second": 1, "third": 1}
        kinds = [event.type for event in line.events if isinstance(event, MessageCompleted | ToolCalled)]
        assert kinds == ["message.completed", *["tool.called"] * 3, "message.completed"]
        called = {event.call_id: event for event in line.of(ToolCalled)}
        results = {called[event.call_id].name: event.result for event in line.of(ToolCompleted)}
        assert results == {"first": 10, "second": 20, "third": 30}
        assert [text for _, text, _ in line.messages()] == ["Let me see. ", "Done."]

    @pytest.mark.contract("ADP-2", "EVT-8")
    async def test_a_tool_that_raises_fails_the_run_without_its_exceptions_text(self) -> None:
        self.need("tools")
        line = MemoryLine()
        spec = self.kit.failing("canary-5512")
        with pytest.raises(AgentFailed) as failed:
            await drive(self.kit.adapter, line, turn_of(line, spec, "hi"))
        (end,) = line.of(ToolFailed)
        assert end.error.code == "tool_error"
        assert b"canary-5512" not in b"".join(map(encode, line.events))
        assert "canary-5512" not in failed.value.detail

    @pytest.mark.contract("ADP-2", "EVT-3")
    async def test_structured_output_grows_and_ends_as_the_output(self) -> None:
        self.need("structured_output")
        line, finished = await self.run(self.kit.structured())
        check_grammar(line.events)
        assert finished.output == OUTPUT
        partials = [event.output for event in line.of(OutputPartial)]
        assert partials[-1] == OUTPUT
        if self.has("partial_output"):
            assert len(partials) >= 3
            sizes = [len(encode(partial)) for partial in partials]
            assert sizes == sorted(sizes)

    @pytest.mark.contract("ADP-2", "AGT-6")
    async def test_the_run_context_reaches_the_agent_and_nothing_else(self) -> None:
        self.need("context")
        line, finished = await self.run(self.kit.context(), context="ctx-7781")
        assert finished.output == "ctx-7781"
        assert not any(
            b"ctx-7781" in value for key, value in line.records.items() if not key.startswith("model")
        )

    @pytest.mark.contract("ADP-2", "THR-3")
    async def test_the_next_turn_continues_from_the_frameworks_own_messages(self) -> None:
        self.need("native_history")
        history: list[Message] = []
        for number, text in enumerate(("a", "b"), 1):
            line, finished = await self.run(self.kit.echo(), text, history=history, run_id=f"run-{number}")
            history += _rows(text, line, finished, run_id=f"run-{number}")
        line, finished = await self.run(self.kit.echo(), "c", history=history, run_id="run-3")
        assert finished.output == "Before: a. Before: b. You said: c"
        assert finished.native is not None
        assert list(self.kit.texts_of(bytes(finished.native.messages))) == ["c", finished.output]

    @pytest.mark.contract("THR-3")
    async def test_another_frameworks_history_is_converted_from_the_displayed_form(self) -> None:
        parts: list[Part] = [
            ToolCallPart(call_id="x", name="gone", arguments={"n": 1}),
            ToolResultPart(call_id="x", name="gone", result=2),
            ToolCallPart(call_id="y", name="open", arguments={}),
            OutputPart(output={"n": 2}),
        ]
        history = [_row("m1", "user", [TextPart(text="a")]), _row("m2", "assistant", parts)]
        history += [_row("m3", "user", [TextPart(text="b")], run_id="run-0b")]
        _, finished = await self.run(self.kit.echo(), "c", history=history)
        assert finished.output == "Before: a. Before: b. You said: c"

    @pytest.mark.contract("FACE-6", "TRU-19")
    async def test_a_history_that_the_client_carries_is_heard(self) -> None:
        self.need("carried_history")
        history = [
            _row("carried-0", "user", [TextPart(text="a")], run_id=None),
            _row("carried-1", "assistant", [TextPart(text="You said: a")], run_id=None),
            _row("carried-2", "user", [TextPart(text="b")], run_id=None),
        ]
        _, finished = await self.run(self.kit.echo(), "c", history=history)
        assert finished.output == "Before: a. Before: b. You said: c"

    @pytest.mark.contract("AGT-2")
    async def test_an_agent_is_described_without_being_run(self) -> None:
        info = self.kit.adapter.describe(self.kit.echo())
        assert (info.framework, bool(info.version)) == (self.kit.adapter.framework, True)
        assert self.kit.adapter.describe(self.kit.echo()).version == info.version
        if "tools" in self.kit.adapter.capabilities:
            box = ToolBox()
            described = self.kit.adapter.describe(self.kit.approval(box))
            assert {tool.name: tool.approval for tool in described.tools} == {"look": False, "delete": True}


def _row(id_: str, role: Any, parts: list[Part], *, run_id: str | None = "run-0", **more: Any) -> Message:
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


def _rows(text: str, line: MemoryLine, finished: Finished, *, run_id: str) -> list[Message]:
    """Return a turn's messages as the store would give them to the next turn."""
    (message_id, said, _) = line.messages()[-1]
    return [
        _row(f"{run_id}-user", "user", [TextPart(text=text)], run_id=run_id),
        _row(message_id, "assistant", [TextPart(text=said)], run_id=run_id, native=finished.native),
    ]
