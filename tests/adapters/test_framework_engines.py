"""Agents of each framework on the real engine and a real SQLite file: the in-memory line and the engine's agree."""

import asyncio

import pytest

from landline.model.callers import LOCAL
from landline.model.runs import Answer
from landline.testing.adapters import AdapterKit, ToolBox
from tests.adapters.ag2_kit import AG2Kit
from tests.adapters.langgraph_kit import LangGraphKit
from tests.adapters.openai_agents_kit import OpenAIAgentsKit
from tests.adapters.pydantic_ai_kit import PydanticAIKit
from tests.engine.conftest import Boot, told

KITS: dict[str, type[AdapterKit]] = {
    "pydantic_ai": PydanticAIKit,
    "openai_agents": OpenAIAgentsKit,
    "langgraph": LangGraphKit,
    "ag2": AG2Kit,
}


@pytest.fixture(params=KITS)
def kit(request: pytest.FixtureRequest) -> AdapterKit:
    return KITS[request.param]()


@pytest.mark.contract("ADP-2", "THR-3")
async def test_turns_of_a_thread_continue_exactly(boot: Boot, kit: AdapterKit) -> None:
    server = await boot(kit.adapter, kit.echo())
    first = await server.start("a")
    await told(server, first.id)
    await server.crash()
    await server.boot()
    second = await server.start("b", thread_id=first.thread_id)
    await told(server, second.id)
    third = await server.start("c", thread_id=first.thread_id)
    await told(server, third.id)
    assert (await server.get(third.id)).output == "Before: a. Before: b. You said: c"


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_an_approval_survives_a_restart_and_the_tool_runs_once(boot: Boot, kit: AdapterKit) -> None:
    box = ToolBox()
    server = await boot(kit.adapter, kit.approval(box))
    run = await server.start()
    await told(server, run.id)
    waiting = await server.get(run.id)
    assert (waiting.status, box.counts) == ("waiting", {"look": 1})
    await server.crash()
    await server.boot()
    answer = Answer(question_id=waiting.questions[0].question_id, approve=True, arguments={"name": "z"})
    await server.core.runs.answer(LOCAL, run.id, [answer])
    events = await told(server, run.id)
    done = await server.get(run.id)
    assert (done.status, done.output, box.counts) == (
        "completed",
        "I was told: deleted z",
        {"look": 1, "delete": 1},
    )
    assert [e["arguments"] for e in events if e["type"] == "tool.called"] == [{"name": "a"}, {"name": "z"}]
    assert await server.store.verify(LOCAL) == []


@pytest.mark.contract("ADP-4", "REL-1")
async def test_a_lost_worker_leaves_an_unknown_outcome_that_is_asked_about(
    boot: Boot, kit: AdapterKit
) -> None:
    box = ToolBox()
    server = await boot(kit.adapter, kit.endless_tool(box))
    run = await server.start()
    async with asyncio.timeout(5):
        await box.started.wait()
    await server.crash()
    await server.boot()
    await told(server, run.id)
    waiting = await server.get(run.id)
    assert waiting.status == "waiting"
    assert "may or may not" in waiting.questions[0].prompt
    answer = Answer(question_id=waiting.questions[0].question_id, approve=False)
    await server.core.runs.answer(LOCAL, run.id, [answer])
    events = await told(server, run.id)
    assert (await server.get(run.id)).status == "completed"
    assert [e["error"]["code"] for e in events if e["type"] == "tool.failed"] == ["outcome_unknown"]


@pytest.mark.contract("ADP-8", "RUN-5")
async def test_a_cancelled_run_says_which_thread_goes_on(boot: Boot, kit: AdapterKit) -> None:
    box = ToolBox()
    server = await boot(kit.adapter, kit.blocking_tool(box))
    run = await server.start()
    try:
        assert await asyncio.to_thread(box.thread_started.wait, 5)
        async with asyncio.timeout(2):
            await server.core.runs.cancel(LOCAL, run.id)
        events = await told(server, run.id)
        (called,) = (e for e in events if e["type"] == "tool.called")
        assert events[-1]["type"] == "run.cancelled"
        assert events[-1]["still_finishing"] == [called["call_id"]]
    finally:
        box.release.set()
