"""The examples of docs/guards.md do what the page says."""

import re
from pathlib import Path
from typing import Any

import pytest

import landline
from landline.app.build import Landline
from landline.model.callers import LOCAL
from landline.model.messages import TextPart
from landline.ports.runs import StartRun

PAGE = Path(__file__).parents[2] / "docs" / "guards.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.mark.contract("TRU-21")
@pytest.mark.parametrize(
    ("block", "told"), list(zip(BLOCKS, ["Write to [email]", "The code is [code]."], strict=True))
)
async def test_the_examples_run(tmp_path: Path, block: str, told: str) -> None:
    names: dict[str, Any] = {}
    exec(block, names)
    async with Landline([names["agent"]], open=True, data=tmp_path).started() as instance:
        run = (await instance.runs.start(LOCAL, StartRun(input=(TextPart(text="hi"),)))).run
        async for _ in instance.runs.follow(LOCAL, run.id):
            pass
        assert (await instance.runs.get(LOCAL, run.id)).output == told


@pytest.mark.contract("TRU-20")
def test_a_tool_is_denied_or_asked_about() -> None:
    assert landline.tool(deny=True).deny
    with pytest.raises(ValueError, match="not both"):
        landline.tool(deny=True, approval=True)
