"""A real MCP server in a process, and what brings its tools, with a store of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from landline.backends.sqlite import SqliteStore
from landline.model.callers import LOCAL, Caller
from landline.ports.adapter import AgentSpec, BroughtTool
from landline.ports.mcp import McpServer
from landline.upstream.mcp import McpTools
from tests.adapters.mcp_notes import Notes, Nursery


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
async def notes(tmp_path: Path, nursery: Nursery) -> AsyncIterator[Notes]:
    server = Notes(tmp_path, nursery)
    yield server
    await server.kill()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "landline.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def brings(store: SqliteStore) -> AsyncIterator[McpTools]:
    made = McpTools(store)
    yield made
    await made.close()


Bring = Callable[..., Awaitable[dict[str, BroughtTool]]]


@pytest.fixture
def bring(brings: McpTools) -> Bring:
    """Bring the tools of servers to a run, by name."""

    async def offered(
        *servers: McpServer, caller: Caller = LOCAL, by: McpTools = brings
    ) -> dict[str, BroughtTool]:
        spec = AgentSpec(agent=None, name="a", mcp=servers)
        return {tool.name: tool for tool in await by(spec, caller)}

    return offered
