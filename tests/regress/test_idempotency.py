"""An idempotency key belongs to one user (RUN-7)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from landline.backends.memory import MemoryStore
from landline.backends.sqlite import SqliteStore
from landline.model.callers import LOCAL
from landline.model.errors import Draining, Invalid, Unavailable
from landline.model.events import Event
from landline.ports.adapter import Finished, Turn
from landline.ports.runs import StartRun
from landline.ports.store import IdempotencyKey
from landline.testing.fakes import say
from landline.testing.stores import ALICE, BOB, MALLORY, new_thread, start
from tests.engine.conftest import Boot


@pytest.mark.contract("RUN-7", "THR-2")
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_users_of_one_key_do_not_meet(tmp_path: Path, kind: str) -> None:
    """Clients count their keys up from one: another user's request under the same key is neither shown nor compared."""
    store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "landline.db")
    await store.open()
    made: dict[str, str] = {}
    for body, caller in (("a", ALICE), ("b", BOB), ("c", MALLORY)):
        thread = await new_thread(store, caller)
        key = IdempotencyKey(key="1", route="POST /runs", body_hash=body)
        accepted = await start(store, thread.id, caller=caller, idempotency=key)
        assert not accepted.replayed
        made[body] = accepted.run.id
    for body, caller in (("a", ALICE), ("b", BOB), ("c", MALLORY)):
        key = IdempotencyKey(key="1", route="POST /runs", body_hash=body)
        again = await start(store, (await new_thread(store, caller)).id, caller=caller, idempotency=key)
        assert (again.replayed, again.run.id) == (True, made[body])
    await store.close()


@pytest.mark.contract("RUN-7", "REL-4")
@pytest.mark.parametrize("full", ["draining", "max_runs", "agent gone"])
async def test_a_repeat_is_answered_also_while_nothing_new_is_taken(boot: Boot, full: str) -> None:
    """What was accepted is not refused afterwards: a client that lost the answer would start the work twice."""

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        async for item in say("done"):
            yield item

    server = await boot(script=script)
    key = IdempotencyKey(key="1", route="POST /runs", body_hash="a")
    run = await server.start(idempotency=key)
    if full == "draining":
        server.core.drain()
    elif full == "max_runs":
        server.core.admission.max_runs = 0
    agent = "gone" if full == "agent gone" else None
    wanted = StartRun(input=(), agent=agent, idempotency=key)
    again = await server.core.runs.start(LOCAL, wanted)
    assert (again.run.id, again.replayed) == (run.id, True)
    with pytest.raises(Invalid, match="Idempotency-Key"):
        await server.start(
            agent=agent, idempotency=IdempotencyKey(key="1", route="POST /runs", body_hash="b")
        )
    if full != "agent gone":
        with pytest.raises(Draining if full == "draining" else Unavailable):
            await server.start(idempotency=IdempotencyKey(key="2", route="POST /runs", body_hash="a"))
