"""The AI SDK's wire in front of a real server: every framework, every cut, a crash."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import TypeAdapter
from pydantic_ai.ui.vercel_ai import request_types, response_types

from landline.testing.faces.ai_sdk import Chunk, Message, check_stream, read_frames
from landline.testing.kill import ServedProcess
from tests.e2e.ai_sdk_ui import WORDS

pytestmark = pytest.mark.timeout(120)  # a server with every framework may take its time to start

AGENTS = Path(__file__).with_name("ai_sdk_ui.py")
FIXTURE = "landline.testing.fixture:agents"
FRAMEWORKS = ["plain", "pydantic_ai", "openai_agents", "langgraph", "ag2"]
FACES = {"LANDLINE_FACES": "native,ai_sdk"}
HERE: dict[str, Any] = {
    "description": "Where we are.",
    "parameters": {"type": "object", "properties": {"exact": {"type": "boolean"}}, "required": ["exact"]},
}
SPOKEN = "Let me see. " + "".join(f"(6) {number} " for number in range(WORDS))
"""What `ui_talk` answers to `slowly`."""

_OF_THE_SDK: TypeAdapter[Any] = TypeAdapter(
    response_types.TextStartChunk
    | response_types.TextDeltaChunk
    | response_types.TextEndChunk
    | response_types.ReasoningStartChunk
    | response_types.ReasoningDeltaChunk
    | response_types.ReasoningEndChunk
    | response_types.ErrorChunk
    | response_types.ToolInputStartChunk
    | response_types.ToolInputDeltaChunk
    | response_types.ToolInputAvailableChunk
    | response_types.ToolOutputAvailableChunk
    | response_types.ToolOutputErrorChunk
    | response_types.ToolOutputDeniedChunk
    | response_types.SourceUrlChunk
    | response_types.DataChunk
    | response_types.StartStepChunk
    | response_types.FinishStepChunk
    | response_types.StartChunk
    | response_types.FinishChunk
)
"""The chunks as another project reads them."""
_NEWER = {"tool-approval-request", "tool-approval-response"}
"""Of a newer version than that project's, or with more fields."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedProcess]:
    data = tmp_path_factory.mktemp("ai_sdk") / "data"
    process = ServedProcess(AGENTS, data=data, environ=FACES, options=("--grace", "0"))
    await process.start(60)
    yield process
    process.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fixture(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedProcess]:
    data = tmp_path_factory.mktemp("ai_sdk_fixture") / "data"
    process = ServedProcess(FIXTURE, data=data, environ=FACES, options=("--grace", "0"))
    await process.start(100)
    yield process
    process.kill()


def client_() -> httpx.AsyncClient:
    """A client without TLS, which would take longer to set up than a run."""
    return httpx.AsyncClient(timeout=30, verify=False)


