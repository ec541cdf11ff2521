"""A server with the OpenAI face, OpenAI's own client of it, and a plain one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from openai import AsyncOpenAI

from landline.testing.kill import ServedProcess

AGENTS = Path(__file__).with_name("agents.py")
FRAMEWORKS = Path(__file__).with_name("frameworks.py")


def serving(target: Path, data: Path) -> Iterator[str]:
    process = ServedProcess(
        target, data=data, environ={"LANDLINE_FACES": "native,openai"}, options=("--grace", "0")
    )
    asyncio.run(process.start())
    yield f"http://127.0.0.1:{process.port}"
    process.kill()


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the OpenAI face."""
    yield from serving(AGENTS, tmp_path_factory.mktemp("responses") / "data")


@pytest.fixture(scope="package")
def frameworks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the fixture agents, one of each framework."""
    yield from serving(FRAMEWORKS, tmp_path_factory.mktemp("frameworks") / "data")


@pytest.fixture
async def client(served: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{served}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
async def raw(served: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served, timeout=30) as made:
        yield made
