"""AG-UI in front of agents of every framework, on their real model clients, against the scripted model server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from landline.testing.faces.ag_ui import read_ag_ui
from landline.testing.kill import ServedProcess
from landline.testing.upstream import (
    Reasoning,
    Reply,
    Request,
    ScriptedUpstream,
    Structured,
    Text,
    ToolCall,
    ToolCalls,
)
from tests.e2e import http
from tests.e2e.ag_ui_client import Ui
from tests.faces.ag_ui_judges import judged_frames

AGENTS = Path(__file__).with_name("ag_ui_frameworks.py")
FRAMEWORKS = ("pydantic_ai", "openai_sdk", "langgraph", "ag2")
HOLD = "hold the line"
PAINT: dict[str, Any] = {
    "name": "paint",
    "description": "Paints.",
    "parameters": {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]},
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


def brain(request: Request) -> Reply:
    """Do what the message names with the tools there are, then say what came of it."""
    if HOLD in request.text:
        return Text("word " * 2_000, interval_s=0.02)
    if "Place" in json.dumps(request.body) or "people" in json.dumps(request.body.get("tools", "")):
        return Structured({"city": "Bern", "people": 146_000}, interval_s=0.005)
    if request.turn % 2 == 0:
        if "paint" in request.text:
            return ToolCalls([ToolCall("paint", {"color": "red"}), ToolCall("paint", {"color": "blue"})])
        if "erase" in request.text:
            return ToolCalls([ToolCall("erase", {"name": "disk"})], text="Let me see.")
        if "add" in request.text:
            return ToolCalls([ToolCall("add", {"a": 2, "b": 3})])
    results = [str(item.get("content") or item.get("output")) for item in request.items[-2:]]
    heard = [result for result in results if "painted" in result or "rased" in result or result == "5"]
    said = f"I heard: {request.text} {' '.join(heard)}".strip()
    return Reasoning("Hm.", answer=Text(said, interval_s=0.002)) if "think" in request.text else Text(said)


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(brain) as server:
        yield server


def served(folder: Path, upstream: ScriptedUpstream) -> ServedProcess:
    environ = {
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "test",
        "OPENAI_MODEL": "scripted",
        "LANDLINE_FACES": "native,ag_ui",
    }
    return ServedProcess(AGENTS, data=folder / "data", environ=environ, options=("--grace", "0"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream) -> AsyncIterator[int]:
    process = served(tmp_path_factory.mktemp("ag_ui"), upstream)
    await process.start(60)
    yield process.port
    process.kill()


@pytest.mark.contract("FACE-8", "FACE-17", "ADP-1")
@pytest.mark.parametrize("agent", FRAMEWORKS)
async def test_each_framework_chats_and_uses_its_tools(port: int, agent: str) -> None:
    ui = Ui(port, agent)
    run = await ui.run("please add")
    assert list(run.calls.values()) == ["add"]
    assert list(run.arguments.values()) == [{"a": 2, "b": 3}]
    assert [json.loads(result) for result in run.results.values()] == [5]
    assert run.answer == run.last["result"] == "I heard: please add 5"
    assert run.last["usage"][0]["totalTokens"] > 0
    again = await ui.run("hello")
    assert again.answer == "I heard: hello"
    shown = read_ag_ui((await ui.follow()).body.decode())[1].event["messages"]
    kept = [(message["id"], message["role"]) for message in ui.messages]
    assert [(message["id"], message["role"]) for message in shown] == kept[: len(shown)]


@pytest.mark.contract("FACE-8", "RUN-8")
@pytest.mark.parametrize("agent", FRAMEWORKS)
@pytest.mark.parametrize("approved", [True, False])
async def test_each_framework_waits_for_an_approval(port: int, agent: str, approved: bool) -> None:
    ui = Ui(port, agent)
    run = await ui.run("please erase")
    assert run.outcome == "interrupt", run.last
    (interrupt,) = run.interrupts
    call = interrupt["toolCallId"]
    assert run.arguments[call] == {"name": "disk"}
    done = await ui.resume([{"approved": approved}], run)
    assert done.outcome == "success", done.last
    assert done.calls == {}
    assert (done.results[call] == "Erased disk.") is approved
    assert done.answer.startswith("I heard: please erase")
    assert ("Erased disk." in done.answer) is approved


@pytest.mark.contract("FACE-8")
@pytest.mark.parametrize("agent", FRAMEWORKS)
async def test_each_framework_takes_tools_that_the_application_carries_out(port: int, agent: str) -> None:
    ui = Ui(port, agent)
    run = await ui.run("please paint", tools=[PAINT])
    done: list[str] = []
    while pending := run.last["outcome"].get("pendingToolCallIds"):
        for call in pending:
            color = run.arguments[call]["color"]
            done.append(color)
            ui.result(call, f"painted {color}")
        run = await ui.run(tools=[PAINT])
    assert sorted(done) == ["blue", "red"]
    assert run.answer == "I heard: please paint painted red painted blue"


@pytest.mark.contract("FACE-8")
async def test_an_object_grows_as_the_state(port: int) -> None:
    ui = Ui(port, "placed")
    run = await ui.run("where?")
    assert run.state == {"output": {"city": "Bern", "people": 146_000}}
    assert run.last["result"] == run.state["output"]
    assert len([frame for frame in read_ag_ui(ui.body) if frame.event["type"] == "STATE_SNAPSHOT"]) > 1


@pytest.mark.contract("FACE-8", "EVT-4", "REL-1")
@pytest.mark.timeout(120)
async def test_a_message_that_a_kill_cuts_is_taken_back_by_a_snapshot(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    process = served(tmp_path, upstream)
    await process.start(60)
    try:
        ui = Ui(process.port, "pydantic_ai")
        await ui.run("hello")
        ui.say(HOLD)
        seen = await ui.first(ui.input(), 12)
        process.kill()
        await process.start(60)
        text, stopping = "", None
        query = f"{ui.path}?threadId={ui.thread}&runId={ui.run_id}"
        async with http.stream(process.port, query, headers={"Last-Event-ID": str(seen[-1].id)}) as line:
            async for piece in line.pieces():
                text += piece.decode()
                _, _, rewritten = text.partition("MESSAGES_SNAPSHOT")
                if stopping is None and rewritten.count("TEXT_MESSAGE_CONTENT") > 2:
                    stop = http.ask(process.port, "POST", f"{ui.path}/cancel", body={"threadId": ui.thread})
                    stopping = asyncio.create_task(stop)
        assert stopping is not None
        await stopping
        rest = read_ag_ui(text)
        told = judged_frames([*seen, *rest])
        assert told.outcome == "cancelled"
        (snapshot,) = [frame.event for frame in rest if frame.event["type"] == "MESSAGES_SNAPSHOT"]
        assert [message["id"] for message in snapshot["messages"]] == [
            message["id"] for message in ui.messages
        ]
        (text,) = told.text.values()
        assert text.startswith("word word ")
        whole = read_ag_ui((await ui.follow(ui.run_id)).body.decode())
        assert [frame.event for frame in whole] == [frame.event for frame in [*seen, *rest]]
    finally:
        process.kill()
