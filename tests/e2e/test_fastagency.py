"""FastAgency's wire on a real server: discovery, the socket, replies, a kill between question and reply (FACE-12)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import websockets

from landline.testing.faces.fastagency import check_workflow
from landline.testing.kill import ServedProcess
from tests.e2e.calls import Server

HERE = Path(__file__)
FACES = {"LANDLINE_FACES": "native,fastagency"}


def served(folder: Path, *targets: str, **environ: str) -> ServedProcess:
    files = [HERE.with_name(name) for name in targets]
    return ServedProcess(
        *files, data=folder / "data", options=("--grace", "0"), environ={**FACES, **environ}, warm=()
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    process = served(tmp_path, "workflows.py", "agents.py")
    yield Server(process)
    process.kill()


class Line:
    """One socket as FastAgency's provider uses it."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.heard: list[dict[str, Any]] = []

    async def until(self, *kinds: str) -> dict[str, Any]:
        """Read until a message of one of `kinds` and return it."""
        async with asyncio.timeout(15):
            while True:
                self.heard.append(json.loads(await self._socket.recv()))
                if self.heard[-1]["type"] in kinds:
                    return self.heard[-1]

    async def say(self, text: str) -> None:
        await self._socket.send(text)

    async def over(self) -> int:
        """Read to the socket's end and return its code."""
        async with asyncio.timeout(15):
            async for message in self._socket:
                self.heard.append(json.loads(message))
        return int(self._socket.close_code)

    @property
    def kinds(self) -> Sequence[str]:
        return [message["type"] for message in self.heard]


@asynccontextmanager
async def begun(server: Server, name: str, params: dict[str, Any], uuid: str = "") -> AsyncGenerator[Line]:
    address = server.process.url.replace("http", "ws") + "/fastagency/ws"
    async with websockets.connect(address) as socket:
        first = {"name": name, "workflow_uuid": uuid or str(uuid4()), "user_id": None, "params": params}
        await socket.send(json.dumps(first))
        yield Line(socket)


@pytest.mark.contract("FACE-12", "D11")
async def test_what_there_is_is_told_on_both_spellings_of_the_path(server: Server) -> None:
    await server.start()
    async with httpx.AsyncClient(base_url=server.process.url) as client:
        listed = (await client.get("/fastagency/discovery")).json()
        assert {"name": "lesson", "description": "A sync workflow"} in listed
        assert (await client.get(f"{server.process.url}//fastagency/discovery")).json() == listed
        body = {"workflow_name": "lesson", "workflow_uuid": "x", "user_id": "somebody", "params": {"a": 1}}
        answer = (await client.post("/fastagency/initiate_workflow", json=body)).json()
        assert (answer["name"], answer["user_id"], answer["params"]) == ("lesson", "somebody", {"a": 1})
        missing = await client.post("/fastagency/initiate_workflow", json={**body, "workflow_name": "nobody"})
        assert missing.status_code == 404
        assert set(missing.json()) == {"detail"}
        assert (await client.post("/fastagency/initiate_workflow", json={})).status_code == 422


@pytest.mark.contract("FACE-12", "RUN-8", "D12")
@pytest.mark.parametrize("name", ["lesson", "async_lesson"])
async def test_a_workflow_asks_over_the_socket_and_a_kill_between_question_and_reply_loses_nothing(
    server: Server, name: str
) -> None:
    await server.start()
    uuid = str(uuid4())
    async with begun(server, name, {"topic": "algebra"}, uuid) as line:
        asked = await line.until("text_input")
        assert (asked["sender"], asked["content"]["prompt"]) == ("teacher", "What is your question?")
        before = line.heard
    server.process.kill()
    await server.start()
    async with begun(server, name, {"topic": "algebra"}, uuid) as line:
        await line.until("text_input")
        assert line.heard == before, "the same run, told from its beginning"
        await line.say("why?")
        choice = await line.until("multiple_choice")
        assert (
            choice["content"] | {"prompt": "Which grade?", "choices": ["A", "B"], "default": "B"}
            == choice["content"]
        )
        for nothing in ("C", ""):
            await line.say(nothing)
            assert (await line.until("error"))["content"]["short"] == "answer_mismatch"
            await line.until("multiple_choice")
        await line.say("A")
        assert await line.over() == 1000
    assert str(check_workflow(line.heard)).endswith("why?, A")
    async with begun(server, name, {"topic": "algebra"}, uuid) as again:
        await again.over()
    assert check_workflow(again.heard) == line.heard[-1]["content"]["result"]
    assert "text_input" not in again.kinds, "what is answered is not asked again"