class Chat:
    """A chat as `useChat` keeps it: it sends all of its messages, and goes on with the last one of the assistant."""

    def __init__(self, server: ServedProcess, agent: str, id_: str, **body: Any) -> None:
        self.url, self.id, self.body = f"{server.url}/ai/{agent}", id_, body
        self.messages: list[dict[str, Any]] = []

    async def say(self, text: str) -> Message:
        parts = [{"type": "text", "text": text}]
        self.messages.append({"id": f"m{len(self.messages)}", "role": "user", "parts": parts})
        return self._heard(await self._post())

    async def reply(self, message: Message, call_id: str, **part: Any) -> Message:
        """Change the part of a call as `addToolOutput` and `addToolApprovalResponse` do, and send it."""
        before = deepcopy(message)
        tool = before.tool(call_id)
        approval = {**tool.get("approval", {}), **part.pop("approval", {})}
        tool |= {**part, **({"approval": approval} if approval else {})}
        self.messages[-1] = {"id": before.id, "role": "assistant", "parts": before.parts}
        return self._heard(await self._post(messageId=before.id), before)

    async def _post(self, **more: Any) -> bytes:
        body = {"id": self.id, "messages": self.messages, "trigger": "submit-message", **self.body, **more}
        request_types.SubmitMessage.model_validate({**body, "trigger": "submit-message"})
        async with client_() as client:
            answer = await client.post(self.url, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
        return answer.content

    def _heard(self, body: bytes, before: Message | None = None) -> Message:
        chunks = read_frames(body)
        for chunk in chunks:
            if chunk["type"] not in _NEWER:
                _OF_THE_SDK.validate_python(chunk)
        message = check_stream(chunks, before=before)
        shown = {"id": message.id, "role": "assistant", "parts": message.parts}
        self.messages[-1:] = [shown] if before else [self.messages[-1], shown]
        return message


async def resumed(url: str, query: str = "") -> tuple[int, Message | None]:
    async with client_() as client:
        answer = await client.get(f"{url}/stream{query}")
    return answer.status_code, check_stream(read_frames(answer.content)) if answer.content else None


def only_call(message: Message) -> dict[str, Any]:
    (tool,) = [part for part in message.parts if "toolCallId" in part]
    return tool


@pytest.mark.contract("FACE-9", "FACE-17", "ADP-1")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_each_framework_chats(fixture: ServedProcess, framework: str) -> None:
    chat = Chat(fixture, f"fixture_{framework}", f"chat-{framework}")
    message = await chat.say("think and look up 'milk' and 'bread', both")
    tools = {part["input"]["topic"]: part for part in message.parts if part["type"] == "tool-look_up"}
    assert message.finish_reason == "stop"
    assert {topic: (tool["state"], tool["output"]) for topic, tool in tools.items()} == {
        "milk": ("output-available", "milk has 4 letters"),
        "bread": ("output-available", "bread has 5 letters"),
    }
    assert "milk has 4 letters" in message.text
    assert "".join(part["text"] for part in message.parts if part["type"] == "reasoning") == "Let me think. "
    assert message.metadata["usage"]["totalTokens"] > 0
    assert (await chat.say("My name is Ann")).text == "Hello, Ann."
    assert (await chat.say("What is my name?")).text == "Your name is Ann."
    failed = await chat.say("fail")
    assert failed.ended == "error"
    assert failed.error


@pytest.mark.contract("FACE-9", "RUN-8", "ADP-6")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_a_tool_of_each_framework_waits_for_an_approval(
    fixture: ServedProcess, framework: str, approved: bool
) -> None:
    chat = Chat(fixture, f"fixture_{framework}", f"approval-{framework}-{approved}")
    first = await chat.say("approve 'milk'")
    tool = only_call(first)
    assert (tool["type"], tool["input"]) == ("tool-delete_note", {"note": "milk"})
    assert (tool["state"], first.finish_reason) == ("approval-requested", "tool-calls")
    status, again = await resumed(f"{chat.url}/{chat.id}")
    assert (status, again) == (200, first)
    message = await chat.reply(
        first, tool["toolCallId"], state="approval-responded", approval={"approved": approved}
    )
    assert (message.id, "deleted milk" in message.text) == (first.id, approved)
    assert only_call(message)["state"] == ("output-available" if approved else "output-denied")
    assert (await resumed(f"{chat.url}/{chat.id}"))[0] == 204
    _, told = await resumed(f"{chat.url}/{chat.id}", f"?message_id={message.id}")
    assert told is not None
    assert (told.text, only_call(told)["state"]) == (message.text, only_call(message)["state"])


@pytest.mark.contract("FACE-9", "TRU-19")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_the_client_carries_out_its_own_tool_with_each_framework(
    fixture: ServedProcess, framework: str
) -> None:
    chat = Chat(fixture, f"fixture_{framework}", f"here-{framework}", tools={"here": HERE})
    first = await chat.say("are we here")
    tool = only_call(first)
    assert (tool["type"], list(tool["input"]), tool["state"]) == ("tool-here", ["exact"], "input-available")
    assert first.finish_reason == "tool-calls"
    message = await chat.reply(first, tool["toolCallId"], state="output-available", output={"city": "Rome"})
    assert message.text == 'The result of here is: {"city":"Rome"}.'
    assert only_call(message)["output"] == {"city": "Rome"}


@pytest.mark.contract("FACE-9", "RUN-8")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("framework", [name for name in FRAMEWORKS if name != "openai_agents"])
async def test_a_question_of_each_framework_is_answered_by_the_next_message(
    fixture: ServedProcess, framework: str
) -> None:
    chat = Chat(fixture, f"fixture_{framework}", f"ask-{framework}")
    (asked,) = (await chat.say("ask me")).data("landline-question")
    assert asked["prompt"] == "What is your name?"
    message = await chat.say("Ann")
    assert (message.text, message.ended) == ("Hello, Ann.", "finish")
    assert message.id.endswith(".2")


@pytest.mark.contract("FACE-9", "FACE-17")
@pytest.mark.asyncio(loop_scope="module")
async def test_every_agent_of_the_fixture_keeps_the_grammar(server: ServedProcess) -> None:
    talk = await Chat(server, "ui_talk", "g1").say("hello")
    assert [part["type"] for part in talk.parts if part["type"].startswith("source")] == ["source-url"]
    assert talk.data("mood") == [{"glad": True}]
    shape = await Chat(server, "ui_shape", "g2").say("four")
    assert shape.data("landline-output") == [{"city": "Rome", "people": 4}]
    fail = await Chat(server, "ui_fail", "g3").say("go")
    assert (fail.ended, fail.text) == ("error", "Well")
    assert "secret" not in (fail.error or "")
    ask = Chat(server, "ui_ask", "g4")
    assert (await ask.say("go")).data("landline-question")[0]["prompt"] == "What is your name?"
    assert (await ask.say("Ann")).data("landline-question")[0]["choices"] == ["red", "blue"]
    last = await ask.say("red")
    assert (last.text, last.id.rpartition(".")[2]) == ("Ann likes red", "3")


@pytest.mark.contract("FACE-9", "EVT-4")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_client_that_is_cut_after_any_frame_resumes_to_the_same_message(
    server: ServedProcess,
) -> None:
    """Each chat is cut at another frame, comes back while the run goes on, and has the whole message at its end."""
    whole = await Chat(server, "ui_talk", "whole").say("slowly")
    assert whole.text == SPOKEN

    async def cut(frames: int) -> None:
        chat = Chat(server, "ui_talk", f"cut-{frames}")
        parts = [{"type": "text", "text": "slowly"}]
        body = {"id": chat.id, "messages": [{"id": "m", "role": "user", "parts": parts}]}
        seen, begun = 0, ""
        async with (
            client_() as client,
            client.stream("POST", chat.url, json=body) as answer,
        ):
            async for line in answer.aiter_lines():
                seen += line.startswith("data: ")
                begun = begun or json.loads(line.removeprefix("data: "))["messageId"]
                if seen == frames:
                    break
        status, message = await resumed(f"{chat.url}/{chat.id}")
        if message is None:
            # It ended before the client was back: the message is still there by its id.
            assert (status, frames > 25) == (204, True)
            status, message = await resumed(f"{chat.url}/{chat.id}", f"?message_id={begun}")
        assert message is not None
        assert message.text == whole.text
        assert [part["type"] for part in message.parts] == [part["type"] for part in whole.parts]

    await asyncio.gather(*(cut(frames) for frames in range(1, 33)))


@pytest.mark.contract("FACE-9", "EVT-4", "REL-3")
@pytest.mark.timeout(120)
async def test_after_a_crash_in_mid_message_a_new_read_gives_what_was_rewritten(tmp_path: Path) -> None:
    process = ServedProcess(AGENTS, data=tmp_path / "data", environ=FACES, options=("--grace", "0"))
    await process.start(60)
    try:
        url = f"{process.url}/ai/ui_talk"
        parts = [{"type": "text", "text": "slowly"}]
        body = {"id": "c1", "messages": [{"id": "m", "role": "user", "parts": parts}]}
        heard = b""
        async with client_() as client:
            with suppress(httpx.RemoteProtocolError):
                async with client.stream("POST", url, json=body) as answer:
                    async for piece in answer.aiter_bytes():
                        heard += piece
                        if b"(6) 3" in heard:
                            process.kill()
        assert not process.running
        cut: list[Chunk] = read_frames(heard[: heard.rindex(b"\n\n") + 2] + b"data: [DONE]\n\n")
        begun = check_stream(cut, whole=False)
        assert SPOKEN.startswith(begun.text)
        await process.start(60)
        status, message = await resumed(f"{url}/c1")
        assert status == 200
        assert message is not None
        assert (message.id, message.text, message.ended) == (begun.id, SPOKEN, "finish")
        assert only_call(message)["output"] == "(6)"
    finally:
        process.kill()
