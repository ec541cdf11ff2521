"""Budgets on real servers: loops of every framework, agents that call each other, twenty runs at once, a killed server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from landline.testing.kill import ServedProcess
from landline.testing.kill.process import free_port
from landline.testing.upstream import Reply, Request, ScriptedUpstream, Text, ToolCall, ToolCalls
from tests.e2e.calls import Server

AGENTS = Path(__file__).with_name("budget_agents.py")
PLAIN = Path(__file__).with_name("budget_plain.py")
pytestmark = pytest.mark.timeout(180)  # a server with all frameworks starts in up to 20 s on a busy machine
LOOPS = ("plain", "pydantic_ai", "openai_sdk", "langgraph", "ag2")

Budgeted = Callable[..., Server]


def brain(request: Request) -> Reply:
    """Call the tool for ever, two at once; answer whoever asks for words, with four tokens."""
    if "words" in request.text:
        return Text("one two three", interval_s=0.02)
    (tool,) = request.tools
    calls = [ToolCall(tool, {"a": 2, "b": 3})] * 2 if tool == "add" else [ToolCall(tool, {})]
    return ToolCalls(calls)


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(brain) as server:
        yield server


@pytest.fixture
def budgeted(tmp_path: Path, upstream: ScriptedUpstream) -> Iterator[Budgeted]:
    """Make a server with these budgets, not yet started."""
    made: list[ServedProcess] = []

    def make(*budgets: str) -> Server:
        port = free_port()
        environ = {
            "OPENAI_BASE_URL": upstream.base_url,
            "OPENAI_API_KEY": "test",
            "BUDGET_SERVER": f"http://127.0.0.1:{port}",
            "LANDLINE_EGRESS_ALLOW": f"127.0.0.1:{port}",
            "LANDLINE_BUDGETS": ", ".join(budgets),
            "LANDLINE_PRICES": '{"*": [0, 1000000]}',
            "LANDLINE_FACES": "native,a2a",
        }
        options = ("--grace", "0", "--port", str(port))
        # A new interpreter: one that is forked has the path of this one, where `agents` may be somebody else.
        process = ServedProcess(AGENTS, data=tmp_path / "data", environ=environ, options=options)
        process.port = port
        made.append(process)
        return Server(process)

    yield make
    for process in made:
        process.kill()


async def ended(server: Server, agent: str, text: str = "go") -> dict[str, Any]:
    return await server.run(agent, text, mode="wait")


async def finished(server: Server, run_id: str) -> dict[str, Any]:
    await server.ended(run_id)
    return await server.get(run_id)


@pytest.mark.contract("TRU-9")
async def test_a_tool_loop_of_each_framework_stops_at_its_limit(
    budgeted: Budgeted, upstream: ScriptedUpstream
) -> None:
    server = budgeted("run: 10 tool calls")
    await server.process.start(60)
    for agent in LOOPS:
        before = len(upstream.requests)
        run = await ended(server, agent)
        assert (run["status"], run["error"]["code"]) == ("failed", "budget_run_tool_calls"), (agent, run)
        events = await server.log(run["id"])
        assert len([event for event in events if event["type"] == "tool.called"]) == 10, agent
        assert len(upstream.requests) - before == (0 if agent == "plain" else 6), agent
    usage = {row["agent"]: row for row in await server.items("/usage?group_by=agent")}
    assert {agent: usage[agent]["tool_calls"] for agent in LOOPS} == dict.fromkeys(LOOPS, 10)
    assert {usage[agent]["model_calls"] for agent in LOOPS[1:]} == {6}
    assert {usage[agent]["unpriced_calls"] for agent in LOOPS} == {0}
    models = {row["model"] for row in await server.items("/usage?group_by=model")}
    assert models == {None, "scripted"}


@pytest.mark.contract("TRU-9")
@pytest.mark.parametrize("rule", ["run: 7 model calls", "agent: 7 model calls/day"])
async def test_each_framework_asks_its_model_no_more_often_than_it_may(
    budgeted: Budgeted, upstream: ScriptedUpstream, rule: str
) -> None:
    server = budgeted(rule)
    await server.process.start(60)
    for agent in LOOPS[1:]:
        before = len(upstream.requests)
        run = await ended(server, agent)
        assert run["status"] == "failed", (agent, run)
        assert run["error"]["code"].endswith(("run_model_calls", "agent_model_calls_day")), (agent, run)
        assert len(upstream.requests) - before == 7, agent


@pytest.mark.contract("TRU-9")
async def test_agents_that_call_each_other_stop_at_their_users_limit(
    budgeted: Budgeted, upstream: ScriptedUpstream
) -> None:
    server = budgeted("user: 10 model calls/day")
    await server.process.start(60)
    run = await ended(server, "ping")
    assert run["status"] == "failed"
    assert run["error"]["code"] == "budget_user_model_calls_day"
    assert len(upstream.requests) == 10
    refused = await server.ask("POST", "/runs", body={"agent": "pong", "input": "go", "mode": "background"})
    assert (refused.status, refused.json["code"]) == (429, "budget_user_model_calls_day")


@pytest.mark.contract("TRU-9")
@pytest.mark.parametrize("agent", ["tick", "tick2"])
async def test_remote_agents_that_are_each_other_stop_at_their_users_limit(
    budgeted: Budgeted, agent: str
) -> None:
    server = budgeted("user: 8 model calls/day")
    await server.process.start(60)
    run = await ended(server, agent)
    assert run["status"] == "failed", run
    await asyncio.sleep(1)
    runs = await server.items("/runs?limit=100")
    assert len(runs) <= 9
    assert {one["status"] for one in runs} == {"failed"}


@pytest.mark.contract("TRU-9")
async def test_twenty_runs_of_one_user_exceed_their_money_by_one_call_at_most(
    budgeted: Budgeted, upstream: ScriptedUpstream
) -> None:
    server = budgeted("user: 30 usd/day")
    await server.process.start(60)
    bodies = [
        {"agent": ("pydantic_ai", "openai_sdk")[n % 2], "input": "words", "mode": "background"}
        for n in range(20)
    ]
    answers = await asyncio.gather(*(server.ask("POST", "/runs", body=body) for body in bodies))
    assert {answer.status for answer in answers} <= {202, 429}
    done = [await finished(server, answer.json["id"]) for answer in answers if answer.status == 202]
    (total,) = await server.items("/usage")
    costs = [run["usage"]["cost_usd"] for run in done if run["status"] == "completed"]
    assert sum(costs) == pytest.approx(total["cost_usd"])
    assert 30 <= total["cost_usd"] < 30 + max(costs)
    assert len(upstream.requests) == len(costs) == total["model_calls"] < 20
    codes = {run["error"]["code"] for run in done if run["status"] == "failed"}
    assert codes <= {"budget_user_usd_day"}


@pytest.mark.contract("TRU-9", "REL-1")
async def test_what_was_spent_survives_kill_9(tmp_path: Path) -> None:
    environ = {"LANDLINE_BUDGETS": "user: 25 tool calls/day"}
    process = ServedProcess(PLAIN, data=tmp_path / "data", environ=environ, options=("--grace", "0"), warm=())
    server = Server(process)
    try:
        await process.start(60)
        run = await server.run("loop", "go")
        while sum(row["tool_calls"] for row in await server.items("/usage")) < 5:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.005)
        process.kill()
        await process.start(60)
        over = await finished(server, run["id"])
        assert over["error"]["code"] == "budget_user_tool_calls_day", over
        called = [event for event in await server.log(run["id"]) if event["type"] == "tool.called"]
        (total,) = await server.items("/usage")
        assert total["tool_calls"] == len(called) == 25
        body = {"agent": "loop", "input": "go", "mode": "background"}
        assert (await server.ask("POST", "/runs", body=body)).status == 429
    finally:
        process.kill()
