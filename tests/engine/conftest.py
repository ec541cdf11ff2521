"""An engine on a real SQLite file, with scripts as agents, that can be restarted as after a crash."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from landline.backends.local import LocalVault
from landline.backends.sqlite import SqliteStore
from landline.engine.core import Core
from landline.engine.loop import SystemClock
from landline.engine.registry import Registry, describe
from landline.engine.threads import EngineFiles
from landline.model.callers import LOCAL, Caller
from landline.model.events import Stamped
from landline.model.messages import TextPart
from landline.model.runs import Run
from landline.ports.adapter import AgentSpec
from landline.ports.clock import Clock
from landline.ports.gates import Gate
from landline.ports.runs import StartRun
from landline.testing.fakes import Script, ScriptAdapter


@dataclass
class Server:
    """One engine process on a folder; `crash` drops it without any goodbye, `boot` starts the next."""

    folder: Path
    agents: dict[str, Script]
    clock: Clock = field(default_factory=SystemClock)
    adapter: ScriptAdapter = field(default_factory=ScriptAdapter)
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    gates: Sequence[Gate] | Callable[[SqliteStore, Clock], Sequence[Gate]] = ()
    core: Core = field(init=False)
    store: SqliteStore = field(init=False)

    async def boot(self) -> "Server":
        self.store = SqliteStore(self.folder / "landline.db")
        await self.store.open()
        # Nobody can list the tools that a script makes up as it goes.
        given = {"unknown_tools": "allow"} if self.adapter.framework == "script" else {}
        registry = Registry(
            describe(AgentSpec(agent=script, name=name, **given | self.options.get(name, {})), self.adapter)
            for name, script in self.agents.items()
        )
        files = EngineFiles(
            store=self.store,
            vault=LocalVault(self.folder / "files"),
            clock=self.clock,
            sniff=lambda head, name: "text/plain",
            max_bytes=1_000,
            media_types=(),
        )
        self.core = Core.build(store=self.store, registry=registry, files=files, clock=self.clock)
        gates = self.gates(self.store, self.clock) if callable(self.gates) else self.gates
        self.core.admission.gates = self.core.driver.gates = gates
        await self.core.start()
        return self

    async def crash(self) -> None:
        """Drop all tasks and the store as a kill would: nothing is settled."""
        self.core.driver.let_go()
        await self.core.tasks.stop(within_s=1)
        await self.store.close()

    async def stop(self) -> None:
        await self.core.stop()
        await self.store.close()

    async def start(self, text: str = "hi", *, caller: Caller = LOCAL, **how: Any) -> Run:
        """Start a run on the only agent and return it."""
        how.setdefault("input", (TextPart(text=text),))
        return (await self.core.runs.start(caller, StartRun(**how))).run

    async def ended(self, run_id: str, *, after: int = 0, caller: Caller = LOCAL) -> list[Stamped]:
        """Follow the run to its end or its question and return its events."""
        return [
            event async for batch in self.core.runs.follow(caller, run_id, after=after) for event in batch
        ]

    async def told(self, run_id: str) -> list[Stamped]:
        """Return the run's events so far."""
        follow = self.core.runs.follow(LOCAL, run_id, live=False)
        return [event async for batch in follow for event in batch]

    async def late_results(self, run_id: str) -> list[tuple[str, bool]]:
        """Read the side table, which no verb shows yet."""
        with closing(sqlite3.connect(self.folder / "landline.db")) as connection:
            return connection.execute(
                "SELECT call_id, ok FROM late_results l JOIN runs r ON r.n = l.run_n WHERE r.id = ?", [run_id]
            ).fetchall()

    async def get(self, run_id: str) -> Run:
        return await self.core.runs.get(LOCAL, run_id)


async def told(server: Server, run_id: str) -> list[dict[str, Any]]:
    """Return a run's events up to its end or its question, as they are on the wire."""
    async with asyncio.timeout(5):
        return [json.loads(event.wire) for event in await server.ended(run_id)]


Boot = Callable[..., Awaitable[Server]]


@pytest.fixture
async def boot(tmp_path: Path) -> AsyncIterator[Boot]:
    """Start an engine with these scripts; every one is stopped at the end."""
    servers: list[Server] = []

    async def start(**agents: Script) -> Server:
        server = await Server(folder=tmp_path, agents=agents).boot()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()
