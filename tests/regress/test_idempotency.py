"""An idempotency key belongs to one user (RUN-7)."""

from pathlib import Path

import pytest

from landline.backends.memory import MemoryStore
from landline.backends.sqlite import SqliteStore
from landline.ports.store import IdempotencyKey
from landline.testing.stores import ALICE, BOB, MALLORY, new_thread, start


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
