"""kill -9 while a tool of an MCP server runs: what was finished is not called again, what was not is asked about."""

from __future__ import annotations

from pathlib import Path

import pytest

from landline.testing.kill import ServedProcess
from tests.adapters.mcp_notes import Notes, Nursery
from tests.e2e.calls import Server

AGENTS = Path(__file__).with_name("mcp_agents.py")


@pytest.mark.contract("ADP-4", "ADP-6")
async def test_a_killed_server_calls_no_finished_tool_again(tmp_path: Path) -> None:
    nursery = Nursery()
    notes = await Notes(tmp_path, nursery).start()
    process = ServedProcess(
        AGENTS,
        data=tmp_path / "data",
        environ={"NOTES_URL": notes.url},
        options=("--grace", "0"),
        warm=("pydantic_ai", "mcp"),
    )
    server = Server(process)
    try:
        await server.start()
        for agent, said in (("plain", "3, outcome_unknown"), ("model", "3, failed")):
            notes.log.write_text("")
            run = await server.run(agent, "hi")
            await notes.noted("wait")
            process.kill()
            await server.start()
            log = await server.rest(run["id"])
            assert log[-1]["type"] == "run.waiting", log[-1]
            calls = [told for told in notes.told if told in ("add 1 2", "wait")]
            assert calls == ["add 1 2", "wait"]
            questions = (await server.get(run["id"]))["questions"]
            await server.answer(run["id"], questions, approve=False)
            await server.ended(run["id"])
            assert (await server.get(run["id"]))["output"] == said
            assert [told for told in notes.told if told in ("add 1 2", "wait")] == calls
    finally:
        process.kill()
        await notes.kill()
        nursery.close()
