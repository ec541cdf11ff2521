"""The engine of one process, put together: what `app` builds and starts, and the ports that faces get."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from landline.engine.admit import Admission
from landline.engine.drive import Driver
from landline.engine.fanout import EngineFanout
from landline.engine.history import History
from landline.engine.log import Log
from landline.engine.loop import Bells, Tasks
from landline.engine.recover import Recovery
from landline.engine.registry import Registry
from landline.engine.runs import EngineRuns
from landline.engine.steer import Steering
from landline.engine.threads import EngineFiles, EngineQuestions, EngineThreads
from landline.model.errors import StorageFailed
from landline.model.ids import new_id
from landline.ports.clock import Clock
from landline.ports.store import Store

__all__ = ["Core"]

WRITE_S = 1.0
"""What a stop gives the disk to take what is pending."""

LET_GO_S = 0.3
"""What it gives tasks that were cancelled already: `Driver.leave` has waited for the agents."""


@dataclass(slots=True)
class Core:
    """The engine's parts. `runs`, `threads`, `agents`, `questions`, `files` and `fanout` are for faces; the rest is for `app`."""

    runs: EngineRuns
    threads: EngineThreads
    agents: Registry
    questions: EngineQuestions
    files: EngineFiles
    fanout: EngineFanout
    store: Store
    clock: Clock
    admission: Admission
    driver: Driver
    log: Log
    recovery: Recovery
    tasks: Tasks

    @classmethod
    def build(cls, *, store: Store, registry: Registry, files: EngineFiles, clock: Clock) -> "Core":
        """Put the parts together; nothing starts yet."""
        owner, tasks, bells = new_id(), Tasks(), Bells()
        log = Log(store, clock, tasks, bells)
        driver = Driver(
            store=store,
            log=log,
            registry=registry,
            history=History(store),
            files=files,
            clock=clock,
            tasks=tasks,
            bells=bells,
        )
        admission = Admission(store=store, registry=registry, files=files, clock=clock, owner=owner)
        admission.live_runs = driver.__len__
        runs = EngineRuns(
            store=store,
            admission=admission,
            driver=driver,
            steering=Steering(store=store, driver=driver, registry=registry),
            log=log,
            bells=bells,
            clock=clock,
            tasks=tasks,
            owner=owner,
        )
        recovery = Recovery(store=store, driver=driver, runs=runs, clock=clock, tasks=tasks, owner=owner)
        return cls(
            runs=runs,
            threads=EngineThreads(store=store, registry=registry, clock=clock, gates=lambda: admission.gates),
            agents=registry,
            questions=EngineQuestions(store),
            files=files,
            fanout=EngineFanout(runs=runs, admission=admission, tasks=tasks),
            store=store,
            clock=clock,
            admission=admission,
            driver=driver,
            log=log,
            recovery=recovery,
            tasks=tasks,
        )

    async def start(self) -> None:
        """Begin to commit and take up what an earlier process left. The store is open already."""
        self.log.start()
        await self.recovery.start()

    def drain(self) -> None:
        """Take no new runs from now on (REL-4)."""
        self.admission.draining = True

    async def stop(self) -> None:
        """Let go of live runs without ending them and write what is pending; the store stays open."""
        self.drain()
        self.recovery.stop()
        await self.driver.leave()
        with suppress(TimeoutError, StorageFailed):  # a disk that refuses must not keep the process alive
            async with asyncio.timeout(WRITE_S):
                await self.log.drained()
                await self.recovery.release()
        await self.tasks.stop(within_s=LET_GO_S)
