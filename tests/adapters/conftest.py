"""What tests of more than one framework share: servers of tools, engines to crash, and agents on real model clients."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from landline.ports.adapter import Adapter, AgentSpec
from tests.adapters.mcp_notes import Notes, Nursery
from tests.engine.conftest import Boot, Server


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
async def notes(tmp_path: Path, nursery: Nursery) -> AsyncIterator[Notes]:
    """A server of tools that is not started yet."""
    server = Notes(tmp_path, nursery)
    yield server
    await server.kill()


@pytest.fixture
async def boot(tmp_path: Path) -> AsyncIterator[Boot]:
    """Start an engine with this one agent of a framework; every one is stopped at the end."""
    made: list[Server] = []

    async def start(adapter: Adapter, spec: AgentSpec) -> Server:
        agents = cast("Any", {spec.name: spec.agent})
        server = Server(folder=tmp_path, agents=agents, adapter=cast("Any", adapter))
        server.options = {spec.name: {"tools": spec.tools}}
        made.append(await server.boot())
        return server

    yield start
    for server in made:
        await server.stop()


@pytest.fixture(params=["chat", "responses"])
async def agent_on(request: pytest.FixtureRequest, framework: str) -> AsyncIterator[Any]:
    """Make agents of `framework`, which the test or its file names, on both wires in turn."""
    from tests.adapters.clients_kit import agents_on  # it loads every framework, which only these tests need

    async with AsyncExitStack() as stack:
        yield agents_on(framework, request.param, stack)
