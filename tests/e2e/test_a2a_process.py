"""The A2A face in a process of its own: killed and started again, and with agents of four frameworks behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from landline.testing.faces.a2a import Told, check_a2a_stream, check_a2a_task, read_a2a_frames
from landline.testing.kill import ServedProcess
from landline.testing.upstream import Reply, Request, ScriptedUpstream, Text, ToolCall, ToolCalls

AGENTS = Path(__file__).with_name("a2a_agents.py")
FRAMEWORKS = Path(__file__).parents[2] / "examples" / "all_frameworks.py"
HEADERS = {"A2A-Version": "1.0"}
FACES = {"LANDLINE_FACES": "native,a2a"}


def message(text: str, **more: Any) -> dict[str, Any]:
    return {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}], **more}}


async def streamed(http: httpx.AsyncClient, agent: str, sent: dict[str, Any]) -> Told:
    answer = await http.post(f"/a2a/{agent}/message:stream", json=sent)
    assert answer.status_code == 200, answer.text
    return check_a2a_stream(read_a2a_frames(answer.content, answer.headers["content-type"], wire="rest"))


@pytest.mark.timeout(120)
@pytest.mark.contract("FACE-10", "REL-1", "EVT-2")
async def test_a_task_outlives_its_server(tmp_path: Path) -> None:
    process = ServedProcess(AGENTS, data=tmp_path / "data", environ=FACES, options=("--grace", "0"), warm=())
    await process.start()
    try:
        async with httpx.AsyncClient(base_url=process.url, headers=HEADERS, timeout=30) as http:
            asked = await streamed(http, "eraser", message("it", contextId="talk"))
            assert (asked.state, asked.text) == ("INPUT_REQUIRED", "Let me see. ")
            sent = {**message("go"), "configuration": {"returnImmediately": True}}
            slow = (await http.post("/a2a/slow/message:send", json=sent)).json()["task"]["id"]
            await asyncio.sleep(0.4)
            process.kill()
            await process.start()
            # A task at work is told once more from its state on, and ends as if nothing had been.
            followed = await http.get(f"/a2a/slow/tasks/{slow}:subscribe")
            told = check_a2a_stream(
                read_a2a_frames(followed.content, followed.headers["content-type"], wire="rest")
            )
            assert (told.state, told.text) == ("COMPLETED", "".join(f"{number} " for number in range(30)))
            # A task that waits is answered as before.
            before = (await http.get(f"/a2a/eraser/tasks/{asked.id}")).json()
            check_a2a_task(before)
            assert before["contextId"] == "talk"
            done = await streamed(http, "eraser", message("yes", taskId=before["id"], contextId="talk"))
            assert (done.state, done.text) == ("COMPLETED", "Let me see. Erased it.")
    finally:
        process.kill()


def brain(request: Request) -> Reply:
    """Add with the tool, or say back."""
    if "add" in request.tools and "add" in request.text and request.turn == 0:
        return ToolCalls([ToolCall("add", {"a": 2, "b": 3})])
    return Text(f"I heard: {request.text}", interval_s=0.002)


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(brain) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream) -> AsyncIterator[str]:
    environ = {
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "test",
        "OPENAI_MODEL": "scripted",
        **FACES,
    }
    process = ServedProcess(
        FRAMEWORKS, data=tmp_path_factory.mktemp("a2a") / "data", environ=environ, options=("--grace", "0")
    )
    await process.start(60)
    yield process.url
    process.kill()


@pytest.mark.contract("FACE-10", "FACE-17", "ADP-1")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("agent", ["hello", "pydantic_ai", "openai_sdk", "langgraph", "ag2"])
async def test_agents_of_every_framework_are_tasks(url: str, agent: str) -> None:
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=30) as http:
        told = await streamed(http, agent, message("please add"))
        assert told.state == "COMPLETED"
        task = (await http.get(f"/a2a/{agent}/tasks/{told.id}")).json()
        check_a2a_task(task)
        texts = [part["text"] for one in task["artifacts"] for part in one["parts"]]
        assert "".join(texts) == told.text
        if agent != "hello":
            assert told.text == "I heard: please add"
        card = (await http.get(f"/a2a/{agent}/.well-known/agent-card.json")).json()
        assert card["supportedInterfaces"][0]["url"] == f"{url}/a2a/{agent}"
        again = await streamed(http, agent, message("and again", contextId=task["contextId"]))
        assert again.task is not None
        assert again.task["contextId"] == task["contextId"]
        assert "again" in json.dumps(again.task)
