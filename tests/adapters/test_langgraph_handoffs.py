"""Who speaks is told once, also over a crash."""

import asyncio
from dataclasses import replace

import pytest

from landline.adapters.langgraph import adapter
from landline.model import events as log
from landline.ports.adapter import ToolPolicy
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.langgraph_kit import LangGraphKit


@pytest.mark.contract("ADP-2", "EVT-3", "REL-1")
async def test_a_handoff_is_told_once_wherever_the_run_crashed() -> None:
    transfer = {"transfer_to_back": ToolPolicy(idempotent=True)}
    spec = replace(LangGraphKit().handoff(), tools=transfer)
    whole = MemoryLine()
    await drive(adapter, whole, turn_of(whole, spec, "hi"))
    assert len(whole.events) > 6
    for index in range(len(whole.events)):
        line = MemoryLine(crash_at=index)
        with pytest.raises(Crashed):
            await drive(adapter, line, turn_of(line, spec, "hi"))
        line = line.resumed()
        async with asyncio.timeout(10):
            finished = await drive(adapter, line, turn_of(line, spec, "hi"))
        check_grammar(line.events)
        assert finished.output == "Back here."
        told = [(event.source, event.target) for event in line.of(log.AgentChanged)]
        assert told == [("front", "back")], f"crash before event {index}"
