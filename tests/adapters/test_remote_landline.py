"""Agents of another Landline over cut connections, refusals and files; its server is real, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

import landline
from landline.adapters.plain import PlainRun
from landline.model.errors import AgentFailed
from landline.model.events import (
    Custom,
    MessageCompleted,
    MessageRetracted,
    ReasoningDelta,
    TextDelta,
    UsageReported,
    encode,
)
from landline.model.messages import ImagePart, Message, TextPart
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.proxy import CuttingProxy
from tests.adapters.remote_kit import RemoteServer, bound, remote_landline

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)

ran: list[str] = []


async def words(run: PlainRun) -> None:
    """Say thirty words, slowly."""
    for number in range(30):
        await run.text(f"w{number} ")
        await asyncio.sleep(0.01)


async def chatty(run: PlainRun) -> str:
    """Emit one of each kind that has no question."""
    await run.emit("note", {"n": 1})
    await run.step("work", _work)
    return f"You said: {run.input}"


async def _work() -> int:
    ran.append("work")
    return 7


async def asks(run: PlainRun) -> str:
    """Ask for a text, a choice and an approval."""
    name = await run.ask("Your name?")
    colour = await run.ask("Colour?", kind="choice", choices=["red", "blue"])
    return f"{name} likes {colour}"


async def remembers(run: PlainRun) -> str:
    """Say how many turns came before."""
    return f"{sum(m.role == 'user' for m in run.history)} before"


async def hangs(run: PlainRun) -> str:
    """Wait for ever on the word wait."""
    if run.input == "wait":
        await run.text("waiting ")
        await asyncio.Event().wait()
    return "went on"


AGENTS = [landline.agent(f, name=f.__name__) for f in (words, chatty, asks, remembers, hangs)]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[RemoteServer]:
    ran.clear()
    async with remote_landline(tmp_path, *AGENTS) as server:
        yield server


def at(url: str, name: str, **given: Any) -> AgentSpec:
    return landline.agent(landline.remote(url, agent=name, **given), name="far")


async def play(spec: AgentSpec, text: Any = "hi", **given: Any) -> tuple[MemoryLine, Finished]:
    line = MemoryLine()
    async with asyncio.timeout(10):
        return line, await drive(bound(spec.agent.protocol), line, turn_of(line, spec, text, **given))


@pytest.mark.contract("ADP-2", "ADP-4")
async def test_a_connection_cut_again_and_again_loses_and_doubles_nothing(server: RemoteServer) -> None:
    async with CuttingProxy(server.url, cut_after=1500) as proxy:
        line, finished = await play(at(proxy.url, "words"))
    whole = "".join(f"w{n} " for n in range(30))
    assert proxy.cuts > 3
    assert finished.output == whole
    assert "".join(event.delta for event in line.of(TextDelta)) == whole
    assert len(line.of(MessageCompleted)) == 1
    assert len((await server.app.core.runs.history(_local(), _query())).items) == 1


def _local() -> Any:
    from landline.model.callers import LOCAL

    return LOCAL


def _query() -> Any:
    from landline.ports.store import RunQuery

    return RunQuery(limit=10)


@pytest.mark.contract("ADP-4")
async def test_our_crash_at_any_event_goes_on_in_the_same_remote_run(server: RemoteServer) -> None:
    adapter, spec = bound("landline"), at(server.url, "words")
    whole = "".join(f"w{n} " for n in range(30))
    for crash_at in (0, 1, 2, 7, 20):
        line = MemoryLine(crash_at=crash_at)
        turn_id = f"run-{crash_at}"
        with pytest.raises(Crashed):
            await drive(adapter, line, turn_of(line, spec, "hi", run_id=turn_id))
        line = line.resumed(drop=False)
        async with asyncio.timeout(10):
            finished = await drive(adapter, line, turn_of(line, spec, "hi", run_id=turn_id))
        assert finished.output == whole
        assert [text for _, text, _ in line.messages()] == [whole]
        check_grammar(line.events)
    runs = await server.app.core.runs.history(_local(), _query())
    assert len(runs.items) == 5


@pytest.mark.contract("ADP-2")
async def test_custom_events_tools_and_usage_pass_through(server: RemoteServer) -> None:
    line, finished = await play(at(server.url, "chatty"))
    assert finished.output == "You said: hi"
    assert [(event.name, event.data) for event in line.of(Custom)] == [("note", {"n": 1})]
    assert ran == ["work"]
    assert not line.of(UsageReported)
    assert not line.of(ReasoningDelta)


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_questions_are_asked_here_and_answered_there(server: RemoteServer) -> None:
    adapter, spec = bound("landline"), at(server.url, "asks")
    line = MemoryLine()
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    ((key, ask),) = line.questions.items()
    assert (ask.kind, ask.prompt) == ("input", "Your name?")
    line.answer(key, value="Ada")
    line = line.resumed(drop=False)
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    ((key, ask),) = line.questions.items()
    assert (ask.kind, ask.choices) == ("choice", ["red", "blue"])
    line.answer(key, value="red")
    line = line.resumed(drop=False)
    async with asyncio.timeout(5):
        finished = await drive(adapter, line, turn_of(line, spec, "hi"))
    assert finished.output == "Ada likes red"


@pytest.mark.contract("RUN-8")
async def test_an_answer_that_was_passed_on_before_a_crash_is_not_one_too_many(server: RemoteServer) -> None:
    adapter, spec = bound("landline"), at(server.url, "asks")
    line = MemoryLine()
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    line.answer(next(iter(line.questions)), value="Ada")
    line = line.resumed(drop=False)
    line.die_before = type(
        line.events[-1]
    )  # anything but a question comes first: nothing of this segment is stored
    stored = line.resumed(drop=False)
    with pytest.raises(Suspended):
        await drive(adapter, stored, turn_of(stored, spec, "hi"))
    # The other server has the answer; a line that never heard of it passes it on again.
    again = line.resumed(drop=False)
    with pytest.raises(Suspended):
        await drive(adapter, again, turn_of(again, spec, "hi"))
    assert [ask.prompt for ask in again.questions.values()] == ["Colour?"]


@pytest.mark.contract("THR-3")
async def test_one_thread_here_is_one_thread_there_and_an_edit_is_a_branch(server: RemoteServer) -> None:
    spec, history = at(server.url, "remembers"), list[Message]()
    for number in range(3):
        line, finished = await play(spec, f"t{number}", history=history, run_id=f"r{number}")
        assert finished.output == f"{number} before"
        history += rows(f"t{number}", line, finished, run_id=f"r{number}")
    _, finished = await play(spec, "edited", history=history[:2], run_id="r9")
    assert finished.output == "1 before"
    threads = await server.app.threads.list(_local(), _thread_query())
    assert len(threads.items) == 1


def _thread_query() -> Any:
    from landline.ports.store import ThreadQuery

    return ThreadQuery(limit=10)


def rows(text: str, line: MemoryLine, finished: Finished, *, run_id: str) -> list[Message]:
    made: list[Message] = []
    for role, said, native in (("user", text, None), ("assistant", str(finished.output), finished.native)):
        made.append(
            Message(
                id=f"{run_id}-{role}",
                thread_id="thread-1",
                run_id=run_id,
                parent_id=None,
                seq=0,
                role=role,  # pyright: ignore[reportArgumentType] - one of the two
                content=said,
                parts=[TextPart(text=said)],
                created_at="2026-01-01T00:00:00.000Z",
                native=native,
            )
        )
    assert line.messages()
    return made


@pytest.mark.contract("RUN-5")
async def test_a_cancel_is_passed_on_and_a_stopping_server_leaves_the_run_there(server: RemoteServer) -> None:
    for stopping, status in ((True, "cancelled"), (False, "running")):
        line = MemoryLine()
        spec = at(server.url, "hangs")
        task = asyncio.create_task(
            drive(bound("landline"), line, turn_of(line, spec, "wait", run_id=f"run-{stopping}"))
        )
        async with asyncio.timeout(5):
            while not line.of(TextDelta):  # noqa: ASYNC110 - the line has no bell
                await asyncio.sleep(0.01)
        line.stopping = stopping
        task.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await task
        runs = await server.app.core.runs.history(_local(), _query())
        assert runs.items[0].status == status


@pytest.mark.contract("ADP-2")
async def test_a_run_that_was_given_up_does_not_block_its_thread_there(server: RemoteServer) -> None:
    spec = at(server.url, "hangs")
    line, finished = await play(spec, "go", run_id="r1")
    history = rows("go", line, finished, run_id="r1")
    task = asyncio.create_task(
        drive(
            bound("landline"), line := MemoryLine(), turn_of(line, spec, "wait", history=history, run_id="r2")
        )
    )
    async with asyncio.timeout(5):
        while not line.of(TextDelta):  # noqa: ASYNC110 - the line has no bell
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    _, finished = await play(spec, "go", history=history, run_id="r3")
    assert finished.output == "went on"


@pytest.mark.contract("ADP-2", "EVT-8")
async def test_refusals_have_codes_and_tell_nothing(server: RemoteServer, tmp_path: Path) -> None:
    assert await refusal(at(server.url, "nobody")) == "remote_not_found"
    (tmp_path / "closed").mkdir()
    async with remote_landline(tmp_path / "closed", *AGENTS, everybody=False) as closed:
        assert await refusal(at(closed.url, "words", token="canary-9917")) == "remote_auth"


async def refusal(spec: AgentSpec) -> str:
    line = MemoryLine()
    with pytest.raises(AgentFailed) as failed:
        await drive(bound(spec.agent.protocol), line, turn_of(line, spec, "hi"))
    assert b"canary" not in b"".join(map(encode, line.events)) + failed.value.detail.encode()
    assert "canary" not in repr(spec)
    return failed.value.code


@pytest.mark.contract("ADP-2")
async def test_an_unreachable_server_fails_the_run_with_a_stable_code(unused_tcp_port: int) -> None:
    line = MemoryLine()
    with pytest.raises(AgentFailed) as failed:
        await play_on(line, f"http://127.0.0.1:{unused_tcp_port}")
    assert (failed.value.code, line.events) == ("remote_unreachable", [])
    assert str(unused_tcp_port) not in failed.value.detail


async def play_on(line: MemoryLine, url: str) -> Finished:
    async with asyncio.timeout(10):
        return await drive(bound("landline"), line, turn_of(line, at(url, "x"), "hi"))


@pytest.mark.contract("ADP-2", "THR-9")
async def test_an_image_is_sent_to_the_other_server_as_a_file_of_its_own(tmp_path: Path) -> None:
    async def looks(run: PlainRun) -> str:
        found = [part for part in run.parts if isinstance(part, ImagePart)]
        name, media_type, data = await run.read_file(found[0].file_id)
        return f"{name} {media_type} {len(data)}"

    async with remote_landline(tmp_path, landline.agent(looks, name="looks")) as server:
        line = MemoryLine(files={"f1": ("dot.png", "image/png", PNG)})
        spec = at(server.url, "looks")
        parts = [TextPart(text="see"), ImagePart(file_id="f1")]
        finished = await drive(bound("landline"), line, turn_of(line, spec, parts))
    assert finished.output == f"dot.png image/png {len(PNG)}"


async def test_a_message_that_is_dropped_there_is_retracted_here(server: RemoteServer) -> None:
    from landline.adapters.remote.native_cursor import Cursor
    from landline.adapters.remote.native_events import Translation

    line = MemoryLine()
    cursor = Cursor(line)
    told = Translation(cursor, line)
    wire = '{{"seq":{0},"run_id":"r","thread_id":"t","at":"2026-01-01T00:00:00.000Z",{1}}}'
    for seq, body in enumerate(
        (
            '"type":"message.started","message_id":"m","role":"assistant"',
            '"type":"text.delta","message_id":"m","delta":"half"',
            '"type":"run.resumed","attempt":2,"reason":"recovered","drop_message_id":"m"',
            '"type":"message.started","message_id":"m2","role":"assistant"',
            '"type":"text.delta","message_id":"m2","delta":"whole"',
            '"type":"message.completed","message_id":"m2","text":"whole"',
            '"type":"from.the.future","x":1',
        ),
        1,
    ):
        place = cursor.take(wire.format(seq, body))
        assert place is not None
        await line.emit(*told.of(place.event, place))
    assert [text for _, text, _ in line.messages()] == ["whole"]
    assert len(line.of(MessageRetracted)) == 1
    assert [event.name for event in line.of(Custom)] == ["remote.event"]
    assert server.url


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[]",
        '{"seq":"1","run_id":"r","thread_id":"t","at":"x","type":"custom","name":"n"}',
        '{"seq":2,"run_id":"r","thread_id":"t","at":"x","type":"custom","name":"n"}',
        '{"seq":1,"run_id":"r","thread_id":"t","at":"x","type":"text.delta","message_id":1,"delta":2}',
    ],
)
def test_what_is_no_next_event_fails(body: str) -> None:
    from landline.adapters.remote.native_cursor import Cursor

    with pytest.raises(AgentFailed) as failed:
        Cursor(MemoryLine()).take(body)
    assert failed.value.code == "remote_invalid_response"
