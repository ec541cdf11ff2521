"""FastAgency workflows over their documented wire, from a server of our own that speaks it."""

from __future__ import annotations

import asyncio

import pytest

import landline
from landline.adapters.remote import RemoteAdapter
from landline.model.errors import AgentFailed
from landline.model.events import Custom, TextDelta, ToolCalled, ToolCompleted, ToolFailed, encode
from landline.ports.adapter import AgentSpec, Suspended
from landline.testing.adapters.grammar import check_grammar
from landline.testing.line import MemoryLine, drive, turn_of
from tests.adapters.fastagency_kit import FastAgency, fastagency_server
from tests.adapters.remote_kit import bound


def at(url: str, workflow: str) -> AgentSpec:
    remote = landline.remote(url, protocol="fastagency", agent=workflow, token="canary-key")
    return landline.agent(remote, name="far")


async def until_asked(adapter: RemoteAdapter, line: MemoryLine, spec: AgentSpec) -> None:
    with pytest.raises(Suspended):
        async with asyncio.timeout(5):
            await drive(adapter, line, turn_of(line, spec, "sums"))


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_a_workflow_asks_and_goes_on_where_it_was() -> None:
    agency, adapter, line = FastAgency(), bound("fastagency"), MemoryLine()
    async with fastagency_server(agency) as url:
        spec = at(url, "learning")
        await until_asked(adapter, line, spec)
        ((key, ask),) = line.questions.items()
        assert (ask.kind, ask.prompt) == ("input", "What do you want to learn?")
        line.answer(key, value="sums")
        line = line.resumed()
        await until_asked(adapter, line, spec)
        ((key, ask),) = line.questions.items()
        assert (ask.kind, ask.prompt, ask.choices) == ("choice", "How?", ["slowly", "fast"])
        line.answer(key, value="slowly")
        line = line.resumed()
        async with asyncio.timeout(5):
            finished = await drive(adapter, line, turn_of(line, spec, "sums"))
    check_grammar(line.events)
    assert finished.output == "Learned sums slowly"
    assert [text for _, text, _ in line.messages()] == ["About sums.", "Learned sums slowly"]
    assert len(agency.begun) == 1
    assert agency.headers[0]["authorization"] == "Bearer canary-key"
    assert b"canary" not in b"".join(map(encode, line.events)) + b"".join(line.records.values())


@pytest.mark.contract("ADP-4", "REL-1")
@pytest.mark.parametrize("approve", [True, False])
async def test_a_lost_socket_is_not_gone_on_from_and_nothing_begins_again_unasked(approve: bool) -> None:
    agency, line = FastAgency(), MemoryLine()
    async with fastagency_server(agency) as url:
        spec, lost = at(url, "learning"), bound("fastagency")
        await until_asked(lost, line, spec)
        line.answer(next(iter(line.questions)), value="sums")
        await lost.close()
        adapter = bound("fastagency")  # another process: it holds no socket
        line = line.resumed()
        await until_asked(adapter, line, spec)
        ((key, ask),) = line.questions.items()
        assert (ask.kind, len(agency.begun)) == ("approval", 1)
        assert "from its beginning" in ask.prompt
        line.answer(key, approve=approve)
        line = line.resumed()
        if approve:
            await until_asked(adapter, line, spec)
            assert [ask.prompt for ask in line.questions.values()] == ["What do you want to learn?"]
            assert len(agency.begun) == 2
            await adapter.close()
        else:
            with pytest.raises(AgentFailed) as failed:
                await drive(adapter, line, turn_of(line, spec, "sums"))
            assert (failed.value.code, len(agency.begun)) == ("remote_lost", 1)


@pytest.mark.contract("ADP-2", "EVT-8")
async def test_function_calls_are_shown_and_errors_keep_their_words() -> None:
    line = MemoryLine()
    async with fastagency_server(FastAgency()) as url:
        finished = await drive(bound("fastagency"), line, turn_of(line, at(url, "calls"), "hi"))
    check_grammar(line.events)
    assert finished.output == "Called"
    assert [(event.name, event.arguments) for event in line.of(ToolCalled)] == [
        ("add", {"a": 1}),
        ("never", {}),
    ]
    assert [event.result for event in line.of(ToolCompleted)] == ["2"]
    assert [event.error.code for event in line.of(ToolFailed)] == ["not_run"]
    assert [event.data for event in line.of(Custom)] == [{"message": "a hiccup"}]
    assert b"canary" not in b"".join(map(encode, line.events))


@pytest.mark.contract("ADP-2", "EVT-8")
@pytest.mark.parametrize(
    ("workflow", "code"),
    [("broken", "remote_unavailable"), ("cut", "remote_truncated"), ("unknown", "remote_not_found")],
)
async def test_nothing_completes_by_half(workflow: str, code: str) -> None:
    line = MemoryLine()
    async with fastagency_server(FastAgency()) as url:
        with pytest.raises(AgentFailed) as failed:
            async with asyncio.timeout(5):
                await drive(bound("fastagency"), line, turn_of(line, at(url, workflow), "hi"))
    assert failed.value.code == code
    assert b"canary" not in b"".join(map(encode, line.events)) + failed.value.detail.encode()


@pytest.mark.contract("RUN-5")
async def test_a_cancel_ends_the_workflow_with_its_socket() -> None:
    agency, line = FastAgency(), MemoryLine()
    async with fastagency_server(agency) as url:
        task = asyncio.create_task(drive(bound("fastagency"), line, turn_of(line, at(url, "waits"), "hi")))
        async with asyncio.timeout(5):
            while not line.of(TextDelta):  # noqa: ASYNC110 - the line has no bell
                await asyncio.sleep(0.01)
        task.cancel()
        async with asyncio.timeout(1):
            await asyncio.wait({task})
            while agency.ended != ["waits"]:  # noqa: ASYNC110 - nor has the server
                await asyncio.sleep(0.01)


@pytest.mark.contract("ADP-2")
async def test_a_server_that_is_not_there_is_unreachable(unused_tcp_port: int) -> None:
    line = MemoryLine()
    with pytest.raises(AgentFailed) as failed:
        await drive(
            bound("fastagency"), line, turn_of(line, at(f"http://127.0.0.1:{unused_tcp_port}", "x"), "hi")
        )
    assert failed.value.code == "remote_unreachable"
