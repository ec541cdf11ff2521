"""What a turn of a graph does not do."""

from typing import Any

import pytest
from langchain_core.callbacks import manager

from landline.testing.models.langgraph import Scripted
from tests.adapters.langgraph_kit import create_agent, echo
from tests.adapters.test_langgraph_graphs import go


@pytest.mark.contract("PRF-5")
async def test_the_thread_is_not_written_out_for_each_request_to_a_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The framework does so for callbacks that do not take the beginning of a request as messages."""
    written: list[Any] = []
    original = vars(manager)["get_buffer_string"]

    def note(messages: Any, *rest: Any, **more: Any) -> str:
        written.append(messages)
        return original(messages, *rest, **more)

    monkeypatch.setattr(manager, "get_buffer_string", note)
    _, finished = await go(create_agent(Scripted(script=echo)))
    assert finished.output == "You said: hi"
    assert written == []
