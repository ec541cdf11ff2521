"""History, files and settings of Pydantic AI agents, and what is known of one before it runs."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import Raw
from pydantic_ai import Agent
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import BinaryContent, ModelMessage, ModelRequest, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from landline.adapters.pydantic_ai import adapter
from landline.adapters.pydantic_ai import messages as history_module
from landline.model.errors import Unsupported
from landline.model.ids import new_id
from landline.model.messages import ImagePart, Message, Native, Part, TextPart
from landline.ports.adapter import AgentSpec, Finished
from landline.testing.line import MemoryLine, drive, turn_of

PICTURE = ("cat.png", "image/png", b"\x89PNG-cat")


def seeing(seen: list[ModelMessage]) -> FunctionModel:
    """A model that keeps what it was sent last and says how much that was."""

    async def stream(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str]:
        seen[:] = messages
        yield f"{len(messages)} messages"

    return FunctionModel(stream_function=stream)


async def go(
    agent: Agent[None, Any], text: str | list[Part] = "hi", *, line: MemoryLine | None = None, **given: Any
) -> Finished:
    line = line or MemoryLine()
    async with asyncio.timeout(5):
        return await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), text, **given))


def rows(run_id: str, text: str, native: Native | None, *, user: bool = True) -> list[Message]:
    given: dict[str, Any] = {
        "thread_id": "t",
        "parent_id": None,
        "seq": 0,
        "created_at": "2026-01-01T00:00:00.000Z",
    }
    asked = Message(
        id=new_id(), run_id=run_id, role="user", content=text, parts=[TextPart(text=text)], **given
    )
    said = Message(
        id=new_id(),
        run_id=run_id,
        role="assistant",
        content="x",
        parts=[TextPart(text="x")],
        native=native,
        **given,
    )
    return [asked, said] if user else [said]


def prompts(messages: list[ModelMessage]) -> list[Any]:
    return [
        p.content
        for m in messages
        if isinstance(m, ModelRequest)
        for p in m.parts
        if isinstance(p, UserPromptPart)
    ]


@pytest.mark.contract("THR-5")
async def test_an_answer_given_again_does_not_repeat_its_question() -> None:
    """Regenerate: the new run's own messages hold the prompt, whose row belongs to the first run."""
    seen: list[ModelMessage] = []
    agent = Agent(seeing(seen))
    first = await go(agent, "a", run_id="r1")
    again = await go(agent, "a", run_id="r2")
    branch = [*rows("r1", "a", first.native)[:1], *rows("r2", "a", again.native, user=False)]
    await go(agent, "b", history=branch, run_id="r3")
    assert prompts(seen) == ["a", "b"]


@pytest.mark.contract("THR-3")
async def test_turns_that_failed_or_are_of_another_version_are_converted() -> None:
    seen: list[ModelMessage] = []
    agent = Agent(seeing(seen))
    foreign = Native(framework="openai_agents", version=1, messages=Raw(b"[]"))
    newer = Native(framework="pydantic_ai", version=99, messages=Raw(b"[]"))
    failed = rows("r1", "a", None)[:1]
    await go(agent, "d", history=[*failed, *rows("r2", "b", foreign), *rows("r3", "c", newer)])
    assert prompts(seen) == ["a", "b", "c", "d"]
    assert [m.kind for m in seen] == ["request", "response", "request", "response", "request"]


@pytest.mark.contract("PRF-5")
async def test_a_warm_thread_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ModelMessage] = []
    agent = Agent(seeing(seen))
    branch: list[Message] = []
    parsed: list[int] = []
    real = history_module.ModelMessagesTypeAdapter.validate_json

    def counted(data: bytes) -> list[ModelMessage]:
        parsed.append(1)
        return real(data)

    monkeypatch.setattr(history_module.ModelMessagesTypeAdapter, "validate_json", counted)
    for turn in range(6):
        run_id = f"warm-{turn}"
        finished = await go(agent, str(turn), history=branch, run_id=run_id)
        branch += rows(run_id, str(turn), finished.native)
    assert len(parsed) == 5
    assert prompts(seen) == [str(turn) for turn in range(6)]


@pytest.mark.contract("THR-7")
async def test_the_agents_own_history_processor_works_and_spoils_no_later_turn() -> None:
    seen: list[ModelMessage] = []

    def forget_one(messages: list[ModelMessage]) -> list[ModelMessage]:
        del messages[0]
        return messages

    first = await go(Agent(seeing(seen)), "a", run_id="r1")
    branch = rows("r1", "a", first.native)
    await go(Agent(seeing(seen), capabilities=[ProcessHistory(forget_one)]), "b", history=branch, run_id="r2")
    assert len(seen) == 2
    await go(Agent(seeing(seen)), "b", history=branch, run_id="r3")
    assert prompts(seen) == ["a", "b"]


@pytest.mark.contract("ADP-2", "THR-9")
async def test_images_reach_the_model_and_never_the_stored_messages() -> None:
    seen: list[ModelMessage] = []
    agent = Agent(seeing(seen))
    line = MemoryLine(files={"f1": PICTURE})
    asked: list[Part] = [TextPart(text="look"), ImagePart(file_id="f1")]
    finished = await go(agent, asked, line=line, run_id="r1")
    (first,) = prompts(seen)
    assert first[0] == "look"
    assert first[1].data == PICTURE[2]
    assert finished.native is not None
    stored = bytes(finished.native.messages)
    assert BinaryContent(PICTURE[2], media_type="image/png").base64.encode() not in stored
    history = rows("r1", "look", finished.native)
    await go(agent, "and now?", line=MemoryLine(files={"f1": PICTURE}), history=history, run_id="r2")
    assert prompts(seen)[0][1].data == PICTURE[2]
    await go(agent, "gone?", history=history, run_id="r3")
    assert prompts(seen)[0] == ["look", "[A file that was here has been deleted.]"]


@pytest.mark.contract("ADP-2")
async def test_a_setting_the_agent_does_not_take_is_refused() -> None:
    with pytest.raises(Unsupported, match="logit_bias"):
        await go(Agent(TestModel()), settings={"logit_bias": {}})


@pytest.mark.contract("AGT-1", "ADP-10")
def test_an_agent_is_recognised_without_importing_the_framework() -> None:
    code = (
        "import sys; from landline.adapters.pydantic_ai import adapter; "
        "assert not adapter.matches(print); assert 'pydantic_ai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert adapter.matches(Agent(TestModel()))
    assert not adapter.matches(object())


@pytest.mark.contract("ADP-10")
def test_a_missing_framework_is_answered_with_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    with pytest.raises(ImportError, match=r"pip install \"landline\[pydantic-ai\]\""):
        adapter.describe(AgentSpec(agent=object(), name="a"))


@pytest.mark.contract("AGT-2")
def test_the_version_changes_with_the_definition_and_only_then() -> None:
    def made(instructions: str, *, tool: bool = False, output: Any = str) -> str:
        agent: Agent[None, Any] = Agent(TestModel(), instructions=instructions, output_type=output)
        if tool:
            agent.tool_plain(add)
        return adapter.describe(AgentSpec(agent=agent, name="a")).version

    def add(n: int) -> int:
        return n

    assert made("x") == made("x")
    assert len({made("x"), made("y"), made("x", tool=True), made("x", output=int)}) == 4
