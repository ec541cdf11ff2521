"""Files of workflows: each registered one is an agent, and the functions stay callable."""

from pathlib import Path
from typing import Any

import pytest

import landline
from landline.app import plugins
from landline.app.loading import load_agents

FILE = """
from typing import Any
from landline import UI, Workflow, workflow

wf = Workflow()

@wf.register(name="inner", description="The inner one")
def inner(ui: UI, params: dict[str, Any]) -> str:
    return "inner"

@wf.register(name="outer", description="The outer one", starters=["Hi"])
def outer(ui: UI, params: dict[str, Any]) -> str:
    return "outer of " + inner(ui, params)

@workflow(name="single", description="One by itself")
async def single(ui) -> str:
    return "single"
"""


@pytest.mark.contract("AGT-1")
@pytest.mark.parametrize(
    ("attribute", "names"),
    [("", ["inner", "outer", "single"]), (":wf", ["inner", "outer"]), (":single", ["single"])],
)
def test_each_workflow_of_a_file_is_an_agent(tmp_path: Path, attribute: str, names: list[str]) -> None:
    path = tmp_path / f"flows{len(attribute)}.py"
    path.write_text(FILE)
    found = load_agents(f"{path}{attribute}", plugins.adapters())
    assert [item.name for item in found] == names
    assert [item.error for item in found] == [None] * len(names)
    assert {item.adapter.framework for item in found if item.adapter} == {"plain"}


def test_a_registry_is_a_sequence_of_agents() -> None:
    """So that `Landline(agents=wf)` takes it."""
    wf = landline.Workflow()

    @wf.register(name="one", description="First", deadline_s=3)
    async def one(ui: Any) -> str:
        return "one"

    assert callable(one)
    assert (wf.names, wf.get_description("one"), len(wf)) == (["one"], "First", 1)
    assert [spec.deadline_s for spec in wf] == [wf[0].deadline_s] == [3]
    assert landline.Landline(agents=wf, open=True).agents == list(wf[:])
    with pytest.raises(ValueError, match="two workflows are named 'one'"):
        wf.register(name="one")(one)
