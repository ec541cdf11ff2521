"""Another version of the framework than the adapter can work with is refused, by name."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langgraph.checkpoint.serde import jsonplus
from langgraph.prebuilt import ToolNode

from landline.adapters.langgraph import adapter
from landline.adapters.langgraph.places import require_places
from landline.engine.registry import describe
from landline.testing.line import MemoryLine, turn_of
from tests.adapters.langgraph_kit import LangGraphKit


@pytest.fixture(autouse=True)
def unchecked() -> Iterator[None]:
    require_places.cache_clear()
    yield
    require_places.cache_clear()


@pytest.mark.contract("ADP-10")
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (ToolNode, "_arun_one"),
        (ToolNode, "_run_one"),
        (BaseChatModel, "_agenerate_with_cache"),
        (BaseChatModel, "_generate_with_cache"),
        (jsonplus, "_create_msgpack_ext_hook"),
    ],
)
async def test_a_version_without_a_place_is_named_where_the_agent_is_listed_and_before_it_runs(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    spec, line = LangGraphKit().echo(), MemoryLine()
    assert describe(spec, adapter).info.error is None
    require_places.cache_clear()
    monkeypatch.delattr(owner, name)
    said = rf"works with langgraph 1\.2 .*langchain-core 1\. Installed: langgraph 1\..*{name}"
    with pytest.raises(ImportError, match=said):
        adapter.run(turn_of(line, spec, "hi"))
    error = describe(spec, adapter).info.error
    assert error is not None
    assert name in error.message
    assert not line.events


@pytest.mark.contract("ADP-10")
def test_a_place_that_takes_other_arguments_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def other(self: Any, call: Any) -> Any: ...

    monkeypatch.setattr(ToolNode, "_arun_one", other)
    with pytest.raises(ImportError, match=r"ToolNode\._arun_one\(self, call, input_type, tool_runtime\)"):
        require_places()
