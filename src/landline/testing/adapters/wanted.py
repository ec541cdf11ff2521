"""An answer that fits the schema of the client, whatever type the agent's answers have otherwise."""

import asyncio
from collections.abc import Sequence

import pytest

from landline.model.errors import AgentFailed
from landline.model.events import MessageCompleted, OutputPartial, TextDelta, encode
from landline.ports.adapter import BroughtTool, Finished
from landline.testing.adapters.given import Greeter
from landline.testing.adapters.grammar import check_grammar
from landline.testing.adapters.steps import BOUND_S, Steps
from landline.testing.line import Crashed, MemoryLine, drive, turn_of

__all__ = ["WantedTests"]

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "people": {"type": "integer"},
        "sights": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city", "people", "sights"],
    "additionalProperties": False,
}
OUTPUT = {"city": "Paris", "people": 2_000_000, "sights": ["Louvre", "Orsay"]}


class WantedTests(Steps):
    """Each is skipped when `output_schema` is not declared."""

    @pytest.mark.contract("ADP-2", "EVT-3", "FACE-6", "FACE-7")
    async def test_the_answer_is_an_object_that_fits_the_wanted_schema(self) -> None:
        self.need("output_schema")
        spec = self.kit.wanted()
        assert "output_schema" in self.kit.adapter.describe(spec).capabilities
        line, finished = await self._wanted("hi", MemoryLine())
        check_grammar(line.events)
        assert finished.output == OUTPUT
        partials = [event.output for event in line.of(OutputPartial)]
        assert partials[-1] == OUTPUT
        assert not line.of(TextDelta), "an object is not told as text too"
        if self.has("partial_output"):
            assert len(partials) >= 3
            sizes = [len(encode(partial)) for partial in partials]
            assert sizes == sorted(sizes)

    @pytest.mark.contract("AGT-3", "FACE-6")
    async def test_the_schema_is_that_of_one_run(self) -> None:
        self.need("output_schema")
        spec = self.kit.wanted()
        for number, schema in enumerate((None, SCHEMA, None), 1):
            _, finished = await self.run(spec, "hi", run_id=f"run-{number}", output_schema=schema)
            assert finished.output == ("You said: hi" if schema is None else OUTPUT)

    @pytest.mark.contract("EVT-8", "FACE-6")
    async def test_an_answer_that_does_not_fit_fails_the_run(self) -> None:
        self.need("output_schema")
        line = MemoryLine()
        with pytest.raises(AgentFailed) as failed:
            await self._wanted("misfit", line)
        assert failed.value.code == "output_schema_mismatch"
        assert not line.of(MessageCompleted), "nothing is completed"

    @pytest.mark.contract("ADP-4", "FACE-6")
    async def test_a_wanted_answer_is_the_same_wherever_the_run_crashed(self) -> None:
        self.need("output_schema")
        whole, expected = await self._wanted("hi", MemoryLine())
        for index in range(len(whole.events)):
            line = MemoryLine(crash_at=index)
            with pytest.raises(Crashed):
                await self._wanted("hi", line)
            line, finished = await self._wanted("hi", self._again(line))
            check_grammar(line.events)
            assert finished.output == expected.output, f"crash before event {index}"
            assert line.of(OutputPartial)[-1].output == OUTPUT

    @pytest.mark.contract("ADP-4", "FACE-6", "FACE-7")
    async def test_a_wanted_answer_comes_after_the_result_of_the_clients_tool(self) -> None:
        self.need("output_schema", "client_tools")
        greeter = Greeter(client=True)
        line = await self.until_suspended(self.kit.wanted(), output_schema=SCHEMA, tools=[greeter.tool])
        assert not line.of(OutputPartial)
        line.answer(next(iter(line.questions)), approve=True, value="Hello, Ada.")
        answered = line.resumed(drop=self._drops)
        line, finished = await self._wanted("hi", answered, tools=[greeter.tool])
        check_grammar(line.events)
        assert finished.output == OUTPUT
        assert greeter.calls == []

    @property
    def _drops(self) -> bool:
        return self.kit.adapter.partial_text == "drop"

    def _again(self, line: MemoryLine) -> MemoryLine:
        return line.resumed(drop=self._drops)

    async def _wanted(
        self, text: str, line: MemoryLine, tools: Sequence[BroughtTool] = ()
    ) -> tuple[MemoryLine, Finished]:
        spec = self.kit.wanted()
        async with asyncio.timeout(BOUND_S):
            turn = turn_of(line, spec, text, output_schema=SCHEMA, tools=tools)
            return line, await drive(self.kit.adapter, line, turn)
