"""What must be on the disk before anybody hears of it (REL-1), seen without a tracer of system calls."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from landline.backends.sqlite import SqliteStore
from landline.backends.sqlite.writer import Operation, Writer
from landline.model.callers import LOCAL
from landline.model.events import Event
from landline.model.runs import Answer
from landline.ports.adapter import Ask, Finished, ToolCall, Turn
from landline.ports.store import Append, Appended
from landline.testing.fakes import say
from landline.testing.stores import ALICE, Pen, ask, moment, new_thread, start
from tests.engine.conftest import Boot, Server


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "landline.db")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each operation of the writer: whether its caller waits for the disk."""
    seen: list[bool] = []
    run = Writer.run

    async def noted(
        self: Writer, operation: Operation[Any], *, durable: bool, careful: Operation[Any] | None = None
    ) -> Any:
        seen.append(durable)
        return await run(self, operation, durable=durable, careful=careful)

    monkeypatch.setattr(Writer, "run", noted)
    return seen


@pytest.mark.contract("REL-1", "RUN-2", "RUN-5", "RUN-8")
async def test_what_is_answered_is_on_the_disk(store: SqliteStore, commits: list[bool]) -> None:
    """A thread, a run, an answer and a cancel: a client was told that they hold."""
    thread = await new_thread(store)
    accepted = await start(store, thread.id)
    assert accepted.claim
    question = ask()
    await Pen(store, accepted.claim).wait(question)
    run_id = accepted.run.id
    answer = Answer(question_id=question.question.question_id, approve=True)
    await store.answer(ALICE, run_id, [answer], at=moment(2), owner="worker-1")
    await store.cancel(ALICE, run_id, by="alice", at=moment(3), owner="worker-1")
    assert commits == [True] * 5


@pytest.mark.contract("REL-1", "EVT-6")
async def test_intent_result_and_end_of_a_run_are_on_the_disk(
    boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash takes tokens, never what a tool was told or did, a question, or the end."""

    async def work() -> int:
        return 1

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        await turn.line.tool(ToolCall(call_id="c1", name="work", arguments={}), work)
        await turn.line.ask(Ask(key="a", kind="approval", prompt="?"))
        async for item in say("done"):
            yield item

    server = await boot(script=script)
    append = server.store.append
    on_disk: dict[str, bool] = {}

    async def noted(batches: Sequence[Append]) -> list[Appended]:
        on_disk.update((event.type, batch.durable) for batch in batches for event in batch.events)
        return await append(batches)

    monkeypatch.setattr(server.store, "append", noted)
    run = await server.start()
    await server.ended(run.id)
    question = (await server.get(run.id)).questions[0]
    await server.core.runs.answer(LOCAL, run.id, [Answer(question_id=question.question_id, approve=True)])
    await server.ended(run.id)
    kinds = ("tool.called", "tool.completed", "question.asked", "run.waiting", "run.completed")
    assert {kind: on_disk.get(kind) for kind in kinds} == dict.fromkeys(kinds, True)


def stored(server: Server, run_id: str) -> list[str]:
    """The types of a run's events as another process sees them now."""
    with closing(sqlite3.connect(server.folder / "landline.db")) as database:
        rows = database.execute(
            "SELECT e.type FROM events e JOIN runs r ON r.n = e.run_n WHERE r.id = ? ORDER BY e.seq", [run_id]
        ).fetchall()
    return [row[0] for row in rows]


@pytest.mark.contract("ADP-4", "EVT-6")
async def test_a_tool_starts_only_when_its_intent_is_stored(boot: Boot) -> None:
    """Else a crash in mid-call would leave no trace of it, and it would be made again."""
    seen: list[list[str]] = []

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        async def work() -> None:
            seen.append(stored(server, turn.run_id))

        await turn.line.tool(ToolCall(call_id="c1", name="work", arguments={}), work)
        async for item in say("done"):
            yield item

    server = await boot(script=script)
    run = await server.start()
    await server.ended(run.id)
    assert [types[-1] for types in seen] == ["tool.called"]


@pytest.mark.contract("ADP-4", "EVT-6")
async def test_the_agent_sees_a_result_only_when_it_is_stored(boot: Boot) -> None:
    """Else it might tell the world of a payment that it makes again after the crash."""
    seen: list[str] = []

    async def work() -> int:
        return 1

    async def fail() -> int:
        raise RuntimeError

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        await turn.line.tool(ToolCall(call_id="c1", name="work", arguments={}), work)
        seen.append(stored(server, turn.run_id)[-1])
        with pytest.raises(RuntimeError):
            await turn.line.tool(ToolCall(call_id="c2", name="fail", arguments={}), fail)
        seen.append(stored(server, turn.run_id)[-1])
        async for item in say("done"):
            yield item

    server = await boot(script=script)
    run = await server.start()
    async with asyncio.timeout(5):
        events = [json.loads(event.wire) for event in await server.ended(run.id)]
    assert seen == ["tool.completed", "tool.failed"]
    assert events[-1]["type"] == "run.completed"
