"""The hop budget: how many of our own files and functions one turn crosses, each line by itself (clarification 23).

The write line is one more turn on a thread, from its route to the end of its run; the read line is one reader of its
log. Not counted: model and ports, the language both speak; the outer shell that guards every request alike (`web.guard`
and what it asks); constructors and functions of at most six lines below their name, which are read at a glance.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline

SOURCE = str(Path(landline.__file__).parent) + "/"
UNCOUNTED = ("model/", "ports/", "testing/", "web/guard.py", "web/hosts.py", "web/problems.py")
SHORT_LINES = 6
MOST_FILES, MOST_FUNCTIONS = 20, 60


@dataclass
class Crossed:
    """What a line crossed."""

    functions: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    @property
    def files(self) -> set[str]:
        return {file for file, _ in self.functions}

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        file = frame.f_code.co_filename
        if file.startswith(SOURCE):
            code, short, name = frame.f_code, file[len(SOURCE) :], frame.f_code.co_qualname
            lines = max(line for _, _, line in code.co_lines() if line) - code.co_firstlineno
            plain = name.endswith((">", "__init__")) or lines <= SHORT_LINES
            if not plain and not short.startswith(UNCOUNTED):
                self.functions.add((short, name))

    def report(self) -> str:
        return "\n".join(f"{file}: {name}" for file, name in sorted(self.functions))


@contextmanager
def crossing() -> Generator[Crossed]:
    crossed = Crossed()
    sys.setprofile(crossed.note)
    try:
        yield crossed
    finally:
        sys.setprofile(None)


async def echo(run: Any) -> AsyncIterator[str]:
    yield "echo "
    yield run.input


async def drive(client: httpx.AsyncClient, instance: Landline, thread_id: str) -> str:
    body = {"input": "hi", "mode": "background"}
    accepted = await client.post(f"/api/v1/threads/{thread_id}/runs", json=body)
    assert accepted.status_code == 202, accepted.text
    async with asyncio.timeout(5):
        while len(instance.core.driver):  # noqa: ASYNC110 - the driver says nothing when it is empty
            await asyncio.sleep(0.005)
    return str(accepted.json()["id"])


async def read(client: httpx.AsyncClient, run_id: str) -> bytes:
    return (await client.get(f"/api/v1/runs/{run_id}/events")).content


@pytest.mark.contract("EVT-1")
async def test_one_turn_crosses_few_of_our_own_files(tmp_path: Path) -> None:
    agent = landline.agent(echo, name="echo")
    instance = Landline([agent], open=True, data=tmp_path)
    transport = httpx.ASGITransport(instance.app)
    async with (
        instance.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        thread_id = (await client.post("/api/v1/threads", json={"agent": "echo"})).json()["id"]
        await read(client, await drive(client, instance, thread_id))  # lazy imports are not the line
        with crossing() as write:
            run_id = await drive(client, instance, thread_id)
        with crossing() as line:
            told = await read(client, run_id)
    assert b"run.completed" in told
    for name, crossed in (("write", write), ("read", line)):
        print(f"{name} line: {len(crossed.files)} files, {len(crossed.functions)} functions")
        print(crossed.report())
        assert len(crossed.files) <= MOST_FILES, crossed.report()
        assert len(crossed.functions) <= MOST_FUNCTIONS, crossed.report()
