"""OpenAI agents on the real engine and a real SQLite file, and fifty users on one shared agent object."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from agents import Agent, RunContextWrapper, function_tool

from landline.adapters.openai_agents import adapter
from landline.model import events as log
from landline.model.callers import LOCAL
from landline.model.runs import Answer
from landline.ports.adapter import AgentSpec, Finished
from landline.testing.adapters import ToolBox
from landline.testing.line import MemoryLine, drive, turn_of
from landline.testing.models.openai_agents import Asked, Call, Think
from tests.adapters.openai_agents_kit import OpenAIAgentsKit, Pieces, agent_of
from tests.engine.conftest import Server

kit = OpenAIAgentsKit()


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


@pytest.mark.contract("ADP-9", "AGT-3")
async def test_fifty_users_with_tools_handoffs_and_cancels_hear_no_word_of_each_other() -> None:
    @function_tool
    async def remember(ctx: RunContextWrapper[str], word: str) -> str:
        await asyncio.sleep(0.001)
        return f"{word} {ctx.context}"

    @function_tool
    def repeat(ctx: RunContextWrapper[str], word: str) -> str:
        return f"{word} {ctx.context}"

    async def front_says(asked: Asked) -> Pieces:
        word = asked.prompts[-1]
        yield Think(f"{word} ")
        yield f"{word} "
        await asyncio.sleep(0)
        if not asked.told:
            yield Call("remember", {"word": word}, "call")
            yield Call("repeat", {"word": word}, "call2")
        else:
            yield Call("transfer_to_back", {}, "over")

    async def back_says(asked: Asked) -> Pieces:
        yield " ".join(text for _, text in asked.told)
        yield f" {asked.instructions}"

    def instruct(ctx: RunContextWrapper[str], _: Agent[str]) -> str:
        return ctx.context

    back = agent_of(back_says, name="back", instructions=instruct)
    front = agent_of(front_says, name="front", tools=[remember, repeat], handoffs=[back])
    spec = AgentSpec(agent=front, name="front")
    chance = random.Random(11)

    async def user(number: int) -> int:
        whole = 0
        for turn in range(3):
            word = f"canary-{number:04d}"
            line = MemoryLine()
            given = turn_of(line, spec, word, context=f"ctx-{word}", run_id=f"run-{number}-{turn}")
            task = asyncio.create_task(drive(adapter, line, given))
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() * 0.3)
                task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(outcome, Finished):
                whole += 1
                assert str(outcome.output).count(word) == 5
            else:
                assert isinstance(outcome, asyncio.CancelledError)
            heard = b"".join([*map(log.encode, line.events), *line.records.values()])
            others = {f"canary-{other:04d}".encode() for other in range(50) if other != number}
            assert not [other for other in others if other in heard]
        return whole

    async with asyncio.timeout(30):
        finished = await asyncio.gather(*(user(number) for number in range(50)))
    assert sum(finished) > 75
