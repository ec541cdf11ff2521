"""What an adapter declares beyond text and tools: reasoning, settings, files, questions, handoffs."""

import asyncio

import pytest

from landline.model.events import AgentChanged, QuestionAsked, ReasoningDelta
from landline.model.messages import FilePart, ImagePart, Part, TextPart
from landline.testing.adapters.grammar import check_grammar
from landline.testing.adapters.steps import BOUND_S, Steps
from landline.testing.line import MemoryLine, drive, turn_of

__all__ = ["AbilityTests"]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(10)
PDF = b"%PDF-1.4\n" + bytes(20)


class AbilityTests(Steps):
    """Each is skipped when its capability is not declared."""

    @pytest.mark.contract("ADP-2")
    async def test_reasoning_streams_apart_from_the_answer(self) -> None:
        self.need("reasoning")
        line, finished = await self.run(self.kit.reasoning())
        check_grammar(line.events)
        assert "".join(event.delta for event in line.of(ReasoningDelta)) == "Hm, so. "
        assert [text for _, text, _ in line.messages()] == [finished.output] == ["42"]

    @pytest.mark.contract("ADP-2")
    @pytest.mark.parametrize("temperature", [0.25, 0.75])
    async def test_settings_reach_the_model_of_this_run_only(self, temperature: float) -> None:
        self.need("settings")
        spec = self.kit.settings()
        assert "temperature" in self.kit.adapter.describe(spec).settings
        _, plain = await self.run(spec)
        _, told = await self.run(spec, settings={"temperature": temperature}, run_id="run-2")
        _, after = await self.run(spec, run_id="run-3")
        assert float(told.output) == temperature
        assert plain.output == after.output != told.output

    @pytest.mark.contract("ADP-2", "THR-9")
    @pytest.mark.parametrize(
        ("capability", "part", "media_type", "content"),
        [
            ("images", ImagePart(file_id="f1", name="a.png", media_type="image/png"), "image/png", PNG),
            (
                "files",
                FilePart(file_id="f1", name="a.pdf", media_type="application/pdf"),
                "application/pdf",
                PDF,
            ),
        ],
    )
    async def test_a_file_of_the_user_reaches_the_model_whole(
        self, capability: str, part: Part, media_type: str, content: bytes
    ) -> None:
        self.need(capability)
        line = MemoryLine(files={"f1": ("a", media_type, content)})
        given = [TextPart(text="What is this?"), part]
        async with asyncio.timeout(BOUND_S):
            finished = await drive(self.kit.adapter, line, turn_of(line, self.kit.sees(), given))
        assert finished.output == f"{media_type} {len(content)}"
        assert not any(content[:6] in value for value in line.records.values())

    @pytest.mark.contract("ADP-3", "RUN-8")
    async def test_a_question_to_the_user_ends_the_segment_and_its_answer_goes_on(self) -> None:
        self.need("ask")
        spec = self.kit.asks()
        line = await self.until_suspended(spec)
        ((key, asked),) = line.questions.items()
        assert (asked.kind, asked.prompt) == ("input", "Your name?")
        line.answer(key, value="Ada")
        line, finished = await self.resume(spec, line)
        check_grammar(line.events)
        assert finished.output.endswith("Hello, Ada.")
        assert len(line.of(QuestionAsked)) == 1

    @pytest.mark.contract("ADP-2", "EVT-3")
    async def test_a_handoff_is_told_and_the_next_agent_answers(self) -> None:
        self.need("handoffs")
        line, finished = await self.run(self.kit.handoff())
        check_grammar(line.events)
        (changed,) = line.of(AgentChanged)
        assert (changed.source, changed.target) == ("front", "back")
        assert finished.output == "Back here."
