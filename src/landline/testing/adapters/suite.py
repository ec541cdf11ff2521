"""The conformance suite for adapters: each test names the contract ids it stands for; what is not declared is skipped."""

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, cast

import pytest

from landline.model.errors import AgentFailed
from landline.model.events import (
    MessageCompleted,
    OutputPartial,
    QuestionAsked,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    UsageReported,
    encode,
)
from landline.model.messages import Message, OutputPart, Part, TextPart, ToolCallPart, ToolResultPart
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.testing.adapters.grammar import check_grammar
from landline.testing.adapters.kit import AdapterKit, ToolBox
from landline.testing.line import Crashed, MemoryLine, drive, turn_of

__all__ = ["AdapterConformance"]

BOUND_S = 5.0
STOP_S = 1.0
OUTPUT = {"city": "Paris", "people": 2_000_000, "sights": ["Louvre", "Orsay"]}


class AdapterConformance:
    """Subclass it as `Test…` and set `kit`."""

    kit: AdapterKit

    def need(self, *capabilities: str) -> None:
        """Skip the test when the adapter does not declare what it is about."""
        missing = set(capabilities) - self.kit.adapter.capabilities
        if missing:
            pytest.skip(f"not declared: {', '.join(sorted(missing))}")

    async def run(self, spec: AgentSpec, text: str = "hi", **given: Any) -> tuple[MemoryLine, Finished]:
        """Run one turn on a new line."""
        line = MemoryLine()
        async with asyncio.timeout(BOUND_S):
            return line, await drive(self.kit.adapter, line, turn_of(line, spec, text, **given))

    # what streams

    @pytest.mark.contract("ADP-2", "FACE-17")
    async def test_text_streams_as_one_message_that_its_deltas_add_up_to(self) -> None:
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
        if "partial_output" in self.kit.adapter.capabilities:
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

    # history

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

    # approvals

    @pytest.mark.contract("ADP-3", "RUN-8")
    async def test_an_approval_keeps_the_other_results_and_nothing_runs_twice(self) -> None:
        self.need("approvals")
        box = ToolBox()
        spec = self.kit.approval(box)
        line = await self.until_suspended(spec)
        assert box.counts == {"look": 1}
        (asked,) = line.of(QuestionAsked)
        assert (asked.kind, asked.tool, asked.arguments) == ("approval", "delete", {"name": "b"})
        line.answer(next(iter(line.questions)), approve=True)
        line, finished = await self.resume(spec, line)
        check_grammar(line.events)
        assert box.counts == {"look": 1, "delete": 1}
        assert "deleted b" in finished.output

    @pytest.mark.contract("ADP-3", "RUN-8")
    async def test_a_denial_reaches_the_model_with_its_reason(self) -> None:
        self.need("approvals")
        box = ToolBox()
        spec = self.kit.approval(box)
        line = await self.until_suspended(spec)
        line.answer(next(iter(line.questions)), approve=False, reason="keep it")
        line, finished = await self.resume(spec, line)
        check_grammar(line.events)
        assert box.counts == {"look": 1}
        assert "keep it" in finished.output
        (end,) = line.of(ToolFailed)
        assert (end.error.code, end.error.message) == ("denied", "keep it")

    @pytest.mark.contract("ADP-3", "RUN-8")
    async def test_edited_arguments_are_what_runs_and_what_the_log_shows(self) -> None:
        self.need("approvals")
        box = ToolBox()
        spec = self.kit.approval(box)
        line = await self.until_suspended(spec)
        line.answer(next(iter(line.questions)), approve=True, arguments={"name": "c"})
        line, finished = await self.resume(spec, line)
        assert ("delete", "c") in box.done
        assert "deleted c" in finished.output
        assert [e.arguments for e in line.of(ToolCalled) if e.name == "delete"] == [{"name": "c"}]

    # crashes

    @pytest.mark.contract("ADP-4", "EVT-6", "REL-1")
    @pytest.mark.parametrize("agent", ["echo", "tools", "structured", "approval"])
    async def test_a_crash_before_any_event_is_made_good(self, agent: str) -> None:
        self.need("tool_resume", *{"tools": ["tools"], "structured": ["structured_output"]}.get(agent, ()))
        whole, expected = await self._to_the_end(agent, ToolBox(), None)
        for index in range(len(whole.events)):
            box = ToolBox()
            line, finished = await self._to_the_end(agent, box, index)
            check_grammar(line.events)
            assert finished.output == expected.output, f"crash before event {index}"
            assert [text for _, text, _ in line.messages()] == [text for _, text, _ in whole.messages()]
            assert _results(line) == _results(whole), f"crash before event {index}"
            # Only a call that was really done and not stored was asked about, and it was allowed to run again.
            again = sum(key.startswith("unknown:") for key in line.answers)
            assert sum(box.counts.values()) <= len(_results(whole)) + again

    async def _to_the_end(
        self, agent: str, box: ToolBox, crash_at: int | None
    ) -> tuple[MemoryLine, Finished]:
        made = {"echo": self.kit.echo, "structured": self.kit.structured}.get(agent)
        spec = made() if made else cast("Callable[[ToolBox], AgentSpec]", getattr(self.kit, agent))(box)
        line = MemoryLine(crash_at=crash_at)
        drop = self.kit.adapter.partial_text == "drop"
        async with asyncio.timeout(BOUND_S):
            while True:
                try:
                    return line, await drive(self.kit.adapter, line, turn_of(line, spec, "hi"))
                except Crashed:
                    line = line.resumed(drop=drop)
                except Suspended:
                    # A line that died while it asked is taken up again before anybody answers.
                    for key in [] if line.dead else list(line.questions):
                        line.answer(key, approve=True)
                    line = line.resumed(drop=drop)

    @pytest.mark.contract("ADP-4")
    async def test_an_unknown_outcome_is_asked_and_runs_again_only_when_allowed(self) -> None:
        self.need("tools", "tool_resume", "approvals")
        for approve in (True, False):
            box = ToolBox()
            spec = self.kit.idempotent(box, idempotent=False)
            line = await self._crashed_in_tool(spec)
            assert box.counts == {"pay": 1}
            with pytest.raises(Suspended):
                await drive(self.kit.adapter, line, turn_of(line, spec, "hi"))
            (key,) = line.questions
            assert key.startswith("unknown:")
            assert "may or may not" in line.questions[key].prompt
            assert box.counts == {"pay": 1}
            line.answer(key, approve=approve)
            line, finished = await self.resume(spec, line)
            check_grammar(line.events)
            assert box.counts == {"pay": 2 if approve else 1}
            if approve:
                assert "paid" in finished.output
            else:
                assert [end.error.code for end in line.of(ToolFailed)] == ["outcome_unknown"]
                assert "not known" in finished.output

    @pytest.mark.contract("ADP-4")
    async def test_an_idempotent_call_of_unknown_outcome_runs_again_unasked(self) -> None:
        self.need("tools", "tool_resume")
        box = ToolBox()
        spec = self.kit.idempotent(box, idempotent=True)
        line = await self._crashed_in_tool(spec)
        finished = await drive(self.kit.adapter, line, turn_of(line, spec, "hi"))
        assert box.counts == {"pay": 2}
        assert "paid" in finished.output

    async def _crashed_in_tool(self, spec: AgentSpec) -> MemoryLine:
        """Return the line of a run whose worker was lost after its tool was done and before that was stored."""
        line = MemoryLine()
        line.die_before = ToolCompleted
        with pytest.raises(Crashed):
            await drive(self.kit.adapter, line, turn_of(line, spec, "hi"))
        return line.resumed()

    # cancelling

    @pytest.mark.contract("ADP-2", "RUN-5")
    @pytest.mark.parametrize("agent", ["endless", "endless_tool"])
    async def test_cancelling_stops_the_model_call_and_the_tools(self, agent: str) -> None:
        self.need("cancel", *(["tools"] if agent == "endless_tool" else []))
        box = ToolBox()
        spec = cast("Callable[[ToolBox], AgentSpec]", getattr(self.kit, agent))(box)
        line = MemoryLine()
        task = asyncio.create_task(drive(self.kit.adapter, line, turn_of(line, spec, "hi")))
        async with asyncio.timeout(BOUND_S):
            await box.started.wait()
        task.cancel()
        async with asyncio.timeout(STOP_S):
            with pytest.raises(asyncio.CancelledError):
                await task
            await box.stopped.wait()
        check_grammar(line.events, whole=False)

    @pytest.mark.contract("ADP-2", "RUN-5")
    async def test_closing_the_stream_of_events_stops_the_model_call(self) -> None:
        self.need("cancel")
        box = ToolBox()
        line = MemoryLine()
        async with asyncio.timeout(BOUND_S):
            async with aclosing(
                cast("Any", self.kit.adapter.run(turn_of(line, self.kit.endless(box), "hi")))
            ) as items:
                async for item in items:
                    if isinstance(item, TextDelta):
                        break
            await box.stopped.wait()

    @pytest.mark.contract("ADP-8", "RUN-5")
    async def test_a_sync_tool_blocks_neither_the_loop_nor_a_cancel(self) -> None:
        self.need("tools", "cancel")
        box = ToolBox()
        line = MemoryLine()
        task = asyncio.create_task(
            drive(self.kit.adapter, line, turn_of(line, self.kit.blocking_tool(box), "hi"))
        )
        try:
            assert await asyncio.to_thread(box.thread_started.wait, BOUND_S)
            task.cancel()
            async with asyncio.timeout(STOP_S):
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert line.unstoppable == {event.call_id for event in line.of(ToolCalled)} != set()
        finally:
            box.release.set()

    # many at once

    @pytest.mark.contract("ADP-9", "AGT-3")
    async def test_fifty_users_on_one_shared_agent_hear_no_word_of_each_other(self) -> None:
        spec = self.kit.echo()
        chance = random.Random(7)  # noqa: S311 - which runs are cancelled is not a secret

        async def user(number: int) -> None:
            word = f"canary-{number:04d}"
            line = MemoryLine()
            task = asyncio.create_task(
                drive(self.kit.adapter, line, turn_of(line, spec, word, run_id=f"run-{number}"))
            )
            cancelled = chance.random() < 0.3
            if cancelled:
                for _ in range(chance.randrange(40)):
                    await asyncio.sleep(0)
                task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(outcome, asyncio.CancelledError):
                assert isinstance(outcome, Finished)
                assert outcome.output == f"You said: {word}"
            told = b"".join([*map(encode, line.events), *line.records.values()])
            others = {f"canary-{other:04d}".encode() for other in range(50) if other != number}
            assert not [other for other in others if other in told]

        async with asyncio.timeout(6 * BOUND_S):
            await asyncio.gather(*(user(number) for number in range(50)))

    # describing

    @pytest.mark.contract("AGT-2")
    async def test_an_agent_is_described_without_being_run(self) -> None:
        info = self.kit.adapter.describe(self.kit.echo())
        assert (info.framework, bool(info.version)) == (self.kit.adapter.framework, True)
        assert self.kit.adapter.describe(self.kit.echo()).version == info.version
        if "tools" in self.kit.adapter.capabilities:
            box = ToolBox()
            described = self.kit.adapter.describe(self.kit.approval(box))
            assert {tool.name: tool.approval for tool in described.tools} == {"look": False, "delete": True}

    # steps of the tests above

    async def until_suspended(self, spec: AgentSpec) -> MemoryLine:
        """Run until questions are open."""
        line = MemoryLine()
        with pytest.raises(Suspended):
            async with asyncio.timeout(BOUND_S):
                await drive(self.kit.adapter, line, turn_of(line, spec, "hi"))
        assert line.questions
        return line

    async def resume(self, spec: AgentSpec, line: MemoryLine) -> tuple[MemoryLine, Finished]:
        """Take the run up again, now that its questions are answered."""
        line = line.resumed()
        async with asyncio.timeout(BOUND_S):
            return line, await drive(self.kit.adapter, line, turn_of(line, spec, "hi"))


def _results(line: MemoryLine) -> dict[str, Any]:
    names = {event.call_id: event.name for event in line.of(ToolCalled)}
    return {names[event.call_id]: event.result for event in line.of(ToolCompleted)}


def _row(id_: str, role: Any, parts: list[Part], *, run_id: str = "run-0", **more: Any) -> Message:
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
