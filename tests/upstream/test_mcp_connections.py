"""Connections to a real MCP server: opened once, opened anew, never sending a call twice that may have arrived."""

import asyncio
import logging
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

import landline
from landline.backends.sqlite import SqliteStore
from landline.model.callers import Caller
from landline.ports.adapter import AgentSpec, ToolRaised
from landline.upstream.mcp import McpTools
from landline.upstream.mcp.pool import Pool
from tests.adapters.mcp_notes import Notes
from tests.upstream.conftest import Bring

ADA, BOB = Caller(tenant="t", user="ada"), Caller(tenant="t", user="bob")


async def failure(call: Any) -> str:
    with pytest.raises(ToolRaised) as raised:
        await call
    return raised.value.code


def mine(caller: Caller) -> dict[str, str]:
    return {"x-user": caller.user, "authorization": f"Bearer secret-of-{caller.user}"}


@pytest.mark.contract("ADP-6", "ADP-9")
async def test_many_runs_share_one_connection(notes: Notes, bring: Bring) -> None:
    server = landline.mcp((await notes.start()).url)

    async def run() -> Any:
        return await (await bring(server))["add"].call({"a": 1, "b": 2})

    assert await asyncio.gather(*(run() for _ in range(20))) == [3] * 20
    assert await run() == 3
    assert notes.told.count("handshake") == 1


@pytest.fixture(params=["2026", "2026 as JSON", "before 2026"])
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How the server is spoken to, as what it is started with: the older protocol keeps sessions, the newer does not."""
    if request.param == "before 2026":
        monkeypatch.setattr("mcp.Client", partial(Client, mode="legacy"))
    return ["json"] if request.param == "2026 as JSON" else []


@pytest.mark.contract("ADP-6")
async def test_a_server_that_was_started_again_is_connected_again(
    notes: Notes, bring: Bring, wire: list[str]
) -> None:
    server = landline.mcp((await notes.start(*wire)).url)
    tools = await bring(server)
    assert await tools["add"].call({"a": 1, "b": 2}) == 3
    await notes.kill()
    await notes.start(*wire)
    assert await tools["add"].call({"a": 2, "b": 2}) == 4
    assert notes.told.count("add 2 2") == 1
    assert "add" in await bring(server)


@pytest.mark.contract("ADP-4", "ADP-6")
@pytest.mark.parametrize("over", ["http", "stdio"])
async def test_a_call_that_may_have_arrived_is_not_sent_again(
    notes: Notes, bring: Bring, over: str, wire: list[str]
) -> None:
    server = _server(notes, over, url=(await notes.start(*wire)).url)
    tools = await bring(server)
    assert await failure(tools["die"].call({})) == "mcp_outcome_unknown"
    assert notes.told.count("die") == 1
    if over == "http":
        await notes.kill()
        await notes.start(*wire)
    assert await tools["add"].call({"a": 1, "b": 2}) == 3
    assert notes.told.count("die") == 1


@pytest.mark.contract("ADP-4", "ADP-6")
async def test_an_idempotent_call_is_sent_once_more(notes: Notes, bring: Bring) -> None:
    command, *args = notes.command()
    tools = await bring(landline.mcp_stdio(command, *args, name="notes", idempotent=["die"]))
    assert await failure(tools["die"].call({})) == "mcp_outcome_unknown"
    assert notes.told.count("die") == notes.told.count("process") == 2


@pytest.mark.contract("ADP-6", "RUN-5")
@pytest.mark.parametrize("over", ["http", "stdio"])
async def test_a_cancelled_call_stops_at_the_server_and_leaves_the_connection(
    notes: Notes, bring: Bring, over: str
) -> None:
    server = _server(notes, over, url=(await notes.start()).url if over == "http" else "")
    tools = await bring(server)
    call = asyncio.ensure_future(tools["wait"].call({}))
    await notes.noted("wait")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await notes.noted("stopped")
    assert await tools["add"].call({"a": 1, "b": 2}) == 3
    assert notes.told.count("process" if over == "stdio" else "handshake") == 1


@pytest.mark.contract("ADP-6")
async def test_a_slow_call_fails_in_time_and_is_stopped(notes: Notes, bring: Bring, wire: list[str]) -> None:
    server = landline.mcp((await notes.start(*wire)).url, call_timeout_s=0.3)
    tools = await bring(server)
    assert await failure(tools["wait"].call({})) == "mcp_timed_out"
    if not wire:  # the library's server does not look for a client that hangs up on an answer in JSON
        await notes.noted("stopped")
    assert await tools["add"].call({"a": 1, "b": 2}) == 3
    assert notes.told.count("wait") == 1


@pytest.mark.contract("ADP-6")
async def test_a_broken_connection_fails_only_the_calls_on_it(notes: Notes, bring: Bring) -> None:
    """The client's own transport ends every call on it when one request fails."""
    url = (await notes.start()).url
    tools = await bring(landline.mcp(url))
    waiting = asyncio.ensure_future(tools["wait"].call({}))
    await notes.noted("wait")
    assert await failure(tools["add"].call({"a": "no number", "b": 2})) in ("mcp_tool_error", "mcp_refused")
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])