@pytest.mark.contract("FACE-12", "EVT-9")
async def test_a_question_answered_elsewhere_lets_the_socket_go_on(server: Server) -> None:
    await server.start()
    async with begun(server, "lesson", {"topic": "algebra"}) as line:
        await line.until("text_input")
        (waiting,) = (await server.ask("GET", "/runs?status=waiting")).json["items"]
        value = {"question_id": waiting["questions"][0]["question_id"], "value": "from REST"}
        await server.ask("POST", f"/runs/{waiting['id']}/answers", body={"answers": [value]})
        await line.say("too late")
        await line.until("multiple_choice")
        await line.say("B")
        await line.over()
    assert "from REST, B" in str(check_workflow(line.heard))


@pytest.mark.contract("FACE-12")
async def test_an_agent_that_is_no_workflow_is_asked_for_its_first_words(server: Server) -> None:
    await server.start()
    async with begun(server, "words", {}) as line:
        await line.until("text_input")
        await line.say(json.dumps({"words": 3}))
        await line.over()
    said = [message["content"]["body"] for message in line.heard if message["type"] == "text_message"]
    assert check_workflow(line.heard) == "".join(said)


@pytest.mark.contract("FACE-12", "EVT-8", "THR-2")
async def test_an_unknown_workflow_is_told_and_the_socket_closed_in_order(server: Server) -> None:
    await server.start()
    async with begun(server, "nobody", {}) as line:
        assert await line.over() == 1000
    assert line.kinds == ["error", "workflow_completed"]
    address = server.process.url.replace("http", "ws") + "/fastagency/ws"
    async with websockets.connect(address) as socket:
        await socket.send("hello")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


@pytest.mark.contract("FACE-12", "TRU-11")
async def test_words_are_held_to_the_rules_of_any_input(server: Server) -> None:
    await server.start()
    uuid = str(uuid4())
    async with begun(server, "words", {}, uuid) as line:
        await line.until("text_input")
        for text in ("", "a\0b", "x" * 200_001):
            await line.say(text)
            assert (await line.until("error"))["content"]["short"] == "invalid_text"
        await line.say(json.dumps({"words": 1}))
        await line.over()
    check_workflow(line.heard)
    async with begun(server, "lesson", {"topic": "algebra"}, uuid) as other:
        await other.over()
    assert next(message["content"].get("short") for message in other.heard) == "workflow_uuid_taken"
    async with begun(server, "words", {"message": "x" * 200_001}) as long:
        await long.over()
    assert long.kinds == ["error", "workflow_completed"]


def _message(kind: str, uuid: str, **content: Any) -> dict[str, Any]:
    envelope = {"workflow_uuid": "w", "sender": "A", "recipient": "User", "auto_reply": False, "uuid": uuid}
    return {**envelope, "type": kind, "content": content}


BEGUN = _message("workflow_started", "1", name="a", description="", params={})
SAID = _message("text_message", "2", body="hello")
ENDED = _message("workflow_completed", "3", result="hello")


@pytest.mark.contract("FACE-17")
@pytest.mark.parametrize(
    "heard",
    [
        [],
        [BEGUN, SAID],
        [SAID, ENDED],
        [BEGUN, SAID, SAID, ENDED],
        [BEGUN, ENDED, ENDED],
        [{**BEGUN, "extra": 1}, SAID, ENDED],
        [BEGUN, {**SAID, "content": {}}, ENDED],
        [BEGUN, {**SAID, "workflow_uuid": "v"}, ENDED],
        [BEGUN, _message("function_call_execution", "4", function_name="f", call_id="c", retval=""), ENDED],
    ],
)
def test_a_broken_transcript_is_noticed(heard: list[dict[str, Any]]) -> None:
    assert check_workflow([BEGUN, SAID, ENDED]) == "hello"
    with pytest.raises(AssertionError):
        check_workflow(heard)
