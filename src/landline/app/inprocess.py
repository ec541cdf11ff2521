"""Turns in this process, without a server: what `landline run` and `landline chat TARGET` stand on.

The same shape as talking to a server over HTTP: plain data in and out, events as a client sees them.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from landline.app.build import Landline, build
from landline.app.loading import Loaded
from landline.app.settings import Settings
from landline.model.callers import LOCAL
from landline.model.messages import TextPart
from landline.model.runs import Answer
from landline.ports.runs import StartRun
from landline.ports.store import RunQuery


class InProcess:
    """The local user's line into an instance of this process."""

    def __init__(self, instance: Landline) -> None:
        self._instance = instance

    async def agents(self) -> list[dict[str, Any]]:
        """Return the agents, broken ones with their error."""
        return [msgspec.to_builtins(info) for info in self._instance.registry.list(LOCAL)]

    async def start(self, agent: str | None, text: str, thread_id: str | None = None) -> dict[str, Any]:
        """Accept a run and return it; it goes on by itself."""
        wanted = StartRun(input=[TextPart(text=text)], agent=agent, thread_id=thread_id)
        return msgspec.to_builtins((await self._instance.runs.start(LOCAL, wanted)).run)

    async def get(self, run_id: str) -> dict[str, Any]:
        """Return a run as it is now."""
        return msgspec.to_builtins(await self._instance.runs.get(LOCAL, run_id))

    async def events(self, run_id: str, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Yield the run's events after a cursor until it ends or waits."""
        async for batch in self._instance.runs.follow(LOCAL, run_id, after=after):
            for stamped in batch:
                yield json.loads(stamped.wire)

    async def answer(self, run_id: str, answers: Sequence[dict[str, Any]]) -> None:
        """Answer questions of a waiting run."""
        await self._instance.runs.answer(
            LOCAL, run_id, [msgspec.convert(answer, Answer) for answer in answers]
        )

    async def cancel(self, run_id: str) -> None:
        """Stop a run."""
        await self._instance.runs.cancel(LOCAL, run_id)

    async def waiting(self, thread_id: str) -> list[dict[str, Any]]:
        """Return the thread's runs that wait for an answer, with their questions; at most one."""
        page = await self._instance.runs.history(
            LOCAL, RunQuery(thread_id=thread_id, status="waiting", limit=1)
        )
        return [await self.get(run.id) for run in page.items]


@asynccontextmanager
async def in_process(settings: Settings, loaded: Sequence[Loaded]) -> AsyncGenerator[InProcess]:
    """Open the store and the engine, and close them at the end; a run that is cut goes on at the next start."""
    instance = build(settings, loaded, open=True)
    async with instance.started():
        yield InProcess(instance)