@pytest.mark.contract("ADP-6")
async def test_a_server_that_is_down_offers_what_was_approved_and_fails_when_called(
    notes: Notes, bring: Bring, store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    server = landline.mcp((await notes.start()).url)
    before = await bring(server)
    await notes.kill()
    again = McpTools(store)
    try:
        tools = await bring(server, by=again)
        assert tools.keys() == before.keys()
        assert await failure(tools["add"].call({"a": 1, "b": 2})) == "mcp_down"
        await notes.start()
        assert await tools["add"].call({"a": 1, "b": 2}) == 3
    finally:
        await again.close()
    assert "is down" in caplog.text


@pytest.mark.contract("ADP-6")
async def test_a_server_that_was_never_reached_brings_nothing(notes: Notes, bring: Bring) -> None:
    await notes.start()
    url = notes.url
    await notes.kill()
    assert await bring(landline.mcp(url)) == {}


@pytest.mark.contract("ADP-6")
@pytest.mark.parametrize("command", [["sleep", "4242"], ["no-such-command-here"], ["echo", "no protocol"]])
async def test_a_command_that_is_no_server_brings_nothing_and_leaves_nothing(
    brings: McpTools, command: list[str]
) -> None:
    before = asyncio.all_tasks()
    server = replace(landline.mcp_stdio(*command), connect_timeout_s=0.3)
    async with asyncio.timeout(10):
        assert await brings(AgentSpec(agent=None, name="a", mcp=[server]), ADA) == []
        await brings.close()
    assert asyncio.all_tasks() == before
    if command[0] == "sleep":  # another worker's test of the other commands may look while this one runs
        assert b"sleep\0004242\0" not in _commands()


def _commands() -> list[bytes]:
    """The command lines of all processes here."""
    found: list[bytes] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # a process that has just ended
            found.append(path.read_bytes())
    return found


@pytest.mark.contract("ADP-6")
async def test_a_server_that_hangs_costs_its_time_and_no_more(notes: Notes, brings: McpTools) -> None:
    server = replace(landline.mcp((await notes.start()).url), connect_timeout_s=0.3)
    notes.freeze()
    try:
        async with asyncio.timeout(5):
            assert await brings(AgentSpec(agent=None, name="a", mcp=[server]), ADA) == []
    finally:
        notes.thaw()


@pytest.mark.contract("ADP-6", "ADP-9")
async def test_callers_with_headers_of_their_own_never_share_a_connection(
    notes: Notes, bring: Bring, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="landline")
    server = landline.mcp((await notes.start()).url, headers=mine)

    async def run(caller: Caller) -> Any:
        return await (await bring(server, caller=caller))["add"].call({"a": 1, "b": 2})

    assert await asyncio.gather(*(run(caller) for caller in (ADA, BOB) * 5)) == [3] * 10
    assert notes.told.count("call by ada") == notes.told.count("call by bob") == 5
    assert notes.told.count("handshake") == 2
    await notes.kill()
    await run_down(run)
    assert "secret-of" not in caplog.text


async def run_down(run: Any) -> None:
    with pytest.raises(ToolRaised):
        await run(ADA)


@pytest.mark.contract("ADP-6")
async def test_connections_of_callers_are_bounded_and_closed_when_idle(
    notes: Notes, store: SqliteStore, bring: Bring
) -> None:
    pool = Pool(most_open=2, idle_s=0.2)
    brings = McpTools(store, pool=pool)
    server = landline.mcp((await notes.start()).url, headers=mine)
    before = asyncio.all_tasks()
    for user in ("ada", "bob", "eve"):
        await bring(server, caller=Caller(tenant="t", user=user), by=brings)
    assert notes.told.count("handshake") == 3
    await bring(server, caller=ADA, by=brings)
    assert notes.told.count("handshake") == 4, "the one not used for longest was closed"
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - before:  # noqa: ASYNC110 - nobody tells of a task's end
            await asyncio.sleep(0.02)
    assert "add" in await bring(server, caller=ADA, by=brings)
    await brings.close()


@pytest.mark.contract("ADP-6")
async def test_headers_that_cannot_be_made_are_a_server_that_is_down(
    notes: Notes, bring: Bring, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(caller: Caller) -> dict[str, str]:
        raise RuntimeError("no token")

    assert await bring(landline.mcp((await notes.start()).url, headers=broken)) == {}
    assert "could not be made" in caplog.text


@pytest.mark.contract("ADP-6")
async def test_a_command_is_one_process_that_is_started_again_and_ended(
    notes: Notes, brings: McpTools, bring: Bring
) -> None:
    server = _server(notes, "stdio")
    before = asyncio.all_tasks()
    tools = await bring(server)
    assert await asyncio.gather(*(tools["add"].call({"a": 1, "b": 2}) for _ in range(5))) == [3] * 5
    await bring(server)
    assert notes.told.count("process") == 1
    await brings.close()
    assert asyncio.all_tasks() == before
    assert await (await bring(server))["add"].call({"a": 1, "b": 2}) == 3
    assert notes.told.count("process") == 2


@pytest.mark.contract("ADP-6")
async def test_what_a_tool_says_of_its_failure_is_for_the_model(notes: Notes, bring: Bring) -> None:
    tools = await bring(landline.mcp((await notes.start()).url))
    with pytest.raises(ToolRaised) as raised:
        await tools["fail"].call({})
    assert raised.value.code == "mcp_tool_error"
    assert "there is no more ink" in raised.value.message


@pytest.mark.contract("ADP-6")
@pytest.mark.parametrize("size", [300_000, 9_000_000])
async def test_a_result_has_a_limit(notes: Notes, bring: Bring, size: int, wire: list[str]) -> None:
    tools = await bring(landline.mcp((await notes.start(*wire)).url))
    assert len(await tools["write"].call({"size": 200_000})) == 200_000
    assert await failure(tools["write"].call({"size": size})) == "mcp_bad_result"
    assert await tools["add"].call({"a": 1, "b": 2}) == 3


@pytest.mark.contract("ADP-6", "ADP-9")
async def test_the_connection_carries_nothing_of_the_run_that_opens_it(notes: Notes, bring: Bring) -> None:
    user = ContextVar("user", default="nobody")
    user.set("ada")
    seen: list[str] = []

    class Watching(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(user.get())

    await notes.start()
    await notes.kill()
    owners, handler = logging.getLogger("landline.upstream.mcp.connection"), Watching()
    owners.addHandler(handler)
    try:
        await bring(landline.mcp(notes.url))
    finally:
        owners.removeHandler(handler)
    assert set(seen) == {"nobody"}


def _server(notes: Notes, over: str, url: str = "") -> Any:
    return landline.mcp(url) if over == "http" else landline.mcp_stdio(*notes.command(), name="notes")
