"""The SDK's sessions: an owner's own around runs that are taken up again, and Landline's for code that runs agents itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, RunConfig, Runner, SessionSettings, SQLiteSession, function_tool

from landline.adapters.openai_agents import LandlineSession, OpenAIAgent, adapter
from landline.backends.memory import MemoryStore
from landline.backends.sqlite import SqliteStore
from landline.model import events as log
from landline.model.callers import Caller
from landline.model.errors import AgentFailed
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.ports.store import Store
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.models.openai_agents import Asked, Call
from tests.adapters.openai_agents_kit import OpenAIAgentsKit, Pieces, agent_of

ANN = Caller(tenant="t", user="ann")
BOB = Caller(tenant="t", user="bob")
ELSEWHERE = Caller(tenant="u", user="ann")
QUIET = RunConfig(tracing_disabled=True)


async def go(agent: Any, line: MemoryLine | None = None, text: str = "hi", **given: Any) -> Finished:
    line = line or MemoryLine()
    async with asyncio.timeout(10):
        return await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), text, **given))


@pytest.fixture
def own(tmp_path: Path) -> Any:
    made = SQLiteSession("s", tmp_path / "own.db")
    yield made
    made.close()


@pytest.mark.contract("ADP-7")
async def test_an_owners_session_holds_the_history(own: SQLiteSession) -> None:
    agent = OpenAIAgent(agent=OpenAIAgentsKit().echo().agent, session=lambda _caller, _thread: own)
    await go(agent, text="a")
    assert (await go(agent, text="b")).output == "Before: a. You said: b"
    assert len(await own.get_items()) == 4


@pytest.mark.contract("ADP-7", "ADP-3")
async def test_a_run_that_waits_or_fails_writes_nothing_and_one_that_goes_on_writes_once(
    own: SQLiteSession,
) -> None:
    @function_tool(needs_approval=True)
    async def pay() -> str:
        return "paid"

    async def speak(asked: Asked) -> Pieces:
        if asked.prompts[-1] == "fail":
            raise RuntimeError
        yield "paid" if asked.told else Call("pay")

    agent = OpenAIAgent(agent=agent_of(speak, tools=[pay]), session=lambda _caller, _thread: own)
    with pytest.raises(AgentFailed):
        await go(agent, text="fail")
    line = MemoryLine()
    with pytest.raises(Suspended):
        await go(agent, line)
    assert await own.get_items() == []
    line.answer(next(iter(line.questions)), approve=True)
    await go(agent, line.resumed())
    items: list[Any] = await own.get_items()
    assert [item.get("type", item.get("role")) for item in items] == [
        "user", "function_call", "function_call_output", "message",
    ]  # fmt: skip


@pytest.mark.contract("ADP-7", "ADP-4")
async def test_a_crash_after_the_session_was_written_does_not_write_it_twice(own: SQLiteSession) -> None:
    kit = OpenAIAgentsKit()
    agent = OpenAIAgent(agent=kit.structured().agent, session=lambda _caller, _thread: own)
    line = MemoryLine()
    line.die_before = log.MessageCompleted  # a structured answer is completed when the run has ended
    with pytest.raises(Crashed):
        await go(agent, line)
    written = await own.get_items()
    assert len(written) == 2
    await go(agent, line.resumed())
    assert await own.get_items() == written


@pytest.fixture(params=["memory", "sqlite"])
async def documents(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "landline.db")
    await store.open()
    yield store
    await store.close()


def echo() -> Agent[Any]:
    return OpenAIAgentsKit().echo().agent


@pytest.mark.contract("ADP-7")
async def test_an_app_that_runs_agents_itself_keeps_its_session_in_landlines_store(documents: Store) -> None:
    for text in ("a", "b"):
        await Runner.run(echo(), text, session=LandlineSession(documents, ANN, "s"), run_config=QUIET)
    result = await Runner.run(echo(), "c", session=LandlineSession(documents, ANN, "s"), run_config=QUIET)
    assert result.final_output == "Before: a. Before: b. You said: c"


@pytest.mark.contract("ADP-7", "TRU-1")
async def test_a_session_belongs_to_its_caller_and_its_id(documents: Store) -> None:
    await LandlineSession(documents, ANN, "s").add_items([{"role": "user", "content": "mine"}])
    for caller, id_ in ((BOB, "s"), (ELSEWHERE, "s"), (ANN, "s2")):
        assert await LandlineSession(documents, caller, id_).get_items() == []


@pytest.mark.contract("ADP-7")
async def test_the_four_verbs_do_what_the_protocol_says(documents: Store) -> None:
    session = LandlineSession(documents, ANN, "s")
    items: list[Any] = [{"role": "user", "content": f"ä{n}"} for n in range(5)]
    assert await session.pop_item() is None
    await session.clear_session()
    await session.add_items(items[:3])
    await session.add_items([])
    await session.add_items(items[3:])
    assert await session.get_items() == items
    assert await session.get_items(2) == items[3:]
    assert await session.get_items(0) == []
    limited = LandlineSession(documents, ANN, "s", session_settings=SessionSettings(limit=1))
    assert await limited.get_items() == items[4:]
    assert await session.pop_item() == items[4]
    await session.add_items([items[0]])
    assert await session.get_items() == [*items[:4], items[0]]
    await session.clear_session()
    assert await session.get_items() == []
    for collection in ("openai_agents.sessions", "openai_agents.items"):
        assert await documents.list_documents(ANN, collection) == []


@pytest.mark.contract("ADP-7")
async def test_writers_at_the_same_time_lose_nothing_and_mix_no_batch(documents: Store) -> None:
    async def write(name: str) -> None:
        batch: list[Any] = [{"role": "user", "content": f"{name}{n}"} for n in range(3)]
        await LandlineSession(documents, ANN, "s").add_items(batch)

    names = "abcdefgh"
    await asyncio.gather(*(write(name) for name in names))
    said: list[Any] = [
        dict(item)["content"] for item in await LandlineSession(documents, ANN, "s").get_items()
    ]
    batches = ["".join(said[at : at + 3]) for at in range(0, len(said), 3)]
    assert sorted(batches) == [f"{name}0{name}1{name}2" for name in names]
