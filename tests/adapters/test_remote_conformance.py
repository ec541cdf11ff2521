"""The published suite on agents of another Landline: a real server, a real socket, our own line in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from landline.model.events import ToolCompleted
from landline.model.messages import TextPart
from landline.testing.adapters import AdapterConformance, ToolBox
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.remote_kit import RemoteLandlineKit, remote_landline


class TestRemoteLandline(AdapterConformance):
    """What the protocol cannot mean is overridden here, each with what holds instead."""

    @pytest.fixture(autouse=True)
    async def _served(self, tmp_path: Path) -> AsyncGenerator[None]:
        async with remote_landline(tmp_path) as server:
            self.kit = RemoteLandlineKit(server)
            yield

    async def test_another_frameworks_history_is_converted_from_the_displayed_form(self) -> None:
        """Nobody may write another server's history: it knows what was said to it (TRU-19)."""
        _, finished = await self.run(self.kit.echo(), "c")
        assert finished.output == "You said: c"

    async def test_an_agent_is_described_without_being_run(self) -> None:
        """The tools are the other server's; it is not asked."""
        info = self.kit.adapter.describe(self.kit.echo())
        assert (info.framework, info.tools) == ("remote_landline", ())
        assert self.kit.adapter.describe(self.kit.echo()).version != ""

    async def test_an_unknown_outcome_is_asked_and_runs_again_only_when_allowed(self) -> None:
        """Our crash is not the other server's: its tool runs to its end, once, and nobody is asked."""
        await self._survives_our_crash(idempotent=False)

    async def test_an_idempotent_call_of_unknown_outcome_runs_again_unasked(self) -> None:
        """The same: it does not run again."""
        await self._survives_our_crash(idempotent=True)

    async def _survives_our_crash(self, *, idempotent: bool) -> None:
        box = ToolBox()
        spec = self.kit.idempotent(box, idempotent=idempotent)
        line = MemoryLine()
        line.die_before = ToolCompleted
        with pytest.raises(Crashed):
            await drive(self.kit.adapter, line, turn_of(line, spec, "hi"))
        line = line.resumed(drop=False)
        async with asyncio.timeout(5):
            finished = await drive(self.kit.adapter, line, turn_of(line, spec, [TextPart(text="hi")]))
        assert "paid" in finished.output
        assert box.counts == {"pay": 1}
        assert [end.result for end in line.of(ToolCompleted)] == ["paid"]
