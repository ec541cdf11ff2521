"""What a run that goes on after a question does, and does not do, once more."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from landline.adapters.pydantic_ai import adapter
from landline.model.callers import LOCAL
from landline.model.runs import Answer
from landline.ports.adapter import AgentSpec, ToolPolicy, ToolRaised
from landline.testing.adapters import ToolBox
from landline.testing.line import MemoryLine
from tests.adapters.plain_kit import play_on
from tests.adapters.pydantic_ai_kit import PydanticAIKit
from tests.engine.conftest import Server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    spec: AgentSpec = PydanticAIKit().approval(ToolBox())
    server = Server(folder=tmp_path, agents=cast("Any", {"agent": spec.agent}), adapter=cast("Any", adapter))
    server.options = {"agent": {"tools": spec.tools}}
    yield await server.boot()
    await server.stop()


@pytest.mark.contract("ADP-4", "WIRE-1")
async def test_usage_is_counted_once_over_a_wait(server: Server) -> None:
    """A request that is answered from the journal costs nothing the second time."""
    run = await server.start()
    await server.ended(run.id)
    question = (await server.get(run.id)).questions[0]
    await server.core.runs.answer(LOCAL, run.id, [Answer(question_id=question.question_id, approve=True)])
    events = await server.ended(run.id)
    assert (await server.get(run.id)).status == "completed"
    assert [event.type for event in events].count("usage") == 2  # one before the question, one after it


@pytest.mark.contract("ADP-3", "RUN-8")
@pytest.mark.parametrize("reason", [None, "", "no"])
async def test_a_denied_tool_does_not_run(reason: str | None) -> None:
    """A denial needs no reason."""
    ran: list[int] = []

    async def fn(run: Any) -> str:
        try:
            await run.tool("pay", lambda: ran.append(1))
        except ToolRaised as error:
            return error.code
        return "paid"

    policy = {"pay": ToolPolicy(approval=True)}
    output, _ = await play_on(fn, MemoryLine(), lambda _: {"approve": False, "reason": reason}, tools=policy)
    assert (output, ran) == ("denied", [])
