"""A turn leaves nothing behind that only the collector could free: what it used is free at once, for the next turn to use.

A cycle of ours holds all that a turn was, some two hundred objects; looking for it costs CPU, and memory that is not used
again is not in a processor's caches.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

import landline
from landline.app.build import Landline
from landline.testing.models.openai_agents import Asked, Piece
from tests.adapters.openai_agents_kit import agent_of

pytestmark = pytest.mark.contract("PRF-1", "PRF-4")

TURNS = 20


async def plain(run: Any) -> AsyncIterator[str]:
    yield "echo "
    yield run.input


async def says(_: Asked) -> AsyncIterator[Piece]:
    yield "I "
    yield "heard."


AGENTS = {
    "plain": landline.agent(plain, name="agent"),
    "pydantic_ai": landline.agent(Agent(TestModel()), name="agent"),
    "openai_agents": landline.agent(agent_of(says), name="agent"),
}
"""LangGraph's chat models wait with `asyncio.wait_for`, whose frame holds its own task up to Python 3.11."""


@contextmanager
def garbage() -> Generator[Counter[str]]:
    """Count the objects of ours that only the collector finds, made while the block runs."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found.update(
            type(one).__qualname__ for one in gc.garbage if type(one).__module__.startswith("landline.")
        )
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("mode", ["wait", "stream"])
@pytest.mark.parametrize("framework", AGENTS)
async def test_a_turn_leaves_nothing_for_the_collector(tmp_path: Path, framework: str, mode: str) -> None:
    server = Landline([AGENTS[framework]], open=True, data=tmp_path)
    transport = httpx.ASGITransport(server.app)
    async with (
        server.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):

        async def turns(count: int) -> None:
            for _ in range(count):
                answer = await client.post("/api/v1/runs", json={"input": "hi", "mode": mode})
                assert answer.status_code == 200, answer.text
                assert "completed" in answer.text
            while len(server.core.driver):  # noqa: ASYNC110 - the driver says nothing when it is empty
                await asyncio.sleep(0.005)

        await turns(3)
        with garbage() as found:
            await turns(TURNS)
        assert not [name for name, count in found.items() if count >= TURNS], found
