"""Plain functions that look at what the user says meanwhile: `run.inputs()` (RUN-6, ADP-11)."""

from typing import Any

import pytest

import landline
from landline.adapters.plain import adapter
from landline.model.events import Custom
from landline.testing.line import Crashed, MemoryLine, drive, turn_of


async def listens(run: Any) -> str:
    """Look twice, and say what was found."""
    first = await run.inputs()
    await run.emit("between")
    second = await run.inputs()
    await run.emit("after")
    return f"{first} {second}"


def listens_in_a_thread(run: Any) -> str:
    """The same, sync."""
    first = run.inputs()
    run.emit("between")
    second = run.inputs()
    run.emit("after")
    return f"{first} {second}"


async def deaf(run: Any) -> str:
    return str(run.input)


SPECS = [landline.agent(fn, name="x") for fn in (listens, listens_in_a_thread)]


@pytest.mark.contract("RUN-6", "ADP-2")
def test_only_a_function_that_looks_can_be_steered() -> None:
    for spec in SPECS:
        assert "steer" in adapter.describe(spec).capabilities
    assert "steer" not in adapter.describe(landline.agent(deaf, name="deaf")).capabilities


@pytest.mark.contract("RUN-6", "ADP-11")
@pytest.mark.parametrize("spec", SPECS)
async def test_each_look_finds_what_came_since_the_last(spec: Any) -> None:
    line = MemoryLine()
    line.give("a")
    line.give("b")
    assert (await drive(adapter, line, turn_of(line, spec, "hi"))).output == "['a', 'b'] []"
    assert not line.new_input


@pytest.mark.contract("RUN-6", "ADP-11", "ADP-4")
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(
    ("crash_after", "output"),
    [
        # Nothing was stored after the first look: it looks again.
        (0, "['a', 'b'] []"),
        # The first look is stored with what followed it; what came later is for the second.
        (1, "['a'] ['b']"),
        # Also a look that found nothing finds nothing again.
        (2, "['a'] []"),
    ],
)
async def test_a_look_finds_the_same_again_after_a_crash(spec: Any, crash_after: int, output: str) -> None:
    line = MemoryLine(crash_at=1 + crash_after)
    line.give("a")
    with pytest.raises(Crashed):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    later = line.resumed(drop=False)
    later.give("b")
    assert (await drive(adapter, later, turn_of(later, spec, "hi"))).output == output
    assert [event.name for event in later.of(Custom)] == ["between", "after"]
