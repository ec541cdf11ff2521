"""What outlives an answer or a crash: approvals, finished tools, finished responses."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from landline.model.events import (
    QuestionAsked,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
)
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.testing.adapters.grammar import check_grammar
from landline.testing.adapters.kit import ToolBox
from landline.testing.adapters.steps import BOUND_S, Steps, results_of
from landline.testing.line import Crashed, MemoryLine, drive, turn_of

__all__ = ["RecoveryTests"]


class RecoveryTests(Steps):
    """Approvals and crashes."""

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
            assert results_of(line) == results_of(whole), f"crash before event {index}"
            # Only a call that was really done and not stored was asked about, and it was allowed to run again.
            again = sum(key.startswith("unknown:") for key in line.answers)
            assert sum(box.counts.values()) <= len(results_of(whole)) + again

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
