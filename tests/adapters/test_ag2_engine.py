"""AG2 agents on the real engine and a real SQLite file: the in-memory line and the engine's agree."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from landline.adapters.ag2 import adapter
from landline.model.callers import LOCAL
from landline.model.runs import Answer
from landline.ports.adapter import AgentSpec
from landline.testing.adapters import ToolBox
from tests.adapters.ag2_kit import AG2Kit
from tests.adapters.test_ag2_humans import asking
from tests.adapters.test_ag2_workflows import desk
from tests.engine.conftest import Server

kit = AG2Kit()


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Any]:
    made: list[Server] = []

    async def boot(spec: AgentSpec) -> Server:
        agents = cast("Any", {spec.name: spec.agent})
        server = Server(folder=tmp_path, agents=agents, adapter=cast("Any", adapter))
        server.options = {spec.name: {"tools": spec.tools}}
        made.append(await server.boot())
        return server

    yield boot
    for server in made:
        await server.stop()


async def told(server: Server, run_id: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        return [json.loads(event.wire) for event in await server.ended(run_id)]


@pytest.mark.contract("ADP-2", "THR-3")
async def test_turns_of_a_thread_continue_exactly(servers: Any) -> None:
    server = await servers(kit.echo())
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
async def test_an_approval_survives_a_restart_and_the_tool_runs_once(servers: Any) -> None:
    box = ToolBox()
    server = await servers(kit.approval(box))
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
async def test_a_lost_worker_leaves_an_unknown_outcome_that_is_asked_about(servers: Any) -> None:
    box = ToolBox()
    server = await servers(kit.endless_tool(box))
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
async def test_a_cancelled_run_says_which_thread_goes_on(servers: Any) -> None:
    box = ToolBox()
    server = await servers(kit.blocking_tool(box))
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


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_a_tools_questions_outlive_the_server(servers: Any) -> None:
    box = ToolBox()
    server = await servers(asking(box))
    run = await server.start()
    for said in ("red", "big"):
        await told(server, run.id)
        waiting = await server.get(run.id)
        assert waiting.status == "waiting"
        await server.crash()
        await server.boot()
        answer = Answer(question_id=waiting.questions[0].question_id, value=said)
        await server.core.runs.answer(LOCAL, run.id, [answer])
    await told(server, run.id)
    done = await server.get(run.id)
    assert (done.status, done.output) == ("completed", "red big; seen")
    assert box.counts["look"] == 1
    assert await server.store.verify(LOCAL) == []


@pytest.mark.contract("ADP-2", "RUN-8")
async def test_a_workflow_waits_for_a_human_and_goes_on_elsewhere(servers: Any) -> None:
    box = ToolBox()
    server = await servers(AgentSpec(agent=desk(box, approval=True), name="desk"))
    run = await server.start()
    await told(server, run.id)
    waiting = await server.get(run.id)
    await server.crash()
    await server.boot()
    answer = Answer(question_id=waiting.questions[0].question_id, approve=True)
    await server.core.runs.answer(LOCAL, run.id, [answer])
    events = await told(server, run.id)
    assert (await server.get(run.id)).output == "I was told: charged"
    changed = [(e["from"], e["to"]) for e in events if e["type"] == "agent.changed"]
    assert changed == [("desk", "billing")]
    assert box.counts == {"route": 1, "charge": 1}
