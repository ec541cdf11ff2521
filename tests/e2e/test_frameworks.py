"""One server with an agent of each framework, on their real model clients, against the scripted model server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect as open_socket

from landline.testing.grammar import check_stream
from landline.testing.kill import ServedProcess
from landline.testing.upstream import Reply, Request, ScriptedUpstream, Text, ToolCall, ToolCalls
from tests.e2e.calls import LAST, Event, Server, percentile
from tests.e2e.test_websocket import Socket

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "all_frameworks.py"
NAPPING = Path(__file__).with_name("napping.py")
FRAMEWORKS = {
    "pydantic_ai": "pydantic_ai",
    "openai_sdk": "openai_agents",
    "langgraph": "langgraph",
    "ag2": "ag2",
}
"""Agents that speak through a model: name -> framework."""
HOLD = "hold the line"


def brain(request: Request) -> Reply:
    """Add with the tool, nap with the tool, never end, or say back."""
    if HOLD in request.text:
        return Text("word " * 2_000, interval_s=0.05)
    named = next((name for name in ("add", "nap") if name in request.tools and name in request.text), None)
    if named and request.turn == 0:
        arguments = {"a": 2, "b": 3} if named == "add" else {}
        return ToolCalls([ToolCall(named, arguments)])
    return Text(f"I heard: {request.text}", interval_s=0.002)


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(brain) as server:
        yield server


def served(target: Path, folder: Path, upstream: ScriptedUpstream) -> ServedProcess:
    environ = {"OPENAI_BASE_URL": upstream.base_url, "OPENAI_API_KEY": "test", "OPENAI_MODEL": "scripted"}
    return ServedProcess(target, data=folder / "data", environ=environ, options=("--grace", "0"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream
) -> AsyncIterator[Server]:
    process = served(EXAMPLE, tmp_path_factory.mktemp("frameworks"), upstream)
    await process.start(60)
    yield Server(process)
    process.kill()


@pytest.mark.contract("AGT-1", "ADP-1")
@pytest.mark.asyncio(loop_scope="module")
async def test_agents_of_all_frameworks_are_found_in_one_file(server: Server) -> None:
    listed = {agent["name"]: agent for agent in await server.items("/agents?limit=50")}
    assert {name: listed[name]["framework"] for name in FRAMEWORKS} == FRAMEWORKS
    assert listed["hello"]["framework"] == "plain"
    assert not [agent for agent in listed.values() if agent["error"]]
    for name in FRAMEWORKS:
        assert "add" in [tool["name"] for tool in listed[name]["tools"]], name


@pytest.mark.contract("ADP-1", "ADP-2", "EVT-9", "FACE-1", "FACE-17")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("agent", FRAMEWORKS)
@pytest.mark.parametrize("door", ["rest", "sse", "socket"])
async def test_each_framework_chats_over_each_door(server: Server, agent: str, door: str) -> None:
    events = await through(server, agent, "please add", door)
    check_stream(events)
    assert events[-1]["type"] == "run.completed"
    assert events[-1]["output"] == "I heard: please add"
    (result,) = [event["result"] for event in events if event["type"] == "tool.completed"]
    assert json.loads(str(result)) == 5
    # How many pieces it is told in is for the clock to say: those that arrive together are one.
    said = "".join(event["delta"] for event in events if event["type"] == "text.delta")
    assert said == "I heard: please add"
    assert events[-1]["usage"]["total_tokens"] > 0


async def through(server: Server, agent: str, text: str, door: str) -> list[Event]:
    """Take one turn, and return the run's whole log as that door told it."""
    if door == "rest":
        run = await server.run(agent, text, mode="wait")
        return await server.log(run["id"])
    if door == "sse":
        async with server.posted(agent, text) as line:
            return [frame.data async for frame in line.frames() if frame.seq is not None]
    async with open_socket(f"ws://127.0.0.1:{server.port}/api/v1/ws") as raw:
        socket = Socket(raw)
        ack = await socket.say("start", agent=agent, input=text, subscribe=True)
        assert ack["type"] == "ack", ack
        return await socket.until(*LAST)


@pytest.mark.contract("THR-3")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_thread_goes_from_framework_to_framework(server: Server, upstream: ScriptedUpstream) -> None:
    thread = await server.thread("hello")
    for number, agent in enumerate([*FRAMEWORKS, "hello", *reversed(FRAMEWORKS)]):
        body = {"agent": agent, "input": f"word-{number}"}
        answer = await server.ask("POST", f"/threads/{thread}/runs", body=body)
        assert (answer.status, answer.json["status"]) == (200, "completed"), answer.body
    seen = json.dumps(upstream.requests[-1].items)
    assert [number for number in range(9) if f"word-{number}" not in seen] == []


@pytest.mark.contract("RUN-5", "ADP-2")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("agent", FRAMEWORKS)
async def test_a_cancel_closes_the_connection_to_the_model_within_a_second(
    server: Server, upstream: ScriptedUpstream, agent: str
) -> None:
    run = await server.run(agent, f"{HOLD} {agent}")
    async with server.followed(run["id"]) as line:
        async for frame in line.frames():
            if frame.event == "text.delta":
                break
    index = max(r.index for r in upstream.requests if f"{HOLD} {agent}" in r.text)
    closing = asyncio.create_task(upstream.wait_disconnected(index, timeout_s=1.0))
    answer = await server.ask("POST", f"/runs/{run['id']}/cancel")
    assert answer.json["status"] == "cancelled"
    await closing


@pytest.mark.contract("ADP-8")
@pytest.mark.timeout(120)
async def test_a_sync_tool_of_two_seconds_holds_up_no_other_stream(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """While one tool of each framework sleeps in its thread, the deltas of another run come as they are made."""
    process = served(NAPPING, tmp_path, upstream)
    await process.start(60)
    server = Server(process)
    try:
        for agent in FRAMEWORKS:
            await server.run(
                agent, "hello", mode="wait"
            )  # what a framework imports at its first turn is past
        ticking = await server.run("ticking", "go")
        naps = asyncio.create_task(napped(server))
        gaps: list[float] = []
        async with server.followed(ticking["id"]) as line:
            last = time.monotonic()
            async for frame in line.frames():
                if frame.event == "text.delta" and not naps.done():
                    gaps.append(time.monotonic() - last)
                last = time.monotonic()
        await naps
        assert len(gaps) > 100
        assert percentile(gaps, 0.99) < 0.1, f"p99 {percentile(gaps, 0.99):.3f} s, worst {max(gaps):.3f} s"
    finally:
        process.kill()


async def napped(server: Server) -> None:
    took = await asyncio.gather(*(nap(server, agent) for agent in FRAMEWORKS))
    assert min(took) >= 2.0


async def nap(server: Server, agent: str) -> float:
    began = time.monotonic()
    run = await server.run(agent, "nap", mode="wait")
    assert run["status"] == "completed", run
    return time.monotonic() - began


MODULES = {"pydantic_ai": "pydantic_ai", "openai_agents": "agents", "langgraph": "langgraph", "ag2": "ag2"}
"""What each framework's package is called."""


@pytest.mark.contract("AGT-1", "PRF-6")
@pytest.mark.parametrize("framework", [*MODULES, "plain"])
def test_serving_an_agent_of_one_framework_imports_no_other(framework: str, tmp_path: Path) -> None:
    """Discovered, described and run once; then every module of the process is looked at."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.one_framework", framework, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    output, loaded = json.loads(done.stdout.splitlines()[-1])
    assert output
    strangers = {name for name in MODULES if name != framework and MODULES[name] in loaded}
    assert not strangers
    assert framework == "plain" or MODULES[framework] in loaded
